"""The persistence agent: reports workflows to the API server, with the lag that it has."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from kfp_emulator.cluster.nodes import Node, Report, task_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.cluster_run import ClusterRun
    from kfp_emulator.cluster.throttle import Throttle
    from kfp_emulator.cluster.timing import Profile


class PersistenceAgent:
    """Reports a workflow a while after it changed; what changes meanwhile is in the same report.

    A few workers send the reports one after the other. The last report of a run costs the API server throttled
    writes to Kubernetes, for which its worker waits.
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
        self._free = profile.report_workers
        self._queue: deque[ClusterRun] = deque()
        self._held_until = 0

    def hold(self, until: int) -> None:
        """Report nothing before `until`: the agent is down."""
        self._held_until = until

    def changed(self, run: ClusterRun, at: int) -> None:
        """Plan a report of a change at `at`."""
        if run.reporting:
            return
        run.reporting = True
        lag = self._profile.report_delay_seconds.draw(run.workflow.draws, f"report:{at}")
        self._clock.call_at(at + lag, lambda: self._take_up(run))

    def _take_up(self, run: ClusterRun) -> None:
        if self._clock.now() < self._held_until:
            self._clock.call_at(self._held_until, lambda: self._take_up(run))
            return
        self._queue.append(run)
        self._work()

    def _work(self) -> None:
        """Let the workers that are free begin with the reports that wait longest."""
        while self._free and self._queue:
            run = self._queue.popleft()
            if not run.gone:
                self._free -= 1
                took = self._profile.report_seconds.draw(run.workflow.draws, f"reporting:{self._clock.now()}")
                self._after(took, run, self._send)

    def _after(self, duration: int, run: ClusterRun, step: Callable[[ClusterRun], None]) -> None:
        if duration:
            self._clock.call_at(self._clock.now() + duration, lambda: step(run))
        else:
            step(run)

    def _send(self, run: ClusterRun) -> None:
        now = self._clock.now()
        run.reporting = False
        busy = 0
        if not run.gone:
            busy = self._busy(run, now)
            self._deliver(run, report_of(run, now, now + busy))
        self._after(busy, run, self._sent)

    def _busy(self, run: ClusterRun, now: int) -> int:
        """Return how long the API server needs from the row of a run to those of its tasks."""
        profile, draws = self._profile, run.workflow.draws
        busy = profile.report_tasks_seconds.draw(draws, f"tasks:{now}")
        if run.workflow.finished_at is not None:
            busy += self._throttle.take(now, profile.final_report_calls)
            for number in range(profile.final_report_calls):
                busy += profile.create_seconds.draw(draws, f"final:{now}:{number}")
        return busy

    def _sent(self, _: ClusterRun) -> None:
        self._free += 1
        self._work()


def report_of(run: ClusterRun, at: int, tasks_at: int) -> Report:
    """Return the report of a workflow as it stands, written at `at`, and its tasks at `tasks_at`."""
    workflow, run_id = run.workflow, run.request.run_id
    name, created_at = workflow.name, workflow.created_at
    nodes = [
        node.report(run_id, name, created_at, tasks_at) if node.stale or node.view is None else node.view
        for node in workflow.tree.nodes
    ]
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
        tasks_at,
    )


def _anonymous(run_id: str, execution_id: int, at: int) -> Node:
    return Node(
        task_id(run_id, f"execution-{execution_id}"), "", "", "", at, at, at, (), (), "", execution_id
    )
