"""Metrics: METRICS is the table of families, each of which declares its metrics."""

from __future__ import annotations

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.capacity import CapacityMetrics
from kfp_perf.metrics.cleanup import CleanupMetrics
from kfp_perf.metrics.collector import EvidenceFamily, GuardedCollector, MetricFamily, MetricsCollector
from kfp_perf.metrics.components import ComponentMetrics
from kfp_perf.metrics.controller import ControllerMetrics, EndpointMetrics, ScheduleControllerMetrics
from kfp_perf.metrics.generator import GeneratorMetrics
from kfp_perf.metrics.load import LoadMetrics
from kfp_perf.metrics.phases import PhaseMetrics
from kfp_perf.metrics.pods import PodMetrics
from kfp_perf.metrics.recorder import Recorder
from kfp_perf.metrics.runner_reports import (
    ObservationMetrics,
    PrefillMetrics,
    ReadMetrics,
    SchedulesMetrics,
    UploadMetrics,
)
from kfp_perf.metrics.runs import RunMetrics
from kfp_perf.metrics.schedule import ScheduleMetrics
from kfp_perf.metrics.server import ServerMetrics

#: Each family's key in the metrics dictionary.
METRICS: dict[str, type[MetricFamily]] = {
    "runs": RunMetrics,
    "phases": PhaseMetrics,
    "schedule": ScheduleMetrics,
    "api": ApiMetrics,
    "load": LoadMetrics,
    "reads": ReadMetrics,
    "uploads": UploadMetrics,
    "schedules": SchedulesMetrics,
    "observer": ObservationMetrics,
    "prefill": PrefillMetrics,
    "generator": GeneratorMetrics,
    "cleanup": CleanupMetrics,
    "capacity": CapacityMetrics,
    "server": ServerMetrics,
    "controller": ControllerMetrics,
    "scheduledworkflow": ScheduleControllerMetrics,
    "endpoints": EndpointMetrics,
    "components": ComponentMetrics,
    "pods": PodMetrics,
}

#: The families that the whole test has, and its scenarios have not.
OF_THE_TEST = frozenset(name for name, family in METRICS.items() if issubclass(family, EvidenceFamily))

__all__ = [
    "METRICS",
    "OF_THE_TEST",
    "EvidenceFamily",
    "GuardedCollector",
    "MetricFamily",
    "MetricsCollector",
    "Recorder",
]
