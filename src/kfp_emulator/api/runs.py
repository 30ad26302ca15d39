"""Runs: server/run_server.go and resource/resource_manager.go of kubeflow/pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.protocol.call import EMPTY, reply_list
from kfp_emulator.protocol.errors import (
    GATEWAY_HEADERS,
    Answer,
    ApiFault,
    bad_request,
    check_length,
    failed_precondition,
    internal,
    invalid_input,
    not_found,
    wrapping,
)
from kfp_emulator.protocol.messages import RUN
from kfp_emulator.server import experiments, scheduled_runs
from kfp_emulator.server.run_creation import existing_run, kubernetes_write, prepare, request_again, start
from kfp_emulator.storage.run_store import FINAL_PHASES, RETRYABLE_PHASES
from kfp_emulator.storage.schema import RUNS

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend

_LENGTHS = {"run_id": ("UUID", 191), "experiment_id": ("ExperimentId", 64)}


async def create_run(backend: Backend, call: Call) -> Answer:
    """POST /runs: checks, then the workflow, then the row."""
    message = call.message(RUN)
    if "plugins_output" in message:
        raise bad_request(
            "plugins_output is server-owned and populated exclusively via plugin lifecycle hooks",
            "plugins_output must not be set by the client",
        )
    with wrapping("CreateJob(job.ToV2())Failed to create a run due to conversion error"):
        _check(message)
    with wrapping("Failed to create a new run"):
        body = await _create(backend, call, message)
    return Answer(200, body, GATEWAY_HEADERS)


async def _create(backend: Backend, call: Call, message: dict[str, Any]) -> bytes:
    with wrapping("Failed to create a run due to invalid experimentId and namespace combination"):
        experiment_id, namespace = experiments.valid_pair(backend, message.get("experiment_id", ""), "")
    await _authorize_create(backend, call, namespace)
    existing = existing_run(backend, message)
    if existing is not None:
        return existing
    prepared = prepare(backend, message, experiment_id, namespace)
    await kubernetes_write(backend)
    return start(backend, prepared)


def _check(message: dict[str, Any]) -> None:
    if not message.get("display_name"):
        raise internal(
            "Failed to convert a API run detail to its internal representation",
            invalid_input("Run name cannot be empty"),
        )
    for key, (field, limit) in _LENGTHS.items():
        context = "Failed to convert API run to its internal representation"
        check_length(f"Run.{field}", message.get(key, ""), limit, context)


async def _authorize_create(backend: Backend, call: Call, namespace: str) -> None:
    with wrapping(
        f"Failed to access run . Check if you have access to namespace {namespace}",
        "Failed to create a run due to authorization error. Check if you have write permissions to namespace "
        f"{namespace}",
    ):
        await backend.access.authorize(call, "create", "runs", namespace)


async def _access(backend: Backend, call: Call, verb: str) -> str:
    """Check that the caller may do `verb` with the run of the path, and return its id."""
    run_id = call.path["run_id"]
    if backend.access.multi_user:
        row = backend.runs.get(run_id, "namespace, workflow")
        with wrapping("Failed to authorize the request"):
            if row is None:
                raise _unknown(run_id).wrapped(f"Failed to authorize with the run ID {run_id}")
            with wrapping(f"Failed to access run {run_id}. Check if you have access to namespace {row[0]}"):
                await backend.access.authorize(call, verb, "runs", row[0], row[1])
    return run_id


def _unknown(run_id: str) -> ApiFault:
    return not_found("Run", run_id).wrapped(f"Failed to fetch run {run_id}")


async def get_run(backend: Backend, call: Call) -> Answer:
    """GET /runs/{run_id}."""
    with wrapping("Failed to get a run"):
        run_id = await _access(backend, call, "get") if backend.access.multi_user else call.path["run_id"]
        body = backend.runs.body(run_id)
        if body is None:
            raise _unknown(run_id)
    return Answer(200, body, GATEWAY_HEADERS)


async def list_runs(backend: Backend, call: Call) -> Answer:
    """GET /runs: of an experiment, or of a namespace."""
    with wrapping("Failed to create list options"):
        options = call.list_options(RUNS)
    experiment_id = call.text("experiment_id")
    scope = backend.access.namespace(call.text("namespace"))
    column = "tenant"
    with wrapping("Failed to list runs"):
        if experiment_id:
            with wrapping(
                f"Failed to list runs due to error fetching namespace for experiment {experiment_id}. "
                "Try filtering based on namespace"
            ):
                namespace = experiments.namespace_of(backend, experiment_id)
            scope, column = experiment_id, "experiment_id"
        else:
            namespace = scope
        with wrapping(
            "Failed to list runs due to authorization error. Check if you have permission to access namespace "
            f"{namespace}"
        ):
            context = f"Failed to access run . Check if you have access to namespace {namespace}"
            await backend.access.authorize(call, "list", "runs", namespace, context=context)
    page = backend.store.page(RUNS, options, column, scope, "body", "Failed to list runs")
    return reply_list("runs", [row[0] for row in page.rows], page.total_size, page.next_page_token)


async def archive_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:archive."""
    with wrapping("Failed to archive a run"):
        run_id = await _access(backend, call, "archive")
        if backend.runs.get(run_id, "1") is None:
            raise _unknown(run_id).wrapped(f"Failed to archive run {run_id} as it failed to be retrieved")
    backend.runs.archive(run_id)
    return EMPTY


async def unarchive_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:unarchive: its experiment must be out of the archive."""
    with wrapping("Failed to unarchive a run"):
        run_id = await _access(backend, call, "unarchive")
        row = backend.runs.get(run_id, "experiment_id")
        if row is None:
            raise _unknown(run_id).wrapped(f"Failed to unarchive run {run_id} as it does not exist")
        with wrapping(f"Failed to unarchive run {run_id} due to experiment fetching error"):
            experiment = experiments.find(backend, row[0])
        if experiment.storage_state == "ARCHIVED":
            raise failed_precondition(
                f"Failed to unarchive run {run_id} as experiment {row[0]} must be un-archived first",
                "Unarchive the experiment first to allow the run to be restored",
            )
    backend.runs.unarchive(run_id)
    return EMPTY


def _owned(backend: Backend, run_id: str, verb: str) -> Any:
    """Return a run's row whose experiment exists: orphans can be read and archived, and no more.

    Raises:
        ApiFault: 404.

    """
    row = backend.runs.get(run_id, "experiment_id, phase, workflow")
    if row is None:
        why = "as it does not exist" if verb == "delete" else "due to error fetching the run"
        raise _unknown(run_id).wrapped(f"Failed to {verb} run {run_id} {why}")
    try:
        experiments.namespace_of(backend, row[0])
    except ApiFault as fault:
        if verb == "delete":
            raise fault.wrapped(f"Failed to delete a run {run_id} due to namespace fetching error") from None
        raise fault.wrapped(
            f"Failed to fetch namespace from run {run_id}",
            f"Failed to {verb} run {run_id} due to error fetching its namespace",
        ) from None
    return row


async def delete_run(backend: Backend, call: Call) -> Answer:
    """DELETE /runs/{run_id}: the workflow is deleted, too."""
    with wrapping("Failed to delete a run"):
        run_id = await _access(backend, call, "delete")
        _owned(backend, run_id, "delete")
    await kubernetes_write(backend)
    backend.cluster.delete(run_id)
    scheduled_runs.run_ended(backend, run_id)
    _delete_row(backend, run_id)
    return EMPTY


def _delete_row(backend: Backend, run_id: str) -> None:
    row = backend.runs.get(run_id, "phase, namespace, display_name")
    if row is not None and row[0] in FINAL_PHASES:
        backend.metrics.run_deleted(row[1], row[2], succeeded=row[0] == "Succeeded")
    backend.runs.delete(run_id)


async def terminate_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:terminate."""
    with wrapping("Failed to terminate a run"):
        run_id = await _access(backend, call, "terminate")
        _owned(backend, run_id, "terminate")
        if not backend.runs.cancel(run_id):
            fault = invalid_input(f"Failed to terminate a run {run_id}. Row not found")
            raise fault.wrapped(f"Failed to terminate run {run_id}")
    await kubernetes_write(backend)
    backend.cluster.terminate(run_id)
    return EMPTY


async def retry_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:retry: only what failed runs again."""
    with wrapping("Failed to retry a run"):
        run_id = await _access(backend, call, "retry")
        _, phase, workflow = _owned(backend, run_id, "retry")
        if not phase:
            raise bad_request(
                f"Failed to retry run {run_id} due to error fetching workflow manifest",
                "Invalid input error: Workflow manifest cannot be empty",
            )
        if phase not in RETRYABLE_PHASES:
            fault = bad_request("Workflow must be Failed/Error to retry", "workflow cannot be retried")
            raise fault.wrapped(f"Failed to retry run {run_id}")
    await kubernetes_write(backend)
    nodes = backend.runs.failed_nodes(run_id)
    backend.runs.retry(run_id, backend.clock.now())
    backend.cluster.retry(run_id, request=request_again(backend, run_id), name=workflow, nodes=nodes)
    return EMPTY
