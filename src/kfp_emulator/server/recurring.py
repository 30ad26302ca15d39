"""The rows of recurring runs, and the runs that their schedules start.

A schedule that is pinned to a version (or has its own spec) submits workflows itself: such a run has no row
until its first report. One with a pipeline alone calls CreateRun, with the newest version each time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kfp_emulator.cluster.nodes import task_id
from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.cluster.schedules import RecurringRun, Trigger, swf_name
from kfp_emulator.pipelines.ir import InvalidParameters, InvalidPipeline, bind_parameters
from kfp_emulator.protocol.call import encode, present
from kfp_emulator.protocol.errors import ApiFault
from kfp_emulator.protocol.wire import rfc3339
from kfp_emulator.server import run_creation
from kfp_emulator.server.state import PendingRun
from kfp_emulator.storage.run_store import STATES, NewRun

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Report
    from kfp_emulator.cluster.schedules import Firing
    from kfp_emulator.server.state import Backend

_log = logging.getLogger("kfp_emulator")

COLUMNS = (
    "id, namespace, experiment_id, display_name, description, created_at, updated_at, enabled, pipeline_id,"
    " pipeline_version_id, spec_id, swf_name, fields,"
    " CASE WHEN pipeline_id = '' THEN (SELECT document FROM specs WHERE specs.id = spec_id) END"
)


class RecurringRunRow(NamedTuple):
    """The columns of COLUMNS; `fields` is JSON. `spec` is None for a recurring run of a pipeline."""

    id: str
    namespace: str
    experiment_id: str
    display_name: str
    description: str
    created_at: int
    updated_at: int
    enabled: int
    pipeline_id: str
    pipeline_version_id: str
    spec_id: str
    swf_name: str
    fields: str
    spec: bytes | None


def show(row: RecurringRunRow) -> dict[str, Any]:
    """Shape a recurring run's row as its message."""
    given = msgspec.json.decode(row.fields)
    reference = present(pipeline_id=row.pipeline_id, pipeline_version_id=row.pipeline_version_id)
    return present(
        recurring_run_id=row.id,
        display_name=row.display_name,
        description=row.description,
        pipeline_spec=msgspec.Raw(row.spec) if row.spec else None,
        pipeline_version_reference=reference,
        runtime_config=given.get("runtime_config"),
        service_account=given.get("service_account"),
        max_concurrency=str(given["max_concurrency"]),
    ) | {
        "trigger": _show_trigger(given.get("trigger", {})),
        **present(
            mode="ENABLE" if row.enabled else "DISABLE",
            created_at=rfc3339(row.created_at),
            updated_at=rfc3339(row.updated_at),
            status="ENABLED" if row.enabled else "DISABLED",
            no_catchup=given.get("no_catchup"),
            namespace=row.namespace,
            experiment_id=row.experiment_id,
            plugins_input=given.get("plugins_input"),
        ),
    }


def _show_trigger(trigger: dict[str, Any]) -> dict[str, Any]:
    """Write a trigger's times as text; a trigger without a schedule is an empty object."""
    shown: dict[str, Any] = {}
    for kind in ("cron_schedule", "periodic_schedule"):
        if kind not in trigger:
            continue
        schedule = dict(trigger[kind])
        for time in ("start_time", "end_time"):
            if time in schedule:
                schedule[time] = rfc3339(schedule[time])
        if "interval_second" in schedule:
            schedule["interval_second"] = str(schedule["interval_second"])
        shown[kind] = present(**schedule)
    return shown


def find(backend: Backend, recurring_run_id: str) -> RecurringRunRow | None:
    """Return a recurring run's row, or None."""
    row = backend.store.one(f"SELECT {COLUMNS} FROM recurring_runs WHERE id = ?", recurring_run_id)  # noqa: S608  constant
    return None if row is None else RecurringRunRow(*row)


def insert(backend: Backend, values: dict[str, Any]) -> str:
    """Insert a recurring run, add it to the controller, and return its id."""
    recurring_run_id = backend.new_id()
    now = backend.clock.now()
    seconds = backend.time.seconds(now)
    name = swf_name(values["display_name"], backend.seed, recurring_run_id)
    row = {
        **values,
        "id": recurring_run_id,
        "tenant": backend.access.namespace(values["namespace"]),
        "created_at": seconds,
        "updated_at": seconds,
        "created_us": now,
        "fields": encode(values["fields"]).decode(),
        "swf_name": name,
    }
    columns = ", ".join(row)
    marks = ", ".join("?" * len(row))
    sql = f"INSERT INTO recurring_runs ({columns}) VALUES ({marks})"  # noqa: S608  names of ours
    backend.store.write(sql, list(row.values()))
    backend.schedules.add(
        _scheduled(
            recurring_run_id,
            values["display_name"],
            backend.cluster_time.microseconds(now),
            values["enabled"],
            values["fields"],
            name,
        )
    )
    return recurring_run_id


def set_enabled(backend: Backend, recurring_run_id: str, *, enabled: bool) -> None:
    """Enable or disable a recurring run; its active runs go on."""
    backend.store.write(
        "UPDATE recurring_runs SET enabled = ?, updated_at = ? WHERE id = ?",
        (int(enabled), backend.seconds(), recurring_run_id),
    )
    backend.schedules.set_enabled(recurring_run_id, enabled=enabled)


def disable_all(backend: Backend, experiment_id: str) -> None:
    """Disable all recurring runs of an experiment, which is being archived."""
    rows = backend.store.all(
        "SELECT id FROM recurring_runs WHERE experiment_id = ? AND enabled", experiment_id
    )
    for (recurring_run_id,) in rows:
        set_enabled(backend, recurring_run_id, enabled=False)


def delete(backend: Backend, recurring_run_id: str) -> None:
    """Delete a recurring run; the runs that it made stay."""
    backend.schedules.remove(recurring_run_id)
    backend.store.write("DELETE FROM recurring_runs WHERE id = ?", (recurring_run_id,))


def start(backend: Backend, firing: Firing) -> str | None:
    """Start the run of a slot; None where it cannot be."""
    recurring_run_id = firing.recurring_run.id
    row = find(backend, recurring_run_id)
    if row is None:
        return None
    run_id = task_id(recurring_run_id, firing.name)  # KFP derives it from the same two, so a slot runs once
    if backend.runs.get(run_id, "1") is None:
        pending = PendingRun(recurring_run_id, run_id, firing.name, firing.slot, backend.clock.now())
        started = (
            _submit(backend, row, pending)
            if row.pipeline_version_id or not row.pipeline_id
            else _call_create_run(backend, row, pending)
        )
        if not started:
            return None
    _keep_progress(backend, firing)
    return run_id


def run_ended(backend: Backend, run_id: str) -> None:
    """Let the schedule of a run that has ended, or is gone, start another; the report of that touches its row."""
    recurring_run_id = backend.schedules.run_ended(run_id)
    if recurring_run_id:
        backend.store.write(
            "UPDATE recurring_runs SET updated_at = ? WHERE id = ?", (backend.seconds(), recurring_run_id)
        )


def _keep_progress(backend: Backend, firing: Firing) -> None:
    recurring_run_id = firing.recurring_run.id
    pending = [each for each in backend.pending.values() if each.recurring_run_id == recurring_run_id]
    progress = {"slot": firing.slot, "index": firing.index, "pending": pending}
    backend.store.write(
        "UPDATE recurring_runs SET progress = ?, updated_at = ? WHERE id = ?",
        (encode(progress).decode(), backend.seconds(), recurring_run_id),
    )


def _submit(backend: Backend, row: RecurringRunRow, pending: PendingRun) -> bool:
    """Create the workflow of a pinned schedule, as its controller does by itself."""
    request = _request(backend, row, pending)
    if request is None:
        return False
    try:
        backend.cluster.submit(request, name=pending.name)
    except InvalidPipeline:
        return False
    backend.pending[pending.run_id] = pending
    backend.truth.accepted(pending.run_id, pending.at)
    return True


def _request(backend: Backend, row: RecurringRunRow, pending: PendingRun) -> RunRequest | None:
    given = msgspec.json.decode(row.fields)
    try:
        pipeline = backend.pipeline(row.spec_id)
        parameters = bind_parameters(pipeline, given.get("runtime_config", {}).get("parameters", {}))
    except (InvalidPipeline, InvalidParameters):
        return None
    return RunRequest(
        run_id=pending.run_id,
        name=pending.name,
        pipeline=pipeline,
        parameters=parameters,
        namespace=row.namespace,
        pipeline_name=pipeline.name,
        service_account=given.get("service_account", ""),
        created_at=pending.at,
        recurring_run_id=row.id,
    )


def _call_create_run(backend: Backend, row: RecurringRunRow, pending: PendingRun) -> bool:
    """Call CreateRun with the newest version, as the controller does for a schedule with a pipeline alone."""
    given = msgspec.json.decode(row.fields)
    message = {
        "run_id": pending.run_id,
        "display_name": pending.name,
        "pipeline_version_reference": {"pipeline_id": row.pipeline_id},
        "runtime_config": given.get("runtime_config", {}),
        "service_account": given.get("service_account", ""),
        "recurring_run_id": row.id,
    }
    try:
        prepared = run_creation.prepare(
            backend, message, row.experiment_id, backend.access.namespace(row.namespace)
        )
    except ApiFault as fault:
        _log.info("recurring run %s: %s", row.id, fault)
        return False
    backend.clock.call_at(pending.at + backend.cluster.create_delay(), lambda: _finish(backend, prepared))
    return True


def _finish(backend: Backend, prepared: run_creation.Prepared) -> None:
    try:
        run_creation.start(backend, prepared)
    except ApiFault as fault:
        _log.info("a recurring run could not start a run: %s", fault)
        run_ended(backend, prepared.message["run_id"])


def adopt(backend: Backend, report: Report) -> bool:
    """Insert the row of a run at its first report, if a pinned schedule started it; return whether one did."""
    pending = backend.pending.pop(report.run_id, None)
    row = None if pending is None else find(backend, pending.recurring_run_id)
    if pending is None or row is None:
        return False
    given = msgspec.json.decode(row.fields)
    config = given.get("runtime_config", {})
    pipeline = backend.pipeline(row.spec_id)
    source = (
        {
            "pipeline_version_reference": {
                "pipeline_id": row.pipeline_id,
                "pipeline_version_id": row.pipeline_version_id,
            }
        }
        if row.pipeline_id
        else {"pipeline_spec": msgspec.Raw(row.spec or b"")}
    )
    parameters = config.get("parameters", {})
    run = NewRun(
        run_id=pending.run_id,
        namespace=row.namespace,
        experiment_id=row.experiment_id,
        display_name=pending.name,
        description="",
        source=source,
        spec_id=row.spec_id,
        pipeline_name=pipeline.name,
        parameters=bind_parameters(pipeline, parameters),
        given_parameters=parameters,
        pipeline_root=config.get("pipeline_root", ""),
        service_account="",  # the controller creates the workflow, and the report names none
        created_at=backend.cluster_time.seconds(pending.at),
        scheduled_at=pending.slot,
        submitted_us=pending.at,
        workflow=pending.name,
        recurring_run_id=row.id,
        state=STATES[report.phase],
        reported_at=backend.time.seconds(report.at),
    )
    backend.runs.insert(run)
    backend.metrics.recurring_report_gap((report.at - pending.at) / 1_000_000)
    return True


def resume(backend: Backend) -> None:
    """Take up the schedules of a kept store: their progress, and the runs that had no row yet."""
    store = backend.store
    active: dict[str, set[str]] = {}
    for run_id, recurring_run_id in backend.runs.unfinished_of_schedules():
        active.setdefault(recurring_run_id, set()).add(run_id)
    columns = "id, display_name, created_us, enabled, fields, swf_name, progress"
    for row in store.all(f"SELECT {columns} FROM recurring_runs ORDER BY created_us"):  # noqa: S608  constant
        recurring_run_id, name, created, enabled, fields, swf, progress = row
        shown = backend.cluster_time.microseconds(created)
        recurring = _scheduled(recurring_run_id, name, shown, enabled, msgspec.json.decode(fields), swf)
        recurring.active = active.get(recurring_run_id, set())
        if progress:
            kept = msgspec.json.decode(progress, type=_Progress)
            recurring.last_slot, recurring.last_index = kept.slot, kept.index
            _resubmit(backend, recurring, kept.pending)
        backend.schedules.add(recurring)


def _resubmit(backend: Backend, recurring: RecurringRun, pending: list[PendingRun]) -> None:
    for each in pending:
        row = find(backend, each.recurring_run_id)
        if row is not None and backend.runs.get(each.run_id, "1") is None and _submit(backend, row, each):
            recurring.active.add(each.run_id)


class _Progress(msgspec.Struct):
    """How far a schedule is."""

    slot: int
    index: int
    pending: list[PendingRun]


def _scheduled(
    recurring_run_id: str, name: str, created: int, enabled: int, fields: dict[str, Any], swf: str
) -> RecurringRun:
    trigger = fields.get("trigger", {})
    cron, periodic = trigger.get("cron_schedule", {}), trigger.get("periodic_schedule", {})
    schedule = cron or periodic
    return RecurringRun(
        id=recurring_run_id,
        name=name,
        created_at=created,
        trigger=Trigger(
            cron=cron.get("cron", ""),
            interval_seconds=periodic.get("interval_second", 0),
            start_time=schedule.get("start_time"),
            end_time=schedule.get("end_time"),
        ),
        enabled=bool(enabled),
        max_concurrency=fields["max_concurrency"],
        catchup=not fields.get("no_catchup", False),
        swf_name=swf,
    )
