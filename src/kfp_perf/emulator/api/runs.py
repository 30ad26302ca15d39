"""Runs: server/run_server.go and resource/resource_manager.go of kubeflow/pipelines."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.emulator.api import experiments, versions
from kfp_perf.emulator.call import EMPTY, reply_list
from kfp_perf.emulator.cluster import RunRequest
from kfp_perf.emulator.errors import (
    GATEWAY_HEADERS,
    Answer,
    ApiFault,
    Code,
    bad_request,
    failed_precondition,
    internal,
    invalid_input,
    not_found,
)
from kfp_perf.emulator.faults import SlowReports, StuckRuns
from kfp_perf.emulator.ir import CompileError, InvalidParameters, InvalidPipeline, bind_parameters
from kfp_perf.emulator.outcomes import Outcome
from kfp_perf.emulator.packages import check_package, documents_of
from kfp_perf.emulator.run_store import FINAL_PHASES, RETRYABLE_PHASES, NewRun
from kfp_perf.emulator.schema import RUNS
from kfp_perf.emulator.wire import RUN

if TYPE_CHECKING:
    from kfp_perf.emulator.backend import Backend
    from kfp_perf.emulator.call import Call
    from kfp_perf.emulator.ir import Pipeline

DEFAULT_SERVICE_ACCOUNT = "pipeline-runner"
_LENGTHS = {"run_id": ("UUID", 191), "experiment_id": ("ExperimentId", 64)}


@dataclass(frozen=True, slots=True)
class Source:
    """What a run or a recurring run runs: as it is shown, as it is stored, and parsed."""

    shown: dict[str, Any]
    spec_id: str
    pipeline: Pipeline
    pipeline_id: str = ""
    version_id: str = ""


def resolve_source(backend: Backend, message: dict[str, Any]) -> Source:
    """Find the pipeline that a message refers to, or carries.

    Raises:
        ApiFault: there is none, or it cannot be run.

    """
    reference = message.get("pipeline_version_reference", {})
    version_id, pipeline_id = reference.get("pipeline_version_id", ""), reference.get("pipeline_id", "")
    context = "Failed to fetch a template due to error retrieving pipeline version"
    if version_id or pipeline_id:
        try:
            row = _version(backend, version_id, pipeline_id)
        except ApiFault as fault:
            raise fault.wrapped(context) from None
        spec_id = versions.spec_of(backend, row[0])
        shown = {"pipeline_version_reference": {"pipeline_id": row[1], "pipeline_version_id": row[0]}}
        return Source(shown, spec_id, backend.pipeline(spec_id), row[1], row[0])
    spec = message.get("pipeline_spec")
    if not spec:
        raise invalid_input("Failed to fetch a template with an empty pipeline spec manifest")
    try:
        package = check_package(documents_of(spec))
    except ApiFault as fault:
        raise fault.wrapped("Failed to fetch a template with an invalid pipeline spec manifest") from None
    spec_id = backend.store.keep_spec(package.documents, package.shown)
    return Source({"pipeline_spec": msgspec.Raw(package.shown)}, spec_id, package.pipeline)


def _version(backend: Backend, version_id: str, pipeline_id: str) -> Any:
    if not version_id:
        try:
            return versions.newest(backend, pipeline_id)
        except ApiFault as fault:
            context = f"Failed to fetch a pipeline version and its manifest from pipeline {pipeline_id}"
            raise fault.wrapped(context) from None
    try:
        row = versions.find(backend, version_id)
    except ApiFault as fault:
        context = f"Failed to fetch a pipeline version and its manifest from pipeline version {version_id}"
        raise fault.wrapped(context) from None
    if pipeline_id and row[1] != pipeline_id:
        raise invalid_input(f"Pipeline version {version_id} belongs to pipeline {row[1]} (not {pipeline_id})")
    return row


def bind(pipeline: Pipeline, given: dict[str, Any]) -> dict[str, Any]:
    """Complete the parameters with the pipeline's defaults.

    Raises:
        ApiFault: 400, one is missing, mistyped, or unknown.

    """
    try:
        return bind_parameters(pipeline, given)
    except InvalidParameters as error:
        raise invalid_input(str(error)).wrapped("invalid pipeline job inputs") from None


async def create_run(backend: Backend, call: Call) -> Answer:
    """POST /runs: checks, then the workflow, then the row."""
    message = call.message(RUN)
    if "plugins_output" in message:
        raise bad_request(
            "plugins_output is server-owned and populated exclusively via plugin lifecycle hooks",
            "plugins_output must not be set by the client",
        )
    try:
        _check(message)
    except ApiFault as fault:
        raise fault.wrapped("CreateJob(job.ToV2())Failed to create a run due to conversion error") from None
    try:
        body = await _create(backend, call, message)
    except ApiFault as fault:
        raise fault.wrapped("Failed to create a new run") from None
    return Answer(200, body, GATEWAY_HEADERS)


async def _create(backend: Backend, call: Call, message: dict[str, Any]) -> bytes:
    try:
        experiment_id, namespace = experiments.valid_pair(backend, message.get("experiment_id", ""), "")
    except ApiFault as fault:
        context = "Failed to create a run due to invalid experimentId and namespace combination"
        raise fault.wrapped(context) from None
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
        if len(message.get(key, "").encode()) > limit:
            raise internal(
                "Failed to convert API run to its internal representation",
                invalid_input(f"Run.{field} length cannot exceed {limit}"),
            )


async def _authorize_create(backend: Backend, call: Call, namespace: str) -> None:
    try:
        await backend.access.authorize(call, "create", "runs", namespace)
    except ApiFault as fault:
        raise fault.wrapped(
            f"Failed to access run . Check if you have access to namespace {namespace}",
            "Failed to create a run due to authorization error. Check if you have write permissions to namespace "
            f"{namespace}",
        ) from None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that was checked and may be started."""

    message: dict[str, Any]
    source: Source
    parameters: dict[str, Any]
    experiment_id: str
    namespace: str
    created_at: int


def existing_run(backend: Backend, message: dict[str, Any]) -> bytes | None:
    """Return the run that a schedule has made already under the same name: creating it again is no fault."""
    recurring_run_id = message.get("recurring_run_id", "")
    if not recurring_run_id:
        return None
    row = backend.store.one(
        "SELECT body FROM runs WHERE recurring_run_id = ? AND recurring_run_id <> '' AND display_name = ?",
        recurring_run_id,
        message["display_name"],
    )
    return None if row is None else bytes(row[0])


def prepare(backend: Backend, message: dict[str, Any], experiment_id: str, namespace: str) -> Prepared:
    """Check what a run is to run, and with which parameters.

    Raises:
        ApiFault: as CreateRun refuses.

    """
    try:
        source = resolve_source(backend, message)
    except (ApiFault, InvalidPipeline) as fault:
        cause = fault if isinstance(fault, ApiFault) else str(fault)
        raise internal("Failed to create a run due to error fetching manifest", cause) from None
    try:
        parameters = bind(source.pipeline, message.get("runtime_config", {}).get("parameters", {}))
    except ApiFault as fault:
        raise fault.wrapped("Failed to generate the ExecutionSpec") from None
    return Prepared(message, source, parameters, experiment_id, namespace, backend.seconds())


def start(backend: Backend, prepared: Prepared) -> bytes:
    """Create the workflow and the row of a run, and return the run's JSON.

    Raises:
        ApiFault: its id is taken, or it cannot be compiled.

    """
    message, source = prepared.message, prepared.source
    name = message["display_name"]
    run_id = message.get("run_id") or backend.new_id()
    if backend.runs.get(run_id, "1") is not None:
        raise internal(
            f"Failed to store run {name} to table", f"Duplicate entry '{run_id}' for key 'PRIMARY'"
        ).wrapped("Failed to create a run")
    now = backend.clock.now()
    service_account = message.get("service_account") or DEFAULT_SERVICE_ACCOUNT
    recurring_run_id = message.get("recurring_run_id", "")
    request = RunRequest(
        run_id=run_id,
        name=name,
        pipeline=source.pipeline,
        parameters=prepared.parameters,
        namespace=prepared.namespace or backend.access.system_namespace,
        pipeline_name=source.pipeline.name,
        service_account=service_account,
        created_at=now,
        recurring_run_id=recurring_run_id or None,
    )
    try:
        workflow = backend.cluster.submit(request)
    except CompileError as error:
        fault = ApiFault(Code.INTERNAL, "Internal Server Error", str(error))
        raise fault.wrapped("Failed to compile job", "Failed to generate the ExecutionSpec") from None
    config = message.get("runtime_config", {})
    run = NewRun(
        run_id=run_id,
        namespace=prepared.namespace,
        experiment_id=prepared.experiment_id,
        display_name=name,
        description=message.get("description", ""),
        source=source.shown,
        spec_id=source.spec_id,
        pipeline_name=source.pipeline.name,
        parameters=prepared.parameters,
        given_parameters=config.get("parameters", {}),
        pipeline_root=config.get("pipeline_root", ""),
        service_account=service_account,
        created_at=prepared.created_at,
        scheduled_at=message.get("scheduled_at") or prepared.created_at,
        submitted_us=now,
        workflow=workflow,
        storage_state="ARCHIVED" if message.get("storage_state") == "ARCHIVED" else "AVAILABLE",
        recurring_run_id=recurring_run_id,
        plugins_input=message.get("plugins_input"),
    )
    body = backend.runs.insert(run)
    backend.truth.accepted(run_id, now)
    if backend.faults.on_runs:
        _disturb(backend, run_id, name, now)
    return body


def _disturb(backend: Backend, run_id: str, name: str, now: int) -> None:
    """Let the faults on runs strike a new run."""
    for effect, rng in backend.faults.for_run(name, now):
        if isinstance(effect, SlowReports):
            backend.reporting.slow_down(run_id, round(effect.delay.draw(rng) * 1_000_000))
        elif isinstance(effect, StuckRuns):
            backend.cluster.set_outcome(Outcome(run_id=run_id, stuck=True))
        else:
            error = effect.node_phase == "Error"
            task = effect.task or "*"
            backend.cluster.set_outcome(
                Outcome(task=task, run_id=run_id, failures=effect.attempts, error=error)
            )


async def kubernetes_write(backend: Backend) -> None:
    """Wait in the throttle of the API server's Kubernetes client: 5 a second, 10 at once, on the real server."""
    delay = backend.cluster.create_delay()
    if delay:
        await asyncio.sleep(delay / 1_000_000)


async def _access(backend: Backend, call: Call, verb: str) -> str:
    """Check that the caller may do `verb` with the run of the path, and return its id."""
    run_id = call.path["run_id"]
    if backend.access.multi_user:
        row = backend.runs.get(run_id, "namespace, workflow")
        try:
            if row is None:
                raise _unknown(run_id).wrapped(f"Failed to authorize with the run ID {run_id}")
            try:
                await backend.access.authorize(call, verb, "runs", row[0], row[1])
            except ApiFault as fault:
                context = f"Failed to access run {run_id}. Check if you have access to namespace {row[0]}"
                raise fault.wrapped(context) from None
        except ApiFault as fault:
            raise fault.wrapped("Failed to authorize the request") from None
    return run_id


def _unknown(run_id: str) -> ApiFault:
    return not_found("Run", run_id).wrapped(f"Failed to fetch run {run_id}")


async def get_run(backend: Backend, call: Call) -> Answer:
    """GET /runs/{run_id}."""
    try:
        run_id = await _access(backend, call, "get") if backend.access.multi_user else call.path["run_id"]
        body = backend.runs.body(run_id)
        if body is None:
            raise _unknown(run_id)
    except ApiFault as fault:
        raise fault.wrapped("Failed to get a run") from None
    return Answer(200, body, GATEWAY_HEADERS)


async def list_runs(backend: Backend, call: Call) -> Answer:
    """GET /runs: of an experiment, or of a namespace."""
    try:
        options = call.list_options(RUNS)
    except ApiFault as fault:
        raise fault.wrapped("Failed to create list options") from None
    experiment_id = call.text("experiment_id")
    scope = backend.access.namespace(call.text("namespace"))
    column = "tenant"
    try:
        if experiment_id:
            try:
                namespace = experiments.namespace_of(backend, experiment_id)
            except ApiFault as fault:
                raise fault.wrapped(
                    f"Failed to list runs due to error fetching namespace for experiment {experiment_id}. "
                    "Try filtering based on namespace"
                ) from None
            scope, column = experiment_id, "experiment_id"
        else:
            namespace = scope
        try:
            await backend.access.authorize(call, "list", "runs", namespace)
        except ApiFault as fault:
            raise fault.wrapped(
                "Failed to list runs due to authorization error. Check if you have permission to access namespace "
                f"{namespace}"
            ) from None
    except ApiFault as fault:
        raise fault.wrapped("Failed to list runs") from None
    page = backend.store.page(RUNS, options, column, scope, "body", "Failed to list runs")
    return reply_list("runs", [row[0] for row in page.rows], page.total_size, page.next_page_token)


async def archive_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:archive."""
    try:
        run_id = await _access(backend, call, "archive")
        if backend.runs.get(run_id, "1") is None:
            raise _unknown(run_id).wrapped(f"Failed to archive run {run_id} as it failed to be retrieved")
    except ApiFault as fault:
        raise fault.wrapped("Failed to archive a run") from None
    backend.runs.archive(run_id)
    return EMPTY


async def unarchive_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:unarchive: its experiment must be out of the archive."""
    try:
        run_id = await _access(backend, call, "unarchive")
        row = backend.runs.get(run_id, "experiment_id")
        if row is None:
            raise _unknown(run_id).wrapped(f"Failed to unarchive run {run_id} as it does not exist")
        try:
            experiment = experiments.find(backend, row[0])
        except ApiFault as fault:
            raise fault.wrapped(
                f"Failed to unarchive run {run_id} due to experiment fetching error"
            ) from None
        if experiment[5] == "ARCHIVED":
            raise failed_precondition(
                f"Failed to unarchive run {run_id} as experiment {row[0]} must be un-archived first",
                "Unarchive the experiment first to allow the run to be restored",
            )
    except ApiFault as fault:
        raise fault.wrapped("Failed to unarchive a run") from None
    backend.runs.unarchive(run_id)
    return EMPTY


def _owned(backend: Backend, run_id: str, verb: str) -> Any:
    """Return a run's row whose experiment exists: orphans can be read and archived, and no more.

    Raises:
        ApiFault: 404.

    """
    row = backend.runs.get(run_id, "experiment_id, phase, state")
    if row is None:
        raise _unknown(run_id).wrapped(f"Failed to {verb} run {run_id} due to error fetching the run")
    try:
        experiments.namespace_of(backend, row[0])
    except ApiFault as fault:
        raise fault.wrapped(
            f"Failed to fetch namespace from run {run_id}",
            f"Failed to {verb} run {run_id} due to error fetching its namespace",
        ) from None
    return row


async def delete_run(backend: Backend, call: Call) -> Answer:
    """DELETE /runs/{run_id}: the workflow goes too."""
    try:
        run_id = await _access(backend, call, "delete")
        _owned(backend, run_id, "delete")
    except ApiFault as fault:
        raise fault.wrapped("Failed to delete a run") from None
    await kubernetes_write(backend)
    backend.cluster.delete(run_id)
    backend.recurring.run_ended(run_id)
    _delete_row(backend, run_id)
    return EMPTY


def _delete_row(backend: Backend, run_id: str) -> None:
    row = backend.runs.get(run_id, "phase, namespace, display_name")
    if row is not None and row[0] in FINAL_PHASES:
        backend.metrics.run_deleted(row[1], row[2], succeeded=row[0] == "Succeeded")
    backend.runs.delete(run_id)


async def terminate_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:terminate."""
    try:
        run_id = await _access(backend, call, "terminate")
        _owned(backend, run_id, "terminate")
        if not backend.runs.cancel(run_id):
            fault = invalid_input(f"Failed to terminate a run {run_id}. Row not found")
            raise fault.wrapped(f"Failed to terminate run {run_id}")
    except ApiFault as fault:
        raise fault.wrapped("Failed to terminate a run") from None
    await kubernetes_write(backend)
    backend.cluster.terminate(run_id)
    return EMPTY


async def retry_run(backend: Backend, call: Call) -> Answer:
    """POST /runs/{run_id}:retry: only what failed runs again."""
    try:
        run_id = await _access(backend, call, "retry")
        _, phase, _ = _owned(backend, run_id, "retry")
        if not phase:
            raise bad_request(
                f"Failed to retry run {run_id} due to error fetching workflow manifest",
                "Invalid input error: Workflow manifest cannot be empty",
            )
        if phase not in RETRYABLE_PHASES:
            fault = bad_request("Workflow must be Failed/Error to retry", "workflow cannot be retried")
            raise fault.wrapped(f"Failed to retry run {run_id}")
    except ApiFault as fault:
        raise fault.wrapped("Failed to retry a run") from None
    await kubernetes_write(backend)
    backend.runs.retry(run_id, backend.clock.now())
    backend.cluster.retry(run_id, request=backend.request_again(run_id))
    return EMPTY
