"""Metrics: METRICS is the table of families; each is one file here, which says what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.collector import GuardedCollector, MetricFamily, MetricsCollector
from kfp_perf.metrics.generator import GeneratorMetrics
from kfp_perf.metrics.phases import PhaseMetrics
from kfp_perf.metrics.runs import RunMetrics
from kfp_perf.metrics.schedule import ScheduleMetrics

if TYPE_CHECKING:
    from kfp_perf.result.series import Series

#: Each family's key in the metrics dictionary.
METRICS: dict[str, type[MetricFamily]] = {
    "runs": RunMetrics,
    "phases": PhaseMetrics,
    "schedule": ScheduleMetrics,
    "api": ApiMetrics,
    "generator": GeneratorMetrics,
}

#: Keys of the metrics dictionary that a user's collector cannot have: the families', and what runners tell.
TAKEN_KEYS = frozenset({*METRICS, "load", "observer", "prefill", "reads", "schedules", "uploads"})


def built_in_collector(scenario_name: str = "", series: Series | None = None) -> MetricsCollector:
    """A collector with every family of METRICS."""
    return MetricsCollector(scenario_name, {name: family() for name, family in METRICS.items()}, series)


__all__ = [
    "METRICS",
    "TAKEN_KEYS",
    "GuardedCollector",
    "MetricFamily",
    "MetricsCollector",
    "built_in_collector",
]
