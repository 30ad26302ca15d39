"""What is read of each kind of endpoint: a table of its metrics under the names that the endpoints give them.

Names are those of KFP 2.17.0 (backend/src/apiserver, backend/src/crd/controller/scheduledworkflow), of
go-grpc-prometheus, of Argo Workflows 4.0 (https://argo-workflows.readthedocs.io/en/latest/metrics/) and of the Go
client of Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric is read: as it is, by what it grows, or as a histogram of what it grows by."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One metric of an endpoint: its name there, and the key under which its values are written.

    A value of each label in `labels` follows the key (`handling/CreateRun`); what differs in other labels only is
    added up.
    """

    metric: str
    kind: Kind
    key: str
    labels: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its samples in the text."""
        if self.kind is not Kind.HISTOGRAM:
            return (self.metric,)
        return tuple(f"{self.metric}_{part}" for part in ("bucket", "sum", "count"))


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of endpoint: its name, what it is in words, the prefix that only its metrics have, and the metrics."""

    name: str
    title: str
    prefix: str
    wanted: tuple[Wanted, ...]


#: The start of a process shows restarts, and distinguishes replicas.
STARTED = "process_start_time_seconds"

_PROCESS = (
    Wanted("process_cpu_seconds_total", Kind.COUNTER, "cpu"),
    Wanted("process_resident_memory_bytes", Kind.GAUGE, "memory"),
    Wanted("process_open_fds", Kind.GAUGE, "open_files"),
    Wanted("process_max_fds", Kind.GAUGE, "open_files_limit"),
    Wanted("go_goroutines", Kind.GAUGE, "goroutines"),
)

SERVER = Profile(
    "server",
    "metrics of the KFP API server",
    "run_server_",
    (
        *_PROCESS,
        Wanted("grpc_server_handling_seconds", Kind.HISTOGRAM, "handling", ("grpc_method",)),
        Wanted("grpc_server_handled_total", Kind.COUNTER, "handled", ("grpc_method", "grpc_code")),
        Wanted("run_server_run_count", Kind.GAUGE, "runs"),
        Wanted("run_server_create_requests", Kind.COUNTER, "run_creations"),
        Wanted("job_server_create_requests", Kind.COUNTER, "recurring_run_creations"),
        Wanted("resource_manager_recurring_run_report_gap", Kind.HISTOGRAM, "recurring_run_report_gap"),
    ),
)
CONTROLLER = Profile(
    "controller",
    "metrics of Argo's workflow controller",
    "argo_workflows_",
    (
        *_PROCESS,
        Wanted("argo_workflows_queue_depth_gauge", Kind.GAUGE, "depth", ("queue_name",)),
        Wanted("argo_workflows_queue_latency", Kind.HISTOGRAM, "latency", ("queue_name",)),
        Wanted("argo_workflows_queue_duration", Kind.HISTOGRAM, "duration", ("queue_name",)),
        Wanted("argo_workflows_queue_adds_count", Kind.COUNTER, "adds", ("queue_name",)),
        Wanted("argo_workflows_queue_retries", Kind.COUNTER, "retries", ("queue_name",)),
        Wanted("argo_workflows_workers_busy_count", Kind.GAUGE, "busy_workers", ("worker_type",)),
        Wanted("argo_workflows_operation_duration_seconds", Kind.HISTOGRAM, "operation"),
        Wanted("argo_workflows_k8s_request_duration", Kind.HISTOGRAM, "kubernetes_request"),
        # Since Argo 4.1.
        Wanted("argo_workflows_client_rate_limiter_latency", Kind.HISTOGRAM, "client_limiter"),
        Wanted("argo_workflows_gauge", Kind.GAUGE, "workflows", ("phase",)),
        Wanted("argo_workflows_pods_gauge", Kind.GAUGE, "pods", ("phase",)),
        Wanted("argo_workflows_error_count", Kind.COUNTER, "errors"),
    ),
)
SCHEDULES = Profile(
    "scheduledworkflow",
    "metrics of KFP's scheduled-workflow controller",
    "scheduled_workflow_",
    (
        *_PROCESS,
        Wanted("scheduled_workflow_queue_size", Kind.GAUGE, "depth"),
        Wanted("scheduled_workflow_throughput_total", Kind.COUNTER, "handled"),
        Wanted("process_scheduled_workflow_duration_seconds", Kind.HISTOGRAM, "handling"),
    ),
)
#: Any other program that has the process metrics of Prometheus' clients.
PROCESS = Profile("process", "metrics", "process_", _PROCESS)

#: The profiles by name; that of an endpoint is the one by its name, or else the first whose prefix it has.
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (SERVER, CONTROLLER, SCHEDULES, PROCESS)}


def profile_of(text: bytes) -> Profile | None:
    """The profile of an endpoint, by what it answers; None where it has no metric that any profile reads."""
    lines = b"\n" + text
    for profile in PROFILES.values():
        if b"\n" + profile.prefix.encode() in lines:
            return profile
    return None
