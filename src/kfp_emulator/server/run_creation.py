"""The creation of a run: find its pipeline, bind its parameters, create its workflow and its row.

Follows CreateRun in resource/resource_manager.go of kubeflow/pipelines; schedules use the same steps.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.pipelines.compiler import InvalidWorkflow
from kfp_emulator.pipelines.ir import CompileError, InvalidParameters, InvalidPipeline, bind_parameters
from kfp_emulator.pipelines.packages import check_package, documents_of
from kfp_emulator.protocol.errors import (
    ApiFault,
    data_too_long,
    internal,
    invalid_input,
    plain_error,
    wrapping,
)
from kfp_emulator.server import versions
from kfp_emulator.server.faults import SlowReports, StuckRuns
from kfp_emulator.storage import plugins
from kfp_emulator.storage.run_store import NewRun

if TYPE_CHECKING:
    from kfp_emulator.pipelines.ir import Pipeline
    from kfp_emulator.pipelines.packages import Package
    from kfp_emulator.server.state import Backend
    from kfp_emulator.server.versions import VersionRow


COLUMN_LENGTH = 255
"""How many characters a run's or a recurring run's name or description may have in KFP's tables."""


def default_service_account(backend: Backend) -> str:
    """Return the account that runs use if none is named: Kubeflow's params.env sets another in multi-user mode."""
    return "default-editor" if backend.access.multi_user else "pipeline-runner"


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
        with wrapping(context):
            row = _version(backend, version_id, pipeline_id)
        spec_id = versions.spec_of(backend, row.id)
        shown = {
            "pipeline_version_reference": {"pipeline_id": row.pipeline_id, "pipeline_version_id": row.id}
        }
        return Source(shown, spec_id, backend.pipeline(spec_id), row.pipeline_id, row.id)
    spec = message.get("pipeline_spec")
    if spec is None:
        raise invalid_input("Failed to fetch a template with an empty pipeline spec manifest")
    with wrapping("Failed to fetch a template with an invalid pipeline spec manifest"):
        package = _inline_package(msgspec.json.encode(spec))
    if package.pipeline is None:
        raise InvalidPipeline("the emulator runs no v1 pipelines (Argo Workflows)")
    spec_id = backend.store.keep_spec(package.documents, package.shown)
    return Source({"pipeline_spec": msgspec.Raw(package.shown)}, spec_id, package.pipeline)


@lru_cache(maxsize=64)
def _inline_package(spec: bytes) -> Package:
    """Check a pipeline that was sent along; a load of runs sends the same one again and again."""
    return check_package(documents_of(msgspec.json.decode(spec)))


def _version(backend: Backend, version_id: str, pipeline_id: str) -> VersionRow:
    if not version_id:
        with wrapping(f"Failed to fetch a pipeline version and its manifest from pipeline {pipeline_id}"):
            return versions.newest(backend, pipeline_id)
    with wrapping(
        f"Failed to get a pipeline version with id {version_id}",
        f"Failed to fetch a pipeline version and its manifest from pipeline version {version_id}",
    ):
        row = versions.find(backend, version_id)
    if pipeline_id and row.pipeline_id != pipeline_id:
        raise invalid_input(
            f"Pipeline version {version_id} belongs to pipeline {row.pipeline_id} (not {pipeline_id})"
        )
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that was checked and may be started."""

    message: dict[str, Any]
    source: Source
    parameters: dict[str, Any]
    experiment_id: str
    namespace: str
    created_us: int
    """The moment of `created_at`: it is stamped before the write to Kubernetes, which may wait for its turn."""


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
    with wrapping("Failed to generate the ExecutionSpec"):
        parameters = bind(source.pipeline, message.get("runtime_config", {}).get("parameters", {}))
    return Prepared(message, source, parameters, experiment_id, namespace, backend.clock.now())


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
            f"Failed to store run {name} to table",
            f"Error 1062 (23000): Duplicate entry '{run_id}' for key 'PRIMARY'",
        ).wrapped("Failed to create a run")
    now = backend.clock.now()
    service_account = message.get("service_account") or default_service_account(backend)
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
    except InvalidWorkflow as error:
        raise internal("Failed to validate workflow for ()", str(error)) from None
    except CompileError as error:
        raise plain_error(str(error)).wrapped(
            "Failed to compile job", "Failed to generate the ExecutionSpec"
        ) from None
    for column, text in (("DisplayName", name), ("Description", message.get("description", ""))):
        if len(text) > COLUMN_LENGTH:  # the workflow is there by now, and stays
            raise data_too_long(f"Failed to store run {name} to table", column).wrapped(
                "Failed to create a run"
            )
    config = message.get("runtime_config", {})
    created_at = backend.time.seconds(prepared.created_us)
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
        created_at=created_at,
        scheduled_at=message.get("scheduled_at") or created_at,
        submitted_us=now,
        workflow=workflow,
        storage_state="ARCHIVED" if message.get("storage_state") == "ARCHIVED" else "AVAILABLE",
        recurring_run_id=recurring_run_id,
        plugins_input=message.get("plugins_input"),
        plugins_output=plugins.AT_CREATION if backend.identity.plugins else None,
    )
    body = backend.runs.insert(run)
    backend.truth.created(run_id, prepared.created_us)
    backend.truth.accepted(run_id, now)
    if backend.faults.on_runs:
        _disturb(backend, run_id, name, now)
    return body


def request_again(backend: Backend, run_id: str) -> RunRequest | None:
    """Return the request that a run was submitted with, from its row; None where it cannot be run any more."""
    columns = "display_name, namespace, spec_id, pipeline_name, parameters, service_account, submitted_us"
    row = backend.runs.get(run_id, f"{columns}, recurring_run_id")
    if row is None:
        return None
    name, namespace, spec_id, pipeline_name, parameters, account, submitted, recurring = row
    try:
        pipeline = backend.pipeline(spec_id)
    except InvalidPipeline:
        return None
    return RunRequest(
        run_id=run_id,
        name=name,
        pipeline=pipeline,
        parameters=msgspec.json.decode(parameters),
        namespace=namespace or backend.access.system_namespace,
        pipeline_name=pipeline_name,
        service_account=account,
        created_at=submitted,
        recurring_run_id=recurring or None,
    )


def _disturb(backend: Backend, run_id: str, name: str, now: int) -> None:
    """Apply the faults on runs to a new run."""
    for effect, rng in backend.faults.for_run(name, now):
        if isinstance(effect, SlowReports):
            backend.inbox.delays[run_id] = round(effect.delay.draw(rng) * 1_000_000)
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
