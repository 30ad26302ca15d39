"""The families of metrics that the API server exports: their kinds and their help, as a 2.17.0 writes them.

Those of the Go runtime are left out, for there is none here.
"""

from __future__ import annotations

FAMILIES: dict[str, tuple[str, str]] = {
    "experiment_server_archive_requests": ("counter", "The total number of ArchiveExperiment requests"),
    "experiment_server_create_requests": ("counter", "The total number of CreateExperiment requests"),
    "experiment_server_delete_requests": ("counter", "The total number of DeleteExperiment requests"),
    "experiment_server_get_requests": ("counter", "The total number of GetExperiment requests"),
    "experiment_server_list_requests": ("counter", "The total number of ListExperimentsV1 requests"),
    "experiment_server_run_count": (
        "gauge",
        "The current number of experiments in Kubeflow Pipelines instance",
    ),
    "experiment_server_unarchive_requests": ("counter", "The total number of UnarchiveExperiment requests"),
    "grpc_server_handled_total": (
        "counter",
        "Total number of RPCs completed on the server, regardless of success or failure.",
    ),
    "grpc_server_handling_seconds": (
        "histogram",
        "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
    ),
    "grpc_server_msg_received_total": (
        "counter",
        "Total number of RPC stream messages received on the server.",
    ),
    "grpc_server_msg_sent_total": ("counter", "Total number of gRPC stream messages sent by the server."),
    "grpc_server_started_total": ("counter", "Total number of RPCs started on the server."),
    "job_server_create_requests": ("counter", "The total number of CreateJob requests"),
    "job_server_delete_requests": ("counter", "The total number of DeleteJob requests"),
    "job_server_disable_requests": ("counter", "The total number of DisableJob requests"),
    "job_server_enable_requests": ("counter", "The total number of EnableJob requests"),
    "job_server_get_requests": ("counter", "The total number of GetJob requests"),
    "job_server_job_count": ("gauge", "The current number of jobs in Kubeflow Pipelines instance"),
    "job_server_list_requests": ("counter", "The total number of ListJobs requests"),
    "pipeline_server_create_requests": ("counter", "The total number of CreatePipeline requests"),
    "pipeline_server_create_version_requests": (
        "counter",
        "The total number of CreatePipelineVersion requests",
    ),
    "pipeline_server_delete_requests": ("counter", "The total number of DeletePipeline requests"),
    "pipeline_server_delete_version_requests": (
        "counter",
        "The total number of DeletePipelineVersion requests",
    ),
    "pipeline_server_get_requests": ("counter", "The total number of GetPipeline requests"),
    "pipeline_server_get_version_requests": ("counter", "The total number of GetPipelineVersion requests"),
    "pipeline_server_list_requests": ("counter", "The total number of ListPipelines requests"),
    "pipeline_server_list_version_requests": ("counter", "The total number of ListPipelineVersions requests"),
    "pipeline_server_pipeline_count": (
        "gauge",
        "The current number of pipelines in Kubeflow Pipelines instance",
    ),
    "pipeline_server_pipeline_version_count": (
        "gauge",
        "The current number of pipeline versions in Kubeflow Pipelines instance",
    ),
    "pipeline_server_update_default_version_requests": (
        "counter",
        "The total number of UpdatePipelineDefaultVersion requests",
    ),
    "pipeline_server_update_requests": ("counter", "The total number of UpdatePipeline requests"),
    "pipeline_server_update_version_requests": (
        "counter",
        "The total number of UpdatePipelineVersion requests",
    ),
    "pipeline_upload_requests": ("counter", "The number of pipeline upload requests"),
    "pipeline_version_upload_requests": ("counter", "The number of pipeline version upload requests"),
    "process_cpu_seconds_total": ("counter", "Total user and system CPU time spent in seconds."),
    "process_max_fds": ("gauge", "Maximum number of open file descriptors."),
    "process_network_receive_bytes_total": (
        "counter",
        "Number of bytes received by the process over the network.",
    ),
    "process_network_transmit_bytes_total": (
        "counter",
        "Number of bytes sent by the process over the network.",
    ),
    "process_open_fds": ("gauge", "Number of open file descriptors."),
    "process_resident_memory_bytes": ("gauge", "Resident memory size in bytes."),
    "process_start_time_seconds": ("gauge", "Start time of the process since unix epoch in seconds."),
    "process_virtual_memory_bytes": ("gauge", "Virtual memory size in bytes."),
    "process_virtual_memory_max_bytes": ("gauge", "Maximum amount of virtual memory available in bytes."),
    "promhttp_metric_handler_requests_in_flight": ("gauge", "Current number of scrapes being served."),
    "promhttp_metric_handler_requests_total": ("counter", "Total number of scrapes by HTTP status code."),
    "resource_manager_recurring_run_report_gap": ("histogram", "Recurring Run Report Delay"),
    "resource_manager_workflow_gc": ("counter", "The number of garbage-collected workflows"),
    "resource_manager_workflow_runs_failed": ("gauge", "The current number of failed workflow runs"),
    "resource_manager_workflow_runs_success": ("gauge", "The current number of successful workflow runs"),
    "run_server_archive_requests": ("counter", "The total number of ArchiveRun requests"),
    "run_server_create_requests": ("counter", "The total number of CreateRun requests"),
    "run_server_delete_requests": ("counter", "The total number of DeleteRun requests"),
    "run_server_get_requests": ("counter", "The total number of GetRun requests"),
    "run_server_list_requests": ("counter", "The total number of ListRuns requests"),
    "run_server_read_artifact_requests": ("counter", "The total number of ReadArtifact requests"),
    "run_server_report_metrics_requests": ("counter", "The total number of ReportRunMetrics requests"),
    "run_server_retry_requests": ("counter", "The total number of RetryRun requests"),
    "run_server_run_count": ("gauge", "The current number of runs in Kubeflow Pipelines instance"),
    "run_server_terminate_requests": ("counter", "The total number of TerminateRun requests"),
    "run_server_unarchive_requests": ("counter", "The total number of UnarchiveRun requests"),
}
"""Name -> kind and help."""

_SERVERS = ("experiment_", "job_", "pipeline_", "run_", "resource_manager_workflow_gc")
PLAIN = tuple(name for name in FAMILIES if name.startswith(_SERVERS))
"""Counters and gauges without labels: they are there from the start, at 0."""
