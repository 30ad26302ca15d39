"""The metrics of the workflow controller (Argo v4) and of KFP's scheduled-workflow controller.

Names, labels, texts and bounds are those that were recorded on a real installation. Queues, workers, requests and
phases are those of the modelled controller; CPU and memory follow the components' formula. Of what the model has
not got (the Go runtime, cron workflows, log messages), nothing is served, or zero where a reader expects it.
`client_rate_limiter_latency` is of Argo 4.1 and later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.cluster.counts import pod_phases
from kfp_emulator.protocol.exposition import Labels, family, histograms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_emulator.cluster.cluster import Cluster
    from kfp_emulator.cluster.schedules import ScheduleController
    from kfp_emulator.kubernetes.components import Components
    from kfp_emulator.protocol.exposition import Histogram
    from kfp_emulator.protocol.wire import OutwardTime

WORKFLOW_CONTROLLER = "workflow-controller"
SCHEDULE_CONTROLLER = "ml-pipeline-scheduledworkflow"
_PREFIX = "argo_workflows_"
_DOCS = "https://argo-workflows.readthedocs.io/en/latest/metrics/#"
_PHASES = ("Error", "Failed", "Pending", "Running", "Succeeded")
_IDLE_QUEUES = ("cron_wf_queue", "pod_cleanup_queue", "workflow_archive_queue", "workflow_ttl_queue")
_WORKFLOW_QUEUE: Labels = (("queue_name", "workflow_queue"),)


class ControllerMetrics:
    """Writes the metrics of both controllers down."""

    def __init__(
        self,
        cluster: Cluster,
        schedules: ScheduleController,
        components: Components,
        time: OutwardTime,
    ) -> None:
        self._cluster = cluster
        self._schedules = schedules
        self._components = components
        self._time = time

    def workflow_controller(self) -> str:
        """Return what Argo's controller exports."""
        cluster = self._cluster
        counts = cluster.counts
        stats, runs = counts.controller, list(cluster.runs())
        busy, waiting = cluster.queue()
        now = cluster.clock.now()
        phases, pods = counts.workflows(runs), pod_phases(runs)
        lines = [
            *_argo("gauge", "gauge", _by("phase", {name: phases.get(name, 0) for name in _PHASES})),
            *_argo("is_leader", "gauge", {(): 1}),
            *_argo(
                "k8s_request_total",
                "counter",
                {
                    (("kind", kind), ("status_code", status), ("verb", verb)): count
                    for (kind, verb, status), count in sorted(stats.requests.items())
                },
            ),
            *_argo_histogram("client_rate_limiter_latency", {(): stats.throttled}),
            *_argo_histogram("operation_duration_seconds", {(): stats.operated}),
            *_argo("pods_gauge", "gauge", _by("phase", pods)),
            *_argo("pods_total_count", "counter", _by_namespace(stats.pods)),
            *_argo("queue_adds_count", "counter", {_WORKFLOW_QUEUE: stats.adds}),
            *_argo(
                "queue_depth_gauge",
                "gauge",
                {_WORKFLOW_QUEUE: len(waiting), (("queue_name", "pod_cleanup_queue"),): 0},
            ),
            *_argo_histogram("queue_duration", {_WORKFLOW_QUEUE: stats.looked}),
            *_argo_histogram("queue_latency", {_WORKFLOW_QUEUE: stats.waited}),
            *_argo(
                "queue_unfinished_work",
                "gauge",
                {_WORKFLOW_QUEUE: sum(now - since for since in waiting) / 1e6},
            ),
            *_argo("total_count", "counter", _by_namespace(stats.workflows)),
            *_argo(
                "workers_busy_count",
                "gauge",
                _by("worker_type", {"workflow_queue": busy, **dict.fromkeys(_IDLE_QUEUES, 0)}),
            ),
            *self._process(WORKFLOW_CONTROLLER),
        ]
        return "\n".join(lines) + "\n"

    def schedule_controller(self) -> str:
        """Return what KFP's scheduled-workflow controller exports."""
        stats = self._schedules.stats
        lines = [
            *histograms(
                "process_scheduled_workflow_duration_seconds",
                "The duration of scheduled workflow handling in seconds",
                {(("status", "ok"),): stats.took},
            ),
            *family(
                "scheduled_workflow_queue_size", "gauge", "Current number of workflows in the queue", {(): 0}
            ),
            *family(
                "scheduled_workflow_throughput_total",
                "counter",
                "Total number of workflows processed (throughput)",
                {(): stats.looks},
            ),
            *self._process(SCHEDULE_CONTROLLER),
        ]
        return "\n".join(lines) + "\n"

    def _process(self, component: str) -> list[str]:
        life = self._components.life(component)
        started = self._time.microseconds(life.since) / 1e6 if life.since is not None else 0.0
        values = {
            "process_cpu_seconds_total": (
                "counter",
                "Total user and system CPU time spent in seconds.",
                round(self._components.cpu_seconds(life), 6),
            ),
            "process_resident_memory_bytes": (
                "gauge",
                "Resident memory size in bytes.",
                self._components.memory_bytes(life),
            ),
            "process_start_time_seconds": (
                "gauge",
                "Start time of the process since unix epoch in seconds.",
                round(started, 2),
            ),
        }
        return [
            line
            for name, (kind, text, value) in values.items()
            for line in family(name, kind, text, {(): value})
        ]


_TEXTS = {
    "client_rate_limiter_latency": "A histogram of the time spent waiting for the client-side rate limiter",
    "gauge": "A gauge of the number of workflows currently in the cluster in each phase",
    "is_leader": "Emits 1 if leader, 0 otherwise. Always 1 if leader election is disabled",
    "k8s_request_total": "A counter of the number of API requests sent to the Kubernetes API",
    "operation_duration_seconds": "A histogram of durations of operations",
    "pods_gauge": "A gauge of the number of workflow created pods currently in the cluster in each phase",
    "pods_total_count": "Total number of pods that have entered each phase",
    "queue_adds_count": "A counter of additions to the work queues inside the controller",
    "queue_depth_gauge": "A gauge of the current depth of the queues",
    "queue_duration": "A histogram of the time events in the queues are taking to be processed",
    "queue_latency": "A histogram of the time events in the queues are taking before they are processed",
    "queue_unfinished_work": "A gauge of the number of queue items that have not been processed yet",
    "total_count": (
        "A counter of workflows that have entered each phase for tracking them through their life-cycle, "
        "by namespace"
    ),
    "workers_busy_count": "A gauge of queue workers that are busy",
}


def _argo(name: str, kind: str, samples: Mapping[Labels, float]) -> list[str]:
    return family(_PREFIX + name, kind, f"{_TEXTS[name]} {_DOCS}{name}", samples)


def _argo_histogram(name: str, samples: Mapping[Labels, Histogram]) -> list[str]:
    return histograms(_PREFIX + name, f"{_TEXTS[name]} {_DOCS}{name}", samples)


def _by(label: str, values: Mapping[str, float]) -> dict[Labels, float]:
    return {((label, name),): value for name, value in sorted(values.items())}


def _by_namespace(counts: Mapping[tuple[str, str], float]) -> dict[Labels, float]:
    return {
        (("namespace", namespace), ("phase", phase)): count
        for (namespace, phase), count in sorted(counts.items())
    }
