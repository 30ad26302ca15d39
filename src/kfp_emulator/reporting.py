"""From the persistence agent's reports to the rows of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.storage.run_store import FINAL_PHASES

if TYPE_CHECKING:
    from kfp_emulator.backend import Backend
    from kfp_emulator.cluster.nodes import Report

COMMIT_DELAY_US = 200_000
"""How long a report may stay uncommitted while nobody asks: any answer commits it first."""


class Reporting:
    """Takes reports as they arrive at the API server; holds those of slowed runs, and those of an outage."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._delays: dict[str, int] = {}
        self._held: list[Report] = []
        self._commit_due = False
        self.down = False

    def slow_down(self, run_id: str, delay_us: int) -> None:
        """Let every report of a run come so much later."""
        self._delays[run_id] = delay_us

    def receive(self, report: Report) -> None:
        """A report leaves the cluster."""
        delay = self._delays.get(report.run_id)
        if delay:
            clock = self._backend.clock
            clock.call_at(clock.now() + delay, lambda: self._arrive(report))
        else:
            self._arrive(report)

    def _arrive(self, report: Report) -> None:
        if self.down:
            self._held.append(report)
            return
        backend = self._backend
        before = backend.runs.get(report.run_id, "phase, namespace, display_name")
        if before is None:
            if not backend.recurring.adopt(report):
                return
            before = backend.runs.get(report.run_id, "phase, namespace, display_name")
        # It may have been slow, or have waited for the end of an outage.
        now = backend.clock.now()
        backend.runs.apply(report._replace(at=now))
        backend.truth.visible(report.run_id, now)
        if report.phase in FINAL_PHASES:
            self._delays.pop(report.run_id, None)
            backend.recurring.run_ended(report.run_id)
            if before is not None and before[0] not in FINAL_PHASES:
                backend.metrics.run_ended(before[1], before[2], succeeded=report.phase == "Succeeded")
        if not self._commit_due:
            self._commit_due = True
            backend.clock.call_at(backend.clock.now() + COMMIT_DELAY_US, self._commit)

    def _commit(self) -> None:
        self._commit_due = False
        self._backend.store.commit()

    def came_up(self) -> None:
        """The server is back: the agent's retries succeed."""
        self.down = False
        held, self._held = self._held, []
        for report in held:
            self._arrive(report)

    def forget(self) -> None:
        """Drop what is held, for runs that are gone."""
        self._delays.clear()
        self._held.clear()
