"""The KFP API server by its own metrics: CPU and memory, and how long it handled each operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kfp_perf.metrics.endpoint import EndpointFamily, bucketed, bucketed_figures, process_metrics, whole
from kfp_perf.metrics.metric import Metric, Unit

if TYPE_CHECKING:
    from kfp_perf.evidence.readings import Readings, Stretch

#: grpc_server_handling_seconds, backend/src/apiserver/main.go of kubeflow/pipelines.
HANDLING_BUCKETS = (0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0)
#: resource_manager_recurring_run_report_gap, resource_manager.go.
GAP_BUCKETS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

_SERVER = "the API server's /metrics"
_SCRAPES = f"scrapes of {_SERVER}"
_OF_A_METHOD = ("server", "methods", "*")


def _count(name: str, meaning: str) -> Metric:
    return Metric(f"server.{name}", Unit.COUNT, meaning, _SCRAPES, ("server", name))


class ServerMetrics(EndpointFamily):
    """The API server, in the measured time of the test."""

    name = "server"
    metrics: ClassVar[tuple[Metric, ...]] = (
        *process_metrics("server", _SERVER),
        bucketed(
            "server.*.handling",
            "How long the server handled a call of one gRPC method, for whichever client: `*` is a method such as "
            "`CreateRun`, or as `ReportWorkflowV1`, by which the persistence agent reports a run.",
            _SCRAPES,
            (*_OF_A_METHOD, "handling_seconds"),
            HANDLING_BUCKETS,
        ),
        Metric(
            "server.*.handled",
            Unit.COUNT,
            "Calls of one gRPC method that the server has handled.",
            _SCRAPES,
            (*_OF_A_METHOD, "handled"),
        ),
        Metric(
            "server.*.error_rate",
            Unit.SHARE,
            "The share of them that ended with another code than `OK`.",
            _SCRAPES,
            (*_OF_A_METHOD, "error_rate"),
            (),
            (*_OF_A_METHOD, "handled"),
        ),
        _count("run_creations", "Calls of CreateRun; those by schedules are none."),
        _count("run_reports", "Reports of runs by the persistence agent."),
        _count("schedule_reports", "Reports of recurring runs by the persistence agent."),
        _count("recurring_run_creations", "Calls of CreateRecurringRun."),
        bucketed(
            "server.recurring_run_report_gap",
            "From when a schedule's run was created to its first report.",
            _SCRAPES,
            ("server", "recurring_run_report_gap_seconds"),
            GAP_BUCKETS,
        ),
    )

    def _figures(self, readings: Readings, stretch: Stretch) -> dict[str, Any]:
        methods = {
            method: figures
            for method in readings.keys("handling")
            if (figures := _method_figures(readings, method, stretch))
        }
        return {
            "methods": methods,
            "run_creations": whole(readings.increase("run_creations", stretch)),
            "recurring_run_creations": whole(readings.increase("recurring_run_creations", stretch)),
            "run_reports": methods.get("ReportWorkflowV1", {}).get("handled"),
            "schedule_reports": methods.get("ReportScheduledWorkflowV1", {}).get("handled"),
            "recurring_run_report_gap_seconds": bucketed_figures(
                readings.growth("recurring_run_report_gap", stretch)
            ),
        }


def _method_figures(readings: Readings, method: str, stretch: Stretch) -> dict[str, Any]:
    """The figures of one gRPC method; empty where it was not called."""
    handling = bucketed_figures(readings.growth(f"handling/{method}", stretch))
    if handling is None:
        return {}
    codes = {
        key.partition("/")[2]: count
        for key in readings.keys("handled")
        if key.partition("/")[0] == method and (count := whole(readings.increase(f"handled/{key}", stretch)))
    }
    failed = sum(count for code, count in codes.items() if code != "OK")
    return {
        "handled": handling["n"],
        "handled_by_code": codes,
        "error_rate": failed / total if (total := sum(codes.values())) else None,
        "handling_seconds": handling,
    }
