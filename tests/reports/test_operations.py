"""The statistics of operations in tables."""

from __future__ import annotations

from kfp_perf.reports.operations import cell_of
from kfp_perf.reports.quantities import seconds_of


def test_a_quantile_of_too_few_values_is_not_shown() -> None:
    times = {"n": 20, "p50": 0.1, "p95": 0.2, "p99": 0.2, "p99.9": 0.2, "max": 0.2}
    assert [cell_of(times, name, seconds_of) for name in ("p50", "p95", "p99", "p99.9", "max")] == [
        "100 ms",
        "200 ms",
        "–",
        "–",
        "200 ms",
    ]
    assert (
        cell_of(times | {"n": 100, "p99": None, "not_reached": ["p99"]}, "p99", seconds_of) == "not reached"
    )
