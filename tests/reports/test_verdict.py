from __future__ import annotations

from typing import Any

import pytest

from kfp_perf.reports.story.verdict import verdict_of


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ({"due": 1, "created": 1, "succeeded": 1}, "The only run succeeded in 1 min."),
        ({"due": 5, "created": 5, "succeeded": 5}, "All 5 runs succeeded in 1 min."),
        (
            {"due": 100, "created": 5, "succeeded": 5, "refused": 95},
            "5 of 100 runs succeeded, 95 were refused, in 1 min.",
        ),
        (
            {"due": 9, "created": 8, "succeeded": 5, "failed": 2, "unfinished": 1, "lost": 1},
            "5 of 9 runs succeeded, 2 failed, 1 did not end in time, 1 got lost, in 1 min.",
        ),
        ({"due": 0, "created": 0}, "7 operations of the load, and no runs, in 1 min."),
    ],
)
def test_a_good_test_says_what_became_of_all_runs_that_were_due(runs: dict[str, Any], sentence: str) -> None:
    document = {
        "verdict": {"exit_code": 0, "reasons": [], "emulator": False},
        "elapsed_seconds": 60.0,
        "scenarios": [],
        "total": {"runs": runs, "api": {"load": {"GetRun": {"count": 7}}}},
    }
    assert verdict_of(document, []).sentence == sentence
