"""Every route of the server: KFP's, those beside its gateway, and the emulator's own."""

from __future__ import annotations

from kfp_emulator.api import (
    artifacts,
    experiments,
    health,
    pipelines,
    recurring_runs,
    runs,
    uploads,
    versions,
)
from kfp_emulator.control import api_server, cluster
from kfp_emulator.http.router import Route

V2 = "/apis/v2beta1"
_EXPERIMENT = f"{V2}/experiments/{{experiment_id}}"
_PIPELINE = f"{V2}/pipelines/{{pipeline_id}}"
_VERSION = f"{_PIPELINE}/versions/{{pipeline_version_id}}"
_RUN = f"{V2}/runs/{{run_id}}"
_RECURRING = f"{V2}/recurringruns/{{recurring_run_id}}"

GATEWAY_ROUTES: tuple[Route, ...] = (
    Route("GET", f"{V2}/experiments", "ListExperiments", experiments.list_experiments),
    Route("POST", f"{V2}/experiments", "CreateExperiment", experiments.create_experiment),
    Route("GET", _EXPERIMENT, "GetExperiment", experiments.get_experiment),
    Route("DELETE", _EXPERIMENT, "DeleteExperiment", experiments.delete_experiment),
    Route("POST", f"{_EXPERIMENT}:archive", "ArchiveExperiment", experiments.archive_experiment),
    Route("POST", f"{_EXPERIMENT}:unarchive", "UnarchiveExperiment", experiments.unarchive_experiment),
    Route("GET", f"{V2}/pipelines", "ListPipelines", pipelines.list_pipelines),
    Route("POST", f"{V2}/pipelines", "CreatePipeline", pipelines.create_pipeline),
    Route(
        "POST", f"{V2}/pipelines/create", "CreatePipelineAndVersion", pipelines.create_pipeline_and_version
    ),
    Route("GET", f"{V2}/pipelines/names/{{name}}", "GetPipelineByName", pipelines.get_pipeline_by_name),
    Route("GET", _PIPELINE, "GetPipeline", pipelines.get_pipeline),
    Route("PATCH", _PIPELINE, "UpdatePipeline", pipelines.update_pipeline),
    Route("DELETE", _PIPELINE, "DeletePipeline", pipelines.delete_pipeline),
    Route("GET", f"{_PIPELINE}/versions", "ListPipelineVersions", versions.list_versions),
    Route("POST", f"{_PIPELINE}/versions", "CreatePipelineVersion", versions.create_version),
    Route("GET", _VERSION, "GetPipelineVersion", versions.get_version),
    Route("PATCH", _VERSION, "UpdatePipelineVersion", versions.update_version),
    Route("DELETE", _VERSION, "DeletePipelineVersion", versions.delete_version),
    Route("GET", f"{V2}/runs", "ListRuns", runs.list_runs),
    Route("POST", f"{V2}/runs", "CreateRun", runs.create_run),
    Route("GET", _RUN, "GetRun", runs.get_run),
    Route("DELETE", _RUN, "DeleteRun", runs.delete_run),
    Route("POST", f"{_RUN}:archive", "ArchiveRun", runs.archive_run),
    Route("POST", f"{_RUN}:unarchive", "UnarchiveRun", runs.unarchive_run),
    Route("POST", f"{_RUN}:terminate", "TerminateRun", runs.terminate_run),
    Route("POST", f"{_RUN}:retry", "RetryRun", runs.retry_run),
    Route("GET", f"{V2}/recurringruns", "ListRecurringRuns", recurring_runs.list_recurring_runs),
    Route("POST", f"{V2}/recurringruns", "CreateRecurringRun", recurring_runs.create_recurring_run),
    Route("GET", _RECURRING, "GetRecurringRun", recurring_runs.get_recurring_run),
    Route("DELETE", _RECURRING, "DeleteRecurringRun", recurring_runs.delete_recurring_run),
    Route("POST", f"{_RECURRING}:enable", "EnableRecurringRun", recurring_runs.enable_recurring_run),
    Route("POST", f"{_RECURRING}:disable", "DisableRecurringRun", recurring_runs.disable_recurring_run),
)

BESIDE_ROUTES: tuple[Route, ...] = (
    Route("*", f"{V2}/healthz", "GetHealthz", health.get_healthz),
    Route("*", "/apis/v1beta1/healthz", "GetHealthzV1", health.get_v1_healthz),
    Route("*", f"{V2}/pipelines/upload", "UploadPipeline", uploads.upload_pipeline),
    Route("*", f"{V2}/pipelines/upload_version", "UploadPipelineVersion", uploads.upload_pipeline_version),
    Route(
        "GET",
        f"{_RUN}/nodes/{{node_id}}/artifacts/{{artifact_name}}:read",
        "ReadArtifact",
        artifacts.read_artifact,
    ),
    Route("*", "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log", "ReadRunLog", artifacts.read_log),
)
"""Routes that do not pass the gateway; `*` are those that answer any method."""

API_ROUTES = GATEWAY_ROUTES + BESIDE_ROUTES

CONTROL_ROUTES: tuple[Route, ...] = (
    Route("GET", "/metrics", "Metrics", api_server.metrics),
    Route("GET", "/emulator/v1/truth", "Truth", api_server.truth),
    Route("GET", "/emulator/v1/server", "Server", api_server.server),
    Route("GET", "/emulator/v1/faults", "ListFaults", api_server.list_faults),
    Route("POST", "/emulator/v1/faults", "AddFaults", api_server.add_faults),
    Route("DELETE", "/emulator/v1/faults", "ClearFaults", api_server.remove_faults),
    Route("DELETE", "/emulator/v1/faults/{id}", "RemoveFault", api_server.remove_faults),
    Route("GET", "/emulator/v1/outcomes", "ListOutcomes", api_server.list_outcomes),
    Route("POST", "/emulator/v1/outcomes", "AddOutcomes", api_server.add_outcomes),
    Route("DELETE", "/emulator/v1/outcomes", "ClearOutcomes", api_server.clear_outcomes),
    Route("POST", "/emulator/v1/restart", "Restart", api_server.restart),
    Route("GET", "/emulator/v1/components", "ListComponents", cluster.list_components),
    Route("POST", "/emulator/v1/components/{name}:restart", "RestartComponent", cluster.restart_one),
    Route("GET", "/emulator/v1/pods", "PodTruth", cluster.list_pods),
    Route("POST", "/emulator/v1/kubernetes/compact", "Compact", cluster.compact),
    Route("GET", "/emulator/v1/kubernetes/denials", "ListDenials", cluster.list_denials),
    Route("POST", "/emulator/v1/kubernetes/denials", "SetDenials", cluster.set_denials),
    Route("DELETE", "/emulator/v1/kubernetes/denials", "ClearDenials", cluster.set_denials),
    Route("GET", "/emulator/v1/openapi.json", "OpenApi", api_server.get_openapi),
)
"""The emulator's own, which KFP has not."""

ROUTES = API_ROUTES + CONTROL_ROUTES
