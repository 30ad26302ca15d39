"""The API server's own Prometheus metrics at /metrics, under the real server's names, true to what happened.

Names and kinds are those of server/*_server.go and resource_manager.go of kubeflow/pipelines and of
go-grpc-prometheus. As there, a series with labels appears at its first call, all others are there from the start,
and the `_count` gauges restart at 0.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_emulator.protocol.exposition import Histogram, Labels, family, histograms
from kfp_emulator.server.metric_families import FAMILIES, PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

HANDLING_BUCKETS = (0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
REPORT_GAP_BUCKETS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

_SERVICE = "kubeflow.pipelines.backend.api.v2beta1"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One operation of the API in the metrics: its gRPC service, and the counter of its server."""

    service: str
    counter: str
    change: tuple[str, int] | None = None
    """The gauge that a success moves, and by how much."""


RPCS: dict[str, Rpc] = {
    "CreateExperiment": Rpc(
        "ExperimentService", "experiment_server_create_requests", ("experiment_server_run_count", 1)
    ),
    "GetExperiment": Rpc("ExperimentService", "experiment_server_get_requests"),
    "ListExperiments": Rpc("ExperimentService", "experiment_server_list_requests"),
    "DeleteExperiment": Rpc(
        "ExperimentService", "experiment_server_delete_requests", ("experiment_server_run_count", -1)
    ),
    "ArchiveExperiment": Rpc("ExperimentService", "experiment_server_archive_requests"),
    "UnarchiveExperiment": Rpc("ExperimentService", "experiment_server_unarchive_requests"),
    "CreatePipeline": Rpc(
        "PipelineService", "pipeline_server_create_requests", ("pipeline_server_pipeline_count", 1)
    ),
    "CreatePipelineAndVersion": Rpc(
        "PipelineService", "pipeline_server_create_requests", ("pipeline_server_pipeline_count", 1)
    ),
    "GetPipeline": Rpc("PipelineService", "pipeline_server_get_requests"),
    "GetPipelineByName": Rpc("PipelineService", "pipeline_server_get_requests"),
    "ListPipelines": Rpc("PipelineService", "pipeline_server_list_requests"),
    "UpdatePipeline": Rpc("PipelineService", "pipeline_server_update_requests"),
    "DeletePipeline": Rpc(
        "PipelineService", "pipeline_server_delete_requests", ("pipeline_server_pipeline_count", -1)
    ),
    "CreatePipelineVersion": Rpc(
        "PipelineService",
        "pipeline_server_create_version_requests",
        ("pipeline_server_pipeline_version_count", 1),
    ),
    "GetPipelineVersion": Rpc("PipelineService", "pipeline_server_get_version_requests"),
    "ListPipelineVersions": Rpc("PipelineService", "pipeline_server_list_version_requests"),
    "UpdatePipelineVersion": Rpc("PipelineService", "pipeline_server_update_version_requests"),
    "DeletePipelineVersion": Rpc(
        "PipelineService",
        "pipeline_server_delete_version_requests",
        ("pipeline_server_pipeline_version_count", -1),
    ),
    "UploadPipeline": Rpc("", "pipeline_upload_requests", ("pipeline_server_pipeline_version_count", 1)),
    "UploadPipelineVersion": Rpc(
        "", "pipeline_version_upload_requests", ("pipeline_server_pipeline_version_count", 1)
    ),
    "CreateRun": Rpc("RunService", "run_server_create_requests", ("run_server_run_count", 1)),
    "GetRun": Rpc("RunService", "run_server_get_requests"),
    "ListRuns": Rpc("RunService", "run_server_list_requests"),
    "DeleteRun": Rpc("RunService", "run_server_delete_requests", ("run_server_run_count", -1)),
    "ArchiveRun": Rpc("RunService", "run_server_archive_requests"),
    "UnarchiveRun": Rpc("RunService", "run_server_unarchive_requests"),
    "TerminateRun": Rpc("RunService", "run_server_terminate_requests"),
    "RetryRun": Rpc("RunService", "run_server_retry_requests"),
    "ReadArtifact": Rpc("", "run_server_read_artifact_requests"),
    "CreateRecurringRun": Rpc(
        "RecurringRunService", "job_server_create_requests", ("job_server_job_count", 1)
    ),
    "GetRecurringRun": Rpc("RecurringRunService", "job_server_get_requests"),
    "ListRecurringRuns": Rpc("RecurringRunService", "job_server_list_requests"),
    "DeleteRecurringRun": Rpc(
        "RecurringRunService", "job_server_delete_requests", ("job_server_job_count", -1)
    ),
    "EnableRecurringRun": Rpc("RecurringRunService", "job_server_enable_requests"),
    "DisableRecurringRun": Rpc("RecurringRunService", "job_server_disable_requests"),
}
"""Operation -> what is counted for it. Uploads and artifacts are no gRPC, so they have no service."""


@dataclass(slots=True)
class _Operation:
    """What one operation did so far."""

    started: int = 0
    handled: Counter[str] = field(default_factory=Counter)
    took: Histogram = field(default_factory=lambda: Histogram(*HANDLING_BUCKETS))


class ServerMetrics:
    """Counts requests, and writes them down for Prometheus."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.total = 0
        """Requests handled since the emulator began, whatever was restarted since."""
        self.reset()

    def reset(self) -> None:
        """Begin anew, as a process that was started again."""
        self._started = time.time()
        self._used_before = _cpu_seconds()
        self._operations: dict[str, _Operation] = {}
        self._gauges: Counter[str] = Counter()
        self._outcomes: dict[str, Counter[tuple[str, str]]] = {"success": Counter(), "failed": Counter()}
        self._report_gaps = Histogram(*REPORT_GAP_BUCKETS)
        self._scrapes = 0

    def started(self, operation: str) -> None:
        """A request reached its handler."""
        self.in_flight += 1
        self._operation(operation).started += 1

    def _operation(self, operation: str) -> _Operation:
        found = self._operations.get(operation)
        if found is None:
            found = self._operations[operation] = _Operation()
        return found

    def handled(self, operation: str, code: str, seconds: float) -> None:
        """A request was handled: its gRPC code (`OK`, `NotFound`, ...) and how long it took."""
        self.in_flight -= 1
        self.total += 1
        found = self._operation(operation)
        found.handled[code] += 1
        found.took.observe(seconds)
        if code == "OK":
            rpc = RPCS.get(operation)
            if rpc is not None and rpc.change is not None:
                self._gauges[rpc.change[0]] += rpc.change[1]

    def run_ended(self, namespace: str, name: str, *, succeeded: bool) -> None:
        """A run's final report came."""
        self._outcomes["success" if succeeded else "failed"][namespace, name] += 1

    def run_deleted(self, namespace: str, name: str, *, succeeded: bool) -> None:
        """A run was deleted: the gauges go down, but not below zero."""
        outcomes = self._outcomes["success" if succeeded else "failed"]
        if outcomes[namespace, name] > 0:
            outcomes[namespace, name] -= 1

    def recurring_report_gap(self, seconds: float) -> None:
        """A recurring run's first report came this long after its workflow was made."""
        self._report_gaps.observe(seconds)

    def requests(self) -> dict[str, dict[str, object]]:
        """Return the counts by operation, for the truth API."""
        return {
            name: {
                "started": found.started,
                "handled": dict(found.handled),
                "seconds": round(found.took.total, 6),
            }
            for name, found in sorted(self._operations.items())
        }

    def prometheus(self) -> str:
        """Return the text that a Prometheus server scrapes."""
        self._scrapes += 1
        values: dict[str, float] = dict.fromkeys(PLAIN, 0)
        for name, found in self._operations.items():
            if name in RPCS:
                values[RPCS[name].counter] += found.started
        uploads = self._operations.get("UploadPipeline")
        if uploads is not None:  # a pipeline's upload counts as its version's, too
            values["pipeline_version_upload_requests"] += uploads.started
        values.update(self._gauges)
        values.update(_process_values(self._started, self._used_before))
        samples: dict[str, Mapping[Labels, float]] = {name: {(): value} for name, value in values.items()}
        samples |= _grpc_samples(self._operations)
        for outcome, runs in self._outcomes.items():
            samples[f"resource_manager_workflow_runs_{outcome}"] = {
                (("profile", namespace), ("workflow", name)): value
                for (namespace, name), value in sorted(runs.items())
            }
        samples["promhttp_metric_handler_requests_in_flight"] = {(): 1}
        samples["promhttp_metric_handler_requests_total"] = {
            (("code", code),): self._scrapes - 1 if code == 200 else 0 for code in (200, 500, 503)
        }
        measured: dict[str, Mapping[Labels, Histogram]] = {
            "grpc_server_handling_seconds": {
                labels: found.took for labels, found in _grpc_series(self._operations).items()
            },
            "resource_manager_recurring_run_report_gap": {(): self._report_gaps},
        }
        lines: list[str] = []
        for name, (kind, text) in FAMILIES.items():
            if name in measured:
                lines += histograms(name, text, measured[name])
            else:
                lines += family(name, kind, text, samples.get(name, {}))
        return "\n".join(lines) + "\n"


def _grpc_series(operations: dict[str, _Operation]) -> dict[Labels, _Operation]:
    return {
        (
            ("grpc_method", name),
            ("grpc_service", f"{_SERVICE}.{RPCS[name].service}"),
            ("grpc_type", "unary"),
        ): found
        for name, found in sorted(operations.items())
        if name in RPCS and RPCS[name].service
    }


def _grpc_samples(operations: dict[str, _Operation]) -> dict[str, dict[Labels, float]]:
    series = _grpc_series(operations)
    return {
        "grpc_server_started_total": {labels: found.started for labels, found in series.items()},
        "grpc_server_handled_total": {
            (("grpc_code", code), *labels): count
            for labels, found in series.items()
            for code, count in sorted(found.handled.items())
        },
        "grpc_server_msg_received_total": {labels: found.started for labels, found in series.items()},
        "grpc_server_msg_sent_total": {labels: found.handled["OK"] for labels, found in series.items()},
    }


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _process_values(started: float, used_before: float) -> dict[str, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    virtual, _ = resource.getrlimit(resource.RLIMIT_AS)
    values: dict[str, float] = {
        "process_cpu_seconds_total": round(_cpu_seconds() - used_before, 6),
        "process_start_time_seconds": round(started, 3),
        "process_resident_memory_bytes": _resident_bytes(usage.ru_maxrss),
        "process_max_fds": soft,
        "process_virtual_memory_max_bytes": virtual,
    }
    descriptors = Path("/proc/self/fd")
    if descriptors.is_dir():
        values["process_open_fds"] = len(list(descriptors.iterdir()))
    statm = Path("/proc/self/statm")
    if statm.exists():
        values["process_virtual_memory_bytes"] = int(statm.read_text().split()[0]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
    network = Path("/proc/self/net/dev")
    if network.exists():
        rows = [line.split(":", 1)[1].split() for line in network.read_text().splitlines() if ":" in line]
        values["process_network_receive_bytes_total"] = sum(int(row[0]) for row in rows)
        values["process_network_transmit_bytes_total"] = sum(int(row[8]) for row in rows)
    return values


def _resident_bytes(peak: int) -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak if sys.platform == "darwin" else peak * 1024
