"""Recurring runs as the API server keeps them, beside the schedule controller that makes their runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.emulator.call import encode, present
from kfp_perf.emulator.wire import rfc3339

if TYPE_CHECKING:
    from kfp_perf.emulator.backend import Backend
    from kfp_perf.emulator.nodes import Report
    from kfp_perf.emulator.store import Row

COLUMNS = (
    "id, namespace, experiment_id, display_name, description, created_at, updated_at, enabled, pipeline_id,"
    " pipeline_version_id, spec_id, swf_name, fields,"
    " CASE WHEN pipeline_id = '' THEN (SELECT document FROM specs WHERE specs.id = spec_id) END"
)


def show(row: Row) -> dict[str, Any]:
    """Shape a recurring run's row as its message."""
    (
        recurring_run_id,
        namespace,
        experiment_id,
        display_name,
        description,
        created_at,
        updated_at,
        enabled,
        pipeline_id,
        version_id,
        _,
        _,
        fields,
        spec,
    ) = row
    given = msgspec.json.decode(fields)
    reference = present(pipeline_id=pipeline_id, pipeline_version_id=version_id)
    return present(
        recurring_run_id=recurring_run_id,
        display_name=display_name,
        description=description,
        pipeline_spec=msgspec.Raw(spec) if spec else None,
        pipeline_version_reference=reference,
        runtime_config=given.get("runtime_config"),
        service_account=given.get("service_account"),
        max_concurrency=str(given["max_concurrency"]),
    ) | {
        "trigger": _show_trigger(given.get("trigger", {})),
        **present(
            mode="ENABLE" if enabled else "DISABLE",
            created_at=rfc3339(created_at),
            updated_at=rfc3339(updated_at),
            status="ENABLED" if enabled else "DISABLED",
            no_catchup=given.get("no_catchup"),
            namespace=namespace,
            experiment_id=experiment_id,
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


def swf_name(display_name: str, recurring_run_id: str) -> str:
    """Return the Kubernetes name of a schedule: what its name has of [a-z0-9-], cut to 25, and five letters."""
    kept = re.sub("[^a-z0-9-]", "", display_name.lower())[:25]
    letters = recurring_run_id.replace("-", "")[-5:].translate(_LETTERS)
    return f"{kept}{letters}"


_LETTERS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


class RecurringRuns:
    """The rows of recurring runs, and what their schedules do."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def find(self, recurring_run_id: str) -> Row | None:
        """Return a recurring run's row, or None."""
        return self._backend.store.one(f"SELECT {COLUMNS} FROM recurring_runs WHERE id = ?", recurring_run_id)  # noqa: S608  constant

    def insert(self, values: dict[str, Any]) -> str:
        """Insert a recurring run, hand it to the controller, and return its id."""
        recurring_run_id = self._backend.new_id()
        now = self._backend.clock.now()
        seconds = self._backend.time.seconds(now)
        row = {
            **values,
            "id": recurring_run_id,
            "tenant": self._backend.access.namespace(values["namespace"]),
            "created_at": seconds,
            "updated_at": seconds,
            "created_us": now,
            "fields": encode(values["fields"]).decode(),
            "swf_name": swf_name(values["display_name"], recurring_run_id),
        }
        columns = ", ".join(row)
        marks = ", ".join("?" * len(row))
        sql = f"INSERT INTO recurring_runs ({columns}) VALUES ({marks})"  # noqa: S608  names of ours
        self._backend.store.write(sql, list(row.values()))
        return recurring_run_id

    def set_enabled(self, recurring_run_id: str, *, enabled: bool) -> None:
        """Enable or disable a recurring run; its active runs go on."""
        self._backend.store.write(
            "UPDATE recurring_runs SET enabled = ?, updated_at = ? WHERE id = ?",
            (int(enabled), self._backend.seconds(), recurring_run_id),
        )

    def disable_all(self, experiment_id: str) -> None:
        """Disable all recurring runs of an experiment, which is being archived."""
        rows = self._backend.store.all(
            "SELECT id FROM recurring_runs WHERE experiment_id = ? AND enabled", experiment_id
        )
        for (recurring_run_id,) in rows:
            self.set_enabled(recurring_run_id, enabled=False)

    def delete(self, recurring_run_id: str) -> None:
        """Delete a recurring run; the runs that it made stay."""
        self._backend.store.write("DELETE FROM recurring_runs WHERE id = ?", (recurring_run_id,))

    def adopt(self, _report: Report) -> bool:
        """Give a run its row at its first report, if a schedule made it; tell whether it is one."""
        return False

    def resume(self) -> None:
        """Take up the schedules of a kept store."""

    def reset(self) -> None:
        """Forget all schedules."""
