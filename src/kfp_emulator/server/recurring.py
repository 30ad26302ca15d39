"""The rows of recurring runs, and the schedules that the controller of the cluster gets from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kfp_emulator.cluster.schedules import RecurringRun, Trigger, swf_name
from kfp_emulator.protocol.call import encode, present
from kfp_emulator.protocol.wire import rfc3339

if TYPE_CHECKING:
    from kfp_emulator.server.state import Backend

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
        schedule_of(
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


def schedule_of(
    recurring_run_id: str, name: str, created: int, enabled: int, fields: dict[str, Any], swf: str
) -> RecurringRun:
    """Return what the controller needs of a recurring run; `created` in microseconds of the cluster's clock."""
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
