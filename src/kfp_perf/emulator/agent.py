"""The persistence agent: reports workflows to the API server, with the lag that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.emulator.nodes import Node, Report, task_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.emulator.clock import Clock
    from kfp_perf.emulator.cluster_run import ClusterRun
    from kfp_perf.emulator.throttle import Throttle
    from kfp_perf.emulator.timing import Profile


class PersistenceAgent:
    """Reports a workflow a while after it changed; what changes meanwhile is in the same report.

    A few workers send the reports one after the other. The last report of a run costs the API server throttled
    writes to Kubernetes, for which its worker waits. `extra_delay_us` is an additional lag of every report.
    """

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        throttle: Throttle,
        deliver: Callable[[ClusterRun, Report], None],
    ) -> None:
        self._profile = profile
        self._clock = clock
        self._throttle = throttle
        self._deliver = deliver
        self._free_at = [0] * profile.report_workers
        self.extra_delay_us = 0

    def changed(self, run: ClusterRun, at: int) -> None:
        """Take notice of a change at `at`."""
        if run.reporting:
            return
        run.reporting = True
        lag = self._profile.report_delay_seconds.draw(run.workflow.draws, f"report:{at}")
        self._clock.call_at(at + lag + self.extra_delay_us, lambda: self._take_up(run))

    def _take_up(self, run: ClusterRun) -> None:
        """Give a report to the worker that is free first."""
        if run.gone:
            return
        now = self._clock.now()
        worker = min(range(len(self._free_at)), key=self._free_at.__getitem__)
        took = self._profile.report_seconds.draw(run.workflow.draws, f"reporting:{now}")
        done = self._free_at[worker] = max(now, self._free_at[worker]) + took
        if done <= now:
            self._send(run, worker)
        else:
            self._clock.call_at(done, lambda: self._send(run, worker))

    def _send(self, run: ClusterRun, worker: int) -> None:
        if run.gone:
            return
        now = self._clock.now()
        run.reporting = False
        if run.workflow.finished_at is not None:
            wait = self._throttle.take(now, self._profile.final_report_calls)
            self._free_at[worker] = max(self._free_at[worker], now + wait)
        self._deliver(run, report_of(run, now))


def report_of(run: ClusterRun, at: int) -> Report:
    """Return the report of a workflow as it stands, arriving at `at`."""
    workflow, run_id = run.workflow, run.request.run_id
    name, created_at = workflow.name, workflow.created_at
    nodes = [node.report(run_id, name, created_at, at) for node in workflow.tree.nodes]
    nodes += [_anonymous(run_id, execution_id, made_at) for execution_id, made_at in run.executions]
    return Report(
        run_id,
        workflow.phase,
        created_at,
        workflow.started_at,
        workflow.finished_at,
        tuple(nodes),
        at,
        workflow.message,
        name,
        run.request,
    )


def _anonymous(run_id: str, execution_id: int, at: int) -> Node:
    return Node(
        task_id(run_id, f"execution-{execution_id}"), "", "", "", at, at, at, (), (), "", execution_id
    )


__all__ = ["PersistenceAgent", "report_of"]
