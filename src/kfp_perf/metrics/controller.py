"""Argo's workflow controller and KFP's scheduled-workflow controller, by their own metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kfp_perf.evidence.readings import read_scrapes
from kfp_perf.evidence.scrape import SCRAPES_SUFFIX
from kfp_perf.metrics.collector import EvidenceFamily
from kfp_perf.metrics.endpoint import (
    LEVELS,
    EndpointFamily,
    bucketed,
    bucketed_figures,
    levels,
    measured_stretch,
    process_figures,
    process_metrics,
    whole,
)
from kfp_perf.metrics.metric import Metric, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.evidence.readings import Readings, Stretch
    from kfp_perf.result.evidence import EvidenceFiles
    from kfp_perf.result.reader import ScenarioFiles

#: argo_workflows_queue_latency, argo_workflows_operation_duration_seconds and argo_workflows_k8s_request_duration
#: of Argo Workflows 4.0.
QUEUE_BUCKETS = (1.0, 5.0, 20.0, 60.0, 180.0)
OPERATION_BUCKETS = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
REQUEST_BUCKETS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 180.0)
#: process_scheduled_workflow_duration_seconds: the default of Prometheus' Go client.
HANDLING_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_CONTROLLER = "the metrics of Argo's workflow controller"
_SCHEDULES = "the metrics of KFP's scheduled-workflow controller"
_OF_CONTROLLER, _OF_SCHEDULES = f"scrapes of {_CONTROLLER}", f"scrapes of {_SCHEDULES}"


def _queue(name: str, key: str, unit: Unit, meaning: str) -> Metric:
    path = ("controller", "queues", "*")
    return Metric(f"controller.*.{name}", unit, meaning, _OF_CONTROLLER, (*path, key))


class ControllerMetrics(EndpointFamily):
    """Argo's workflow controller: what waits in its queues, and how long; how many workers are busy."""

    name = "controller"
    metrics: ClassVar[tuple[Metric, ...]] = (
        *process_metrics("controller", _CONTROLLER),
        Metric(
            "controller.*.depth",
            Unit.COUNT,
            "What waits in a queue: `*` is the queue, such as `workflow_queue` or `pod_cleanup_queue`.",
            _OF_CONTROLLER,
            ("controller", "queues", "*", "depth"),
            LEVELS,
            ("controller", "scrapes"),
        ),
        Metric(
            "controller.*.busy_workers",
            Unit.COUNT,
            "Workers of a queue that are busy (`--workflow-workers`, 32 by default, for `workflow_queue`).",
            _OF_CONTROLLER,
            ("controller", "queues", "*", "busy_workers"),
            LEVELS,
            ("controller", "scrapes"),
        ),
        bucketed(
            "controller.*.latency",
            "How long it waited in a queue before a worker took it.",
            _OF_CONTROLLER,
            ("controller", "queues", "*", "latency_seconds"),
            QUEUE_BUCKETS,
        ),
        bucketed(
            "controller.*.duration",
            "How long a worker then took.",
            _OF_CONTROLLER,
            ("controller", "queues", "*", "duration_seconds"),
            REQUEST_BUCKETS,
        ),
        _queue("adds", "adds", Unit.COUNT, "How often something was put into a queue."),
        _queue("retries", "retries", Unit.COUNT, "How often it was put back, to be tried again."),
        bucketed(
            "controller.operation",
            "How long the controller took to bring one workflow forward.",
            _OF_CONTROLLER,
            ("controller", "operation_seconds"),
            OPERATION_BUCKETS,
        ),
        bucketed(
            "controller.kubernetes_request",
            "How long a request of the controller to the Kubernetes API took.",
            _OF_CONTROLLER,
            ("controller", "kubernetes_request_seconds"),
            REQUEST_BUCKETS,
        ),
        Metric(
            "controller.kubernetes_requests",
            Unit.PER_SECOND,
            "Requests of the controller to the Kubernetes API (`--qps`, 20 a second by default, bounds them).",
            _OF_CONTROLLER,
            ("controller", "kubernetes_requests_per_second"),
            (),
            ("controller", "scrapes"),
        ),
        bucketed(
            "controller.client_limiter",
            "How long a request of the controller to the Kubernetes API waited for the limit of its own client. "
            "Argo 4.1 and later serve it.",
            _OF_CONTROLLER,
            ("controller", "client_limiter_seconds"),
            (),
        ),
        Metric(
            "controller.workflows",
            Unit.COUNT,
            "Workflows in the cluster that have not ended: pending or running.",
            _OF_CONTROLLER,
            ("controller", "workflows"),
            LEVELS,
            ("controller", "scrapes"),
        ),
        Metric(
            "controller.errors",
            Unit.COUNT,
            "Errors that the controller counted.",
            _OF_CONTROLLER,
            ("controller", "errors"),
        ),
    )

    def _figures(self, readings: Readings, stretch: Stretch) -> dict[str, Any]:
        names = {name for kind in ("depth", "busy_workers", "latency") for name in readings.keys(kind)}
        requests = readings.growth("kubernetes_request", stretch)
        seconds = readings.seconds(stretch)
        return {
            "queues": {name: _queue_figures(readings, name, stretch) for name in sorted(names)},
            "operation_seconds": bucketed_figures(readings.growth("operation", stretch)),
            "kubernetes_request_seconds": bucketed_figures(requests),
            "client_limiter_seconds": bucketed_figures(readings.growth("client_limiter", stretch)),
            "kubernetes_requests_per_second": sum(requests.counts) / seconds
            if requests and seconds
            else None,
            "workflows": levels(_unfinished(readings, stretch)),
            "errors": whole(readings.increase("errors", stretch)),
        }


def _queue_figures(readings: Readings, name: str, stretch: Stretch) -> dict[str, Any]:
    found = {
        "depth": levels(readings.gauge(f"depth/{name}", stretch)),
        "busy_workers": levels(readings.gauge(f"busy_workers/{name}", stretch)),
        "latency_seconds": bucketed_figures(readings.growth(f"latency/{name}", stretch)),
        "duration_seconds": bucketed_figures(readings.growth(f"duration/{name}", stretch)),
        "adds": whole(readings.increase(f"adds/{name}", stretch)),
        "retries": whole(readings.increase(f"retries/{name}", stretch)),
    }
    return {key: value for key, value in found.items() if value is not None}


def _unfinished(readings: Readings, stretch: Stretch) -> list[tuple[float, float]]:
    """How many workflows are pending or running, by scrape."""
    totals: dict[float, float] = {}
    for phase in ("Pending", "Running"):
        for at, count in readings.gauge(f"workflows/{phase}", stretch):
            totals[at] = totals.get(at, 0.0) + count
    return sorted(totals.items())


class ScheduleControllerMetrics(EndpointFamily):
    """KFP's scheduled-workflow controller, which starts the runs of recurring runs."""

    name = "scheduledworkflow"
    metrics: ClassVar[tuple[Metric, ...]] = (
        *process_metrics("scheduledworkflow", _SCHEDULES),
        Metric(
            "scheduledworkflow.depth",
            Unit.COUNT,
            "Schedules that wait in its queue.",
            _OF_SCHEDULES,
            ("scheduledworkflow", "depth"),
            LEVELS,
            ("scheduledworkflow", "scrapes"),
        ),
        Metric(
            "scheduledworkflow.handled",
            Unit.COUNT,
            "How often it has handled a schedule.",
            _OF_SCHEDULES,
            ("scheduledworkflow", "handled"),
        ),
        bucketed(
            "scheduledworkflow.handling",
            "How long it took to handle one.",
            _OF_SCHEDULES,
            ("scheduledworkflow", "handling_seconds"),
            HANDLING_BUCKETS,
        ),
    )

    def _figures(self, readings: Readings, stretch: Stretch) -> dict[str, Any]:
        return {
            "depth": levels(readings.gauge("depth", stretch)),
            "handled": whole(readings.increase("handled", stretch)),
            "handling_seconds": bucketed_figures(readings.growth("handling", stretch)),
        }


class EndpointMetrics(EvidenceFamily):
    """Any other program with Prometheus metrics, under the name that the settings give it."""

    metrics: ClassVar[tuple[Metric, ...]] = process_metrics(
        "endpoints.*", "an endpoint in `KFP_PERF_METRICS_URLS`, whose name is `*`", ("endpoints", "*")
    )

    def __init__(self) -> None:
        self._found: dict[str, Readings] = {}
        self._stretch: Stretch | None = None

    def on_evidence(self, evidence: EvidenceFiles, scenarios: Sequence[ScenarioFiles]) -> None:
        """Read the scrapes of all of them."""
        for name in evidence.names(SCRAPES_SUFFIX):
            if name not in _WITH_A_FAMILY and (readings := read_scrapes(evidence, name)) is not None:
                self._found[name] = readings
        self._stretch = measured_stretch(scenarios) if self._found else None

    def result(self) -> dict[str, Any]:
        """The figures by name; empty where there are no such endpoints."""
        stretch = self._stretch
        if stretch is None:
            return {}
        return {name: process_figures(readings, stretch) for name, readings in self._found.items()}


_WITH_A_FAMILY = frozenset({"server", "controller", "scheduledworkflow"})
