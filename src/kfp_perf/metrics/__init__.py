"""Metrics: METRICS is the table of families; each is one file here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.collector import GuardedCollector, MetricFamily, MetricsCollector
from kfp_perf.metrics.runs import RunMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

#: Each family's key in the metrics dictionary, and what makes one; the argument is when measuring begins.
METRICS: dict[str, Callable[[float], MetricFamily]] = {
    "runs": lambda _measured_from: RunMetrics(),
    "api": ApiMetrics,
}


def built_in_collector(scenario_name: str = "", measured_from: float = 0.0) -> MetricsCollector:
    """A collector with every family of METRICS."""
    return MetricsCollector(scenario_name, {name: make(measured_from) for name, make in METRICS.items()})


__all__ = ["METRICS", "GuardedCollector", "MetricFamily", "MetricsCollector", "built_in_collector"]
