"""From the persistence agent's reports to the rows of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.server import scheduled_runs
from kfp_emulator.storage.run_store import FINAL_PHASES

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Report
    from kfp_emulator.server.state import Backend

COMMIT_DELAY_US = 200_000
"""How long a report may stay uncommitted without a request: any answer commits it first."""


def receive(backend: Backend, report: Report) -> None:
    """Apply a report that leaves the cluster now: at once, or after the delay that a fault sets for its run."""
    delay = backend.inbox.delays.get(report.run_id)
    if delay:
        backend.clock.call_at(backend.clock.now() + delay, lambda: _arrive(backend, report))
    else:
        _arrive(backend, report)


def _arrive(backend: Backend, report: Report) -> None:
    inbox = backend.inbox
    if inbox.down:
        inbox.held.append(report)
        return
    columns = "phase, namespace, display_name, tasks_due"
    before = backend.runs.get(report.run_id, columns)
    if before is None:
        if not scheduled_runs.adopt(backend, report):
            return
        before = backend.runs.get(report.run_id, columns)
    elif before[3] and report.phase not in FINAL_PHASES:
        return  # a run that had ended is played again for its last tasks
    # It may have been slow, or have waited for the end of an outage.
    now = backend.clock.now()
    later = max(0, report.tasks_at - report.at)
    backend.runs.apply(report._replace(at=now), with_tasks=not later)
    backend.truth.visible(report.run_id, now)
    if later:
        inbox.writing[report.run_id] = report.at
        backend.clock.call_at(now + later, lambda: _write_tasks(backend, report))
    else:
        inbox.writing.pop(report.run_id, None)
        backend.truth.tasks_visible(report.run_id, now)
    if report.phase in FINAL_PHASES:
        inbox.delays.pop(report.run_id, None)
        scheduled_runs.run_ended(backend, report.run_id)
        if before is not None and before[0] not in FINAL_PHASES:
            backend.metrics.run_ended(before[1], before[2], succeeded=report.phase == "Succeeded")
    _commit_soon(backend)


def _write_tasks(backend: Backend, report: Report) -> None:
    """Write the tasks of a report whose run is written already, unless a later report has come."""
    inbox = backend.inbox
    if inbox.writing.get(report.run_id) != report.at:
        return
    del inbox.writing[report.run_id]
    if inbox.down:  # the agent sends the whole report again
        inbox.held.append(report._replace(tasks_at=report.at))
    elif backend.runs.apply_tasks(report):
        backend.truth.tasks_visible(report.run_id, backend.clock.now())
        _commit_soon(backend)


def _commit_soon(backend: Backend) -> None:
    if not backend.inbox.commit_due:
        backend.inbox.commit_due = True
        backend.clock.call_at(backend.clock.now() + COMMIT_DELAY_US, lambda: _commit(backend))


def _commit(backend: Backend) -> None:
    backend.inbox.commit_due = False
    backend.store.commit()


def came_up(backend: Backend) -> None:
    """Apply what was held while the server was down: the agent's retries succeed."""
    inbox = backend.inbox
    inbox.down = False
    held, inbox.held = inbox.held, []
    for report in held:
        _arrive(backend, report)
