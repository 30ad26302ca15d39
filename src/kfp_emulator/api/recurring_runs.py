"""Recurring runs: server/job_server.go and storage/job_store.go of kubeflow/pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.cluster.cron import CronError, parse_cron
from kfp_emulator.pipelines.ir import InvalidPipeline
from kfp_emulator.protocol.call import EMPTY, encode, reply, reply_list
from kfp_emulator.protocol.errors import (
    ApiFault,
    data_too_long,
    internal,
    invalid_input,
    not_found,
    plain_error,
    wrapping,
)
from kfp_emulator.protocol.messages import RECURRING_RUN
from kfp_emulator.server import experiments, recurring, run_creation, versions
from kfp_emulator.storage.schema import RECURRING_RUNS

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.protocol.errors import Answer
    from kfp_emulator.server.state import Backend

_KEPT = ("runtime_config", "trigger", "no_catchup", "plugins_input")


async def create_recurring_run(backend: Backend, call: Call) -> Answer:
    """POST /recurringruns; without a mode it is made disabled."""
    message = call.message(RECURRING_RUN)
    with wrapping("Failed to create a recurring run due to conversion error"):
        _check(message)
    with wrapping("Failed to create a recurring run"):
        recurring_run_id = await _create(backend, call, message)
    row = recurring.find(backend, recurring_run_id)
    assert row is not None  # noqa: S101  it was just made
    return reply(recurring.show(row))


def _check(message: dict[str, Any]) -> None:
    if not message.get("display_name"):
        raise internal(
            "Failed to convert a API recurring run to its internal representation",
            invalid_input("Recurring run's name cannot be empty"),
        )
    concurrency = message.get("max_concurrency", 0)
    if not 1 <= concurrency <= 10:
        raise invalid_input(
            f"Max concurrency of a recurring run must be at least 1 and at most 10. Received {concurrency}"
        )
    trigger = message.get("trigger", {})
    if "cron_schedule" in trigger:
        try:
            parse_cron(trigger["cron_schedule"].get("cron", ""))
        except CronError as error:
            raise invalid_input(
                f"Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron). Error: {error}"
            ) from None
    if "periodic_schedule" in trigger:
        interval = trigger["periodic_schedule"].get("interval_second", 0)
        if interval < 1:
            raise invalid_input(
                f"Found invalid period schedule interval {interval}. Set at interval to least 1 second"
            )


async def _create(backend: Backend, call: Call, message: dict[str, Any]) -> str:
    name = message["display_name"]
    with wrapping("Failed to create a recurring run due to invalid experimentId and namespace combination"):
        experiment_id, namespace = experiments.valid_pair(
            backend, message.get("experiment_id", ""), backend.access.namespace(message.get("namespace", ""))
        )
    with wrapping(
        "Failed to create a recurring run due to authorization error. Check if you have write permission to "
        f"namespace {namespace}"
    ):
        await backend.access.authorize(call, "create", "jobs", namespace, name)
    source = _source(backend, message)
    given = message.get("runtime_config", {}).get("parameters", {})
    try:
        run_creation.bind(source.pipeline, given)
    except ApiFault as fault:
        if source.pipeline_id and not source.version_id:
            context = "Failed to validate the input parameters on the latest pipeline version"
            raise fault.wrapped(context) from None
        raise fault.wrapped("Failed to create a recurring run during scheduled workflow creation") from None
    await run_creation.kubernetes_write(backend)
    for column, text in (("DisplayName", name), ("Description", message.get("description", ""))):
        if len(text) > run_creation.COLUMN_LENGTH:
            raise data_too_long(f"Failed to create job {name}", column).wrapped(
                "Failed to create a recurring run"
            )
    fields = {key: message[key] for key in _KEPT if key in message}
    fields["max_concurrency"] = message["max_concurrency"]
    fields["service_account"] = message.get("service_account", "")
    if not fields["service_account"] and (source.version_id or not source.pipeline_id):
        fields["service_account"] = run_creation.default_service_account(backend)
    return recurring.insert(
        backend,
        {
            "namespace": namespace or backend.access.system_namespace,
            "experiment_id": experiment_id,
            "display_name": name,
            "description": message.get("description", ""),
            "enabled": int(message.get("mode") == "ENABLE"),
            "pipeline_id": source.pipeline_id,
            "pipeline_version_id": source.version_id,
            "spec_id": source.spec_id,
            "fields": fields,
        },
    )


def _source(backend: Backend, message: dict[str, Any]) -> run_creation.Source:
    """Find what is to be run: with a pipeline alone, the newest version at the time of each run."""
    reference = message.get("pipeline_version_reference", {})
    pipeline_id = reference.get("pipeline_id", "")
    if pipeline_id and not reference.get("pipeline_version_id") and not message.get("pipeline_spec"):
        with wrapping(
            "Failed to get the latest template for a pipeline",
            "Failed to validate the input parameters on the latest pipeline version",
        ):
            version = versions.newest(backend, pipeline_id)
        latest = run_creation.resolve_source(
            backend, {"pipeline_version_reference": {"pipeline_version_id": version.id}}
        )
        return run_creation.Source(latest.shown, latest.spec_id, latest.pipeline, pipeline_id, "")
    if not reference and not message.get("pipeline_spec"):
        raise plain_error("Cannot create a job with an empty pipeline ID")
    try:
        return run_creation.resolve_source(backend, message)
    except (ApiFault, InvalidPipeline) as fault:
        cause = fault if isinstance(fault, ApiFault) else str(fault)
        raise internal(
            "Failed to create a recurring run with an invalid pipeline spec manifest", cause
        ) from None


async def _access(backend: Backend, call: Call, verb: str) -> str:
    recurring_run_id = call.path["recurring_run_id"]
    if backend.access.multi_user:
        with wrapping("failed to authorize with the recurring run ID", "Failed to authorize the request"):
            row = _find(backend, recurring_run_id)
        with wrapping("failed to authorize with API", "Failed to authorize the request"):
            await backend.access.authorize(call, verb, "jobs", row.namespace, row.display_name)
    return recurring_run_id


def _find(backend: Backend, recurring_run_id: str) -> recurring.RecurringRunRow:
    row = recurring.find(backend, recurring_run_id)
    if row is None:
        raise not_found("Job", recurring_run_id)
    return row


async def get_recurring_run(backend: Backend, call: Call) -> Answer:
    """GET /recurringruns/{recurring_run_id}."""
    with wrapping("Failed to fetch a recurring run"):
        recurring_run_id = await _access(backend, call, "get")
        return reply(recurring.show(_find(backend, recurring_run_id)))


async def list_recurring_runs(backend: Backend, call: Call) -> Answer:
    """GET /recurringruns: of an experiment, or of a namespace; the key of the list is `recurringRuns`."""
    with wrapping("Failed to list recurring runs due to error parsing the listing options"):
        options = call.list_options(RECURRING_RUNS)
    experiment_id = call.text("experiment_id")
    namespace = scope = backend.access.namespace(call.text("namespace"))
    column = "tenant"
    with wrapping("Failed to list jobs"):
        if experiment_id:
            with wrapping(
                "Failed to list recurring runs due to error fetching namespace for experiment "
                f"{experiment_id}. Try filtering based on namespace"
            ):
                namespace = experiments.namespace_of(backend, experiment_id)
            scope, column = experiment_id, "experiment_id"
        with wrapping(
            "Failed to list recurring runs due to authorization error. Check if you have permission to access "
            f"namespace {namespace}"
        ):
            context = "failed to authorize with API"
            await backend.access.authorize(call, "list", "jobs", namespace, context=context)
    page = backend.store.page(
        RECURRING_RUNS, options, column, scope, recurring.COLUMNS, "Failed to list jobs"
    )
    bodies = [encode(recurring.show(recurring.RecurringRunRow(*row))) for row in page.rows]
    return reply_list("recurringRuns", bodies, page.total_size, page.next_page_token)


async def _switch(backend: Backend, call: Call, *, enabled: bool) -> None:
    recurring_run_id = await _access(backend, call, "enable" if enabled else "disable")
    word = "true" if enabled else "false"
    with wrapping(
        f"Failed to change recurring run's mode to enable:{word}. "
        f"Check if recurring run {recurring_run_id} exists"
    ):
        _find(backend, recurring_run_id)
    await run_creation.kubernetes_write(backend)
    recurring.set_enabled(backend, recurring_run_id, enabled=enabled)


async def enable_recurring_run(backend: Backend, call: Call) -> Answer:
    """POST /recurringruns/{recurring_run_id}:enable."""
    with wrapping("Failed to enable a recurring run"):
        await _switch(backend, call, enabled=True)
    return EMPTY


async def disable_recurring_run(backend: Backend, call: Call) -> Answer:
    """POST /recurringruns/{recurring_run_id}:disable: its active runs go on."""
    with wrapping("Failed to disable a recurring run"):
        await _switch(backend, call, enabled=False)
    return EMPTY


async def delete_recurring_run(backend: Backend, call: Call) -> Answer:
    """DELETE /recurringruns/{recurring_run_id}."""
    with wrapping("Failed to delete a recurring run"):
        recurring_run_id = await _access(backend, call, "delete")
        with wrapping(f"Failed to delete recurring run {recurring_run_id}. Check if exists"):
            _find(backend, recurring_run_id)
    await run_creation.kubernetes_write(backend)
    recurring.delete(backend, recurring_run_id)
    return EMPTY
