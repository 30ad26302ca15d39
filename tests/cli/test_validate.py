"""`validate` says which evidence can be collected beside the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Call = Callable[..., tuple[int, str, str]]

NOBODY = "http://127.0.0.1:1"


def test_validate_names_the_sources_that_are_missing_and_why(
    kfp_perf: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KFP_PERF_EVIDENCE", "true")
    monkeypatch.setenv("KFP_PERF_METRICS_URLS", f"controller={NOBODY}/metrics")
    code, out, err = kfp_perf("validate", "smoke.json", "--host", NOBODY)
    assert code == 0, err
    lines = [line for line in out.splitlines() if line.startswith("evidence: ")]
    for title in ("metrics of the KFP API server", "metrics of Argo's workflow controller"):
        assert any(
            line.startswith(f"evidence: no {title}: {NOBODY}/metrics: ") and "refused" in line
            for line in lines
        )


def test_validate_looks_for_nothing_where_evidence_is_off(
    kfp_perf: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KFP_PERF_EVIDENCE", "false")
    code, out, _ = kfp_perf("validate", "smoke.json", "--host", NOBODY)
    assert code == 0
    assert "evidence" not in out


def test_an_endpoint_that_is_no_url_is_an_error(kfp_perf: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, what in (
        ("controller", "must have a URL of http or https"),
        ("controller=ftp://x", "must have a URL of http or https"),
        ("controller=http://user:secret@x/metrics", "without credentials"),
        ("server=http://x/metrics", "is not server"),
        ("My Name=http://x/metrics", "must be pairs of name=URL"),
    ):
        monkeypatch.setenv("KFP_PERF_METRICS_URLS", value)
        code, _, err = kfp_perf("validate", "smoke.json")
        assert code == 2
        assert "KFP_PERF_METRICS_URLS" in err
        assert what in err
        assert "secret" not in err
