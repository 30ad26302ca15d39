"""The runs that the schedules of recurring runs start.

A schedule that is pinned to a version (or has its own spec) submits workflows itself: such a run has no row
until its first report. One with a pipeline alone calls CreateRun, with the newest version each time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from kfp_emulator.cluster.nodes import task_id
from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.pipelines.ir import InvalidParameters, InvalidPipeline, bind_parameters
from kfp_emulator.protocol.call import encode
from kfp_emulator.protocol.errors import ApiFault
from kfp_emulator.server import run_creation
from kfp_emulator.server.recurring import RecurringRunRow, find, schedule_of
from kfp_emulator.server.state import PendingRun
from kfp_emulator.storage.run_store import STATES, NewRun

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Report
    from kfp_emulator.cluster.schedules import Firing, RecurringRun
    from kfp_emulator.server.state import Backend

_log = logging.getLogger("kfp_emulator")


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
        recurring = schedule_of(recurring_run_id, name, shown, enabled, msgspec.json.decode(fields), swf)
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
