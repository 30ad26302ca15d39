from __future__ import annotations

from typing import Any

import pytest

from kfp_perf.reports.beside_runs import beside_runs

_SEVEN_SLOTS = (
    "7 slots of 2 schedules: 3 on time, 1 late, 2 missed, 1 too near the end to tell; "
    "runs came 12.5 s after their slot in the median, 51.5 s at most"
)

_READS = (
    "5,000 reads, 70 of them later pages of lists (down to page 9), "
    "3 of what had been deleted meanwhile, 2 more failed"
)


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({}, []),
        ({"runs": {"warmup": 0}, "prefill": None, "reads": None}, []),
        ({"runs": {"warmup": 1}}, ["1 run of the warm-up not counted"]),
        (
            {"prefill": {"experiments": 1, "pipelines": 0, "versions": 2, "runs": 1200}},
            ["made beforehand: 1 experiment, 2 versions, 1,200 runs"],
        ),
        ({"prefill": {"experiments": 0, "runs": 0}}, []),
        ({"reads": {"reads": 5000, "gone": 0}}, ["5,000 reads"]),
        (
            {"reads": {"reads": 5000, "later_pages": 70, "deepest_page": 9, "gone": 3, "failed": 2}},
            [_READS],
        ),
        (
            {"uploads": {"pipelines": 1, "versions": 4, "size_bytes": 200_000}},
            ["uploaded 1 pipeline and 4 versions of 200.0 KB each"],
        ),
        (
            {"uploads": {"pipelines": 1, "versions": 0, "size_bytes": 1000, "failed": 2}},
            ["uploaded 1 pipeline and 0 versions of 1.0 KB each; 2 failed"],
        ),
        (
            {
                "schedules": {"schedules": 2, "on_time": 3, "late": 1, "missed": 2, "undecided": 1},
                "schedule": {"drift_seconds": {"n": 4, "p50": 12.5, "max": 51.5}},
            },
            [_SEVEN_SLOTS],
        ),
        (
            {"schedules": {"schedules": 1, "missed": 2}, "schedule": {"drift_seconds": {}}},
            ["2 slots of 1 schedule: 0 on time, 0 late, 2 missed"],
        ),
    ],
)
def test_what_scenarios_did_beside_runs_is_told(metrics: dict[str, Any], told: list[str]) -> None:
    assert list(beside_runs(metrics)) == told
