"""The rows of runs: made by CreateRun or by a schedule's first report, and changed by reports.

A run's JSON is kept ready in its row, so that reading costs no more than finding it. What the rows mean follows
resource/resource_manager.go and storage/run_store.go of kubeflow/pipelines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.cluster.nodes import Node
from kfp_emulator.protocol.call import encode, present
from kfp_emulator.protocol.wire import ZERO_GO_TIME, OutwardTime, rfc3339
from kfp_emulator.storage import plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_emulator.cluster.nodes import Report
    from kfp_emulator.storage.store import Row, Store

STATES = {
    "": "RUNTIME_STATE_UNSPECIFIED",
    "Pending": "PENDING",
    "Running": "RUNNING",
    "Succeeded": "SUCCEEDED",
    "Skipped": "SKIPPED",
    "Failed": "FAILED",
    "Error": "FAILED",
    "Omitted": "RUNTIME_STATE_UNSPECIFIED",
}
"""Argo's phases as v2beta1 states (model/run.go)."""

CONDITIONS = {
    "RUNTIME_STATE_UNSPECIFIED": "Unknown",
    "PENDING": "Pending",
    "RUNNING": "Running",
    "SUCCEEDED": "Succeeded",
    "SKIPPED": "Skipped",
    "FAILED": "Failed",
    "CANCELING": "Terminating",
    "CANCELED": "Failed",
    "PAUSED": "Pending",
}
"""The v1 names of the states, which the filter key `status` uses."""

FINAL_PHASES = frozenset({"Succeeded", "Failed", "Error"})
RETRYABLE_PHASES = frozenset({"Failed", "Error"})
TERMINABLE_STATES = frozenset({"PENDING", "RUNNING", "PAUSED", "RUNTIME_STATE_UNSPECIFIED"})
_UNSPECIFIED = "RUNTIME_STATE_UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is about to get its row; times are the server's seconds, but for `submitted_us`."""

    run_id: str
    namespace: str
    experiment_id: str
    display_name: str
    description: str
    source: dict[str, Any]
    """`pipeline_version_reference` or `pipeline_spec`, as the run shows it."""
    spec_id: str
    pipeline_name: str
    parameters: dict[str, Any]
    pipeline_root: str
    service_account: str
    created_at: int
    scheduled_at: int
    submitted_us: int
    workflow: str
    storage_state: str = "AVAILABLE"
    recurring_run_id: str = ""
    state: str = "PENDING"
    given_parameters: dict[str, Any] | None = None
    """The parameters that the client sent; `parameters` are those with the defaults filled in."""
    plugins_input: dict[str, Any] | None = None
    plugins_output: dict[str, Any] | None = None
    reported_at: int | None = None
    """When the report came that made the row, for runs that a schedule started; else the row is CreateRun's."""


class RunStore:
    """Reads and writes runs in a store.

    Args:
        store: where they are.
        tenant: the namespace that scopes lists (single-user mode has none).
        server_time, cluster_time: what the API server's and the controller's clocks show.

    """

    def __init__(
        self, store: Store, *, multi_user: bool, server_time: OutwardTime, cluster_time: OutwardTime
    ) -> None:
        self._store = store
        self._multi_user = multi_user
        self._server_time = server_time
        self._cluster_time = cluster_time

    def insert(self, run: NewRun) -> bytes:
        """Insert a run and return its JSON.

        Raises:
            sqlite3.IntegrityError: there is a run of this id.

        """
        row, body = self.row(run)
        self._store.write(INSERT, row)
        self._store.write(
            "UPDATE experiments SET last_run_created_at = ? WHERE id = ?", (run.created_at, run.experiment_id)
        )
        return body

    def row(self, run: NewRun) -> tuple[Sequence[Any], bytes]:
        """Return the row that a new run gets, and its JSON."""
        given = run.parameters if run.given_parameters is None else run.given_parameters
        created = rfc3339(run.created_at)
        body = encode(
            present(
                experiment_id=run.experiment_id,
                run_id=run.run_id,
                display_name=run.display_name,
                storage_state=run.storage_state,
                description=run.description,
                **run.source,
                runtime_config=present(parameters=given, pipeline_root=run.pipeline_root),
                service_account=run.service_account,
                created_at=created,
                scheduled_at=created if run.scheduled_at == run.created_at else rfc3339(run.scheduled_at),
                finished_at=_NEVER,
                state=_shown(run.state),
                recurring_run_id=run.recurring_run_id,
                state_history=[
                    _status(created if run.reported_at is None else rfc3339(run.reported_at), run.state)
                ],
                plugins_input=run.plugins_input,
                plugins_output=run.plugins_output,
            )
        )
        return (
            run.run_id,
            run.namespace if self._multi_user else "",
            run.namespace if self._multi_user else "",
            run.experiment_id,
            run.display_name,
            run.description,
            run.storage_state,
            run.state,
            CONDITIONS[run.state],
            run.created_at,
            run.scheduled_at,
            0,
            run.recurring_run_id,
            "",
            run.workflow,
            run.spec_id,
            run.pipeline_name,
            encode(run.parameters).decode(),
            run.service_account,
            run.submitted_us,
            body,
            0,
        ), body

    def body(self, run_id: str) -> bytes | None:
        """Return a run's JSON, or None."""
        row = self._store.one("SELECT body FROM runs WHERE id = ?", run_id)
        return None if row is None else row[0]

    def get(self, run_id: str, columns: str) -> Row | None:
        """Return some columns of a run, or None."""
        return self._store.one(f"SELECT {columns} FROM runs WHERE id = ?", run_id)  # noqa: S608  columns are constants

    def apply(self, report: Report, *, with_tasks: bool = True) -> str | None:
        """Write the run of a report; return the new state, None where there is no such run.

        An entry of the history is appended only when the state differs from the last one. Until a terminated
        run has ended, its state stays CANCELING whatever is reported. `with_tasks` writes the tasks, too.
        """
        row = self.get(report.run_id, "body, state, submitted_us")
        if row is None:
            return None
        document = msgspec.json.decode(row[0])
        phase = report.phase
        final = phase in FINAL_PHASES
        state = "CANCELING" if row[1] == "CANCELING" and not final else STATES[phase]
        history = document.get("state_history", [])
        if not history or history[-1].get("state", _UNSPECIFIED) != state:
            history.append(_status(rfc3339(self._server_time.seconds(report.at)), state))
        finished_at = self._cluster_time.seconds(report.finished_at) if final else 0
        document["state_history"] = history
        document["finished_at"] = rfc3339(finished_at)
        _set_state(document, state)
        if final and "plugins_output" in document:
            document["plugins_output"] = plugins.AT_THE_END
        if with_tasks:
            self._set_tasks(document, report, row[2])
        self._write(report.run_id, document, state, finished_at, phase, tasks_due=final and not with_tasks)
        if phase in RETRYABLE_PHASES:
            nodes = encode([node for node in report.nodes if node.node_id])
            self._store.write("INSERT OR REPLACE INTO failed_nodes VALUES (?, ?)", (report.run_id, nodes))
        return state

    def apply_tasks(self, report: Report) -> bool:
        """Write the tasks of a report whose run was written before; return whether there is such a run."""
        row = self.get(report.run_id, "body, submitted_us")
        if row is None:
            return False
        document = msgspec.json.decode(row[0])
        self._set_tasks(document, report, row[1])
        self._store.write(
            "UPDATE runs SET body = ?, tasks_due = 0 WHERE id = ?", (encode(document), report.run_id)
        )
        return True

    def _set_tasks(self, document: dict[str, Any], report: Report, created_us: int) -> None:
        """Put the tasks into a run's JSON, in the order of their random ids, as the database returns them.

        Tasks of an earlier attempt stay, until one of the same node is reported.
        """
        if not report.nodes:
            return
        create_time = rfc3339(self._cluster_time.seconds(created_us))
        tasks = {node.task_id: self._task(report.run_id, create_time, node) for node in report.nodes}
        for task in document.get("run_details", {}).get("task_details", ()):
            tasks.setdefault(task["task_id"], task)
        document["run_details"] = {"task_details": [tasks[key] for key in sorted(tasks)]}

    def failed_nodes(self, run_id: str) -> list[Node]:
        """Return the nodes of a failed run as they were last reported: what a retry needs; empty if unknown."""
        row = self._store.one("SELECT nodes FROM failed_nodes WHERE run_id = ?", run_id)
        return [] if row is None else msgspec.json.decode(row[0], type=list[Node])

    def _task(self, run_id: str, create_time: str, node: Node) -> dict[str, Any]:
        seconds = self._cluster_time.seconds
        return present(
            run_id=run_id,
            task_id=node.task_id,
            display_name=node.display_name,
            create_time=create_time,
            start_time=ZERO_GO_TIME if node.started_at is None else rfc3339(seconds(node.started_at)),
            end_time=ZERO_GO_TIME if node.finished_at is None else rfc3339(seconds(node.finished_at)),
            execution_id=str(node.execution_id) if node.execution_id else "",
            state=_shown(STATES[node.phase]),
            state_history=[
                _status(rfc3339(self._server_time.seconds(at)), STATES[phase]) for at, phase in node.history
            ],
            child_tasks=[{"pod_name": child} for child in node.children],
        )

    def cancel(self, run_id: str) -> bool:
        """Set CANCELING at once (the history gets it with the next report); return whether it could be."""
        row = self.get(run_id, "body, state, phase")
        if row is None or row[1] not in TERMINABLE_STATES:
            return False
        document = msgspec.json.decode(row[0])
        _set_state(document, "CANCELING")
        self._write(run_id, document, "CANCELING", 0, row[2])
        return True

    def retry(self, run_id: str, at: int) -> None:
        """Put a failed run back to RUNNING, unfinished."""
        row = self.get(run_id, "body")
        if row is None:
            return
        document = msgspec.json.decode(row[0])
        document["finished_at"] = _NEVER
        document["state_history"].append(_status(rfc3339(self._server_time.seconds(at)), "RUNNING"))
        _set_state(document, "RUNNING")
        if "plugins_output" in document:
            document["plugins_output"] = plugins.AT_A_RETRY
        self._write(run_id, document, "RUNNING", 0, "Running")
        self._store.write("DELETE FROM failed_nodes WHERE run_id = ?", (run_id,))

    def _write(
        self,
        run_id: str,
        document: dict[str, Any],
        state: str,
        finished_at: int,
        phase: str,
        *,
        tasks_due: bool = False,
    ) -> None:
        self._store.write(
            "UPDATE runs SET state = ?, conditions = ?, finished_at = ?, phase = ?, body = ?, tasks_due = ?"
            " WHERE id = ?",
            (state, CONDITIONS[state], finished_at, phase, encode(document), int(tasks_due), run_id),
        )

    def archive(self, run_id: str) -> None:
        """Archive one run."""
        self._store.write(f"{_MOVE} WHERE id = ? AND storage_state = ?", (*_TO_ARCHIVE, run_id, "AVAILABLE"))

    def archive_all(self, experiment_id: str) -> None:
        """Archive all runs of an experiment."""
        self._store.write(
            f"{_MOVE} WHERE experiment_id = ? AND storage_state = ?",
            (*_TO_ARCHIVE, experiment_id, "AVAILABLE"),
        )

    def unarchive(self, run_id: str) -> None:
        """Take one run out of the archive."""
        self._store.write(f"{_MOVE} WHERE id = ? AND storage_state = ?", (*_FROM_ARCHIVE, run_id, "ARCHIVED"))

    def delete(self, run_id: str) -> None:
        """Delete a run."""
        self._store.write("DELETE FROM runs WHERE id = ?", (run_id,))
        self._store.write("DELETE FROM failed_nodes WHERE run_id = ?", (run_id,))

    def unfinished_of_schedules(self) -> list[Row]:
        """Return id and recurring run of all unfinished runs that a schedule started."""
        return self._store.all(
            "SELECT id, recurring_run_id FROM runs INDEXED BY runs_unfinished"
            " WHERE phase NOT IN ('Succeeded', 'Failed', 'Error') AND recurring_run_id <> ''"
        )

    def unfinished(self) -> list[Row]:
        """Return id, state and submission of all runs that are unfinished or without their last tasks, in order."""
        return self._store.all(
            "SELECT id, state, submitted_us FROM runs INDEXED BY runs_unfinished"
            " WHERE phase NOT IN ('Succeeded', 'Failed', 'Error')"
            " UNION SELECT id, state, submitted_us FROM runs INDEXED BY runs_tasks_due WHERE tasks_due"
            " ORDER BY submitted_us"
        )


INSERT = "INSERT INTO runs VALUES (" + ", ".join("?" * 22) + ")"  # noqa: S608  only marks
_NEVER = rfc3339(0)

# The run's own storage_state is the first one in its JSON: before it come only ids and a name, whose quotes are
# escaped. So an archive of 100,000 runs is one statement, and decodes nothing.
_MOVE = (
    "UPDATE runs SET storage_state = ?, body = CAST(substr(CAST(body AS TEXT), 1, instr(CAST(body AS TEXT), ?) - 1)"
    " || ? || substr(CAST(body AS TEXT), instr(CAST(body AS TEXT), ?) + length(?)) AS BLOB)"
)
_AVAILABLE, _ARCHIVED = '"storage_state":"AVAILABLE"', '"storage_state":"ARCHIVED"'
_TO_ARCHIVE = ("ARCHIVED", _AVAILABLE, _ARCHIVED, _AVAILABLE, _AVAILABLE)
_FROM_ARCHIVE = ("AVAILABLE", _ARCHIVED, _AVAILABLE, _ARCHIVED, _ARCHIVED)


def _shown(state: str) -> str:
    """Return a state as JSON shows it: the unspecified one is a zero, and so absent."""
    return "" if state == _UNSPECIFIED else state


def _status(update_time: str, state: str) -> dict[str, str]:
    return (
        {"update_time": update_time}
        if state == _UNSPECIFIED
        else {"update_time": update_time, "state": state}
    )


def _set_state(document: dict[str, Any], state: str) -> None:
    if state == _UNSPECIFIED:
        document.pop("state", None)
    else:
        document["state"] = state
