from __future__ import annotations

from typing import Any

import pytest

from kfp_perf.reports.document import complete, dig


def test_a_whole_document_stays_as_it_is(nightly: Any) -> None:
    whole, missing = complete(nightly.document)
    assert missing == []
    assert whole == nightly.document


@pytest.mark.parametrize(
    "given", [{}, {"total": None}, {"total": 5, "scenarios": "x"}, {"scenarios": [1, {}]}]
)
def test_whatever_is_missing_is_filled_in_and_named(given: dict[str, Any]) -> None:
    whole, missing = complete(given)
    assert whole["total"]["runs"] == {}
    assert whole["verdict"]["exit_code"] == -1
    assert "$.verdict" in missing
    assert "$.name" in missing
    assert all(set(one) >= {"name", "metrics", "warnings"} for one in whole["scenarios"])


def test_values_of_another_kind_are_as_good_as_missing() -> None:
    whole, missing = complete(
        {"name": 7, "elapsed_seconds": "long", "verdict": {"exit_code": "1", "reasons": "no"}}
    )
    assert (whole["name"], whole["elapsed_seconds"]) == ("unnamed test", 0.0)
    assert whole["verdict"]["reasons"] == []
    assert {"$.name", "$.elapsed_seconds", "$.verdict.exit_code", "$.verdict.reasons"} <= set(missing)


def test_digging_ends_where_there_is_nothing() -> None:
    assert dig({"a": {"b": 1}}, "a", "b") == 1
    assert dig({"a": 1}, "a", "b") is None
    assert dig(None, "a") is None
