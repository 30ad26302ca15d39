"""When the workflow controller looks at which workflow: its requeue time, and its few workers."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.cluster_run import ClusterRun
    from kfp_emulator.cluster.timing import Profile


class Passes:
    """The passes of one controller.

    `make` makes a pass over a workflow; it calls the function that it gets as soon as the worker is free again.
    """

    def __init__(
        self, profile: Profile, clock: Clock, make: Callable[[ClusterRun, Callable[[], None]], None]
    ) -> None:
        self._profile = profile
        self._clock = clock
        self._make = make
        self._busy = 0
        self._waiting: deque[ClusterRun] = deque()

    def requeue(self, run: ClusterRun) -> int:
        """Return after how long the controller looks at a workflow that has changed, in microseconds."""
        return self._profile.controller_requeue_seconds.draw(run.workflow.draws, f"requeue:{run.pass_at}")

    def request(self, run: ClusterRun, at: int) -> None:
        """Have the controller look at a workflow at `at`, unless it will do so before."""
        if run.passing is not None:
            if run.pass_at <= at:
                return
            run.passing.cancel()
        run.pass_at = at
        run.passing = self._clock.call_at(at, partial(self._due, run))

    def _due(self, run: ClusterRun) -> None:
        run.passing = None
        if run.sending:
            run.postponed = True
        elif self._profile.controller_pass_seconds.constant == 0:
            self._make(run, _nothing)
        elif self._busy < self._profile.controller_workers:
            self._start(run)
        else:
            self._waiting.append(run)

    def _start(self, run: ClusterRun) -> None:
        self._busy += 1
        took = self._profile.controller_pass_seconds.draw(run.workflow.draws, f"pass:{run.pass_at}")
        self._clock.call_at(self._clock.now() + took, partial(self._end, run))

    def _end(self, run: ClusterRun) -> None:
        if run.gone:
            self._release()
        else:
            self._make(run, self._release)

    def _release(self) -> None:
        """Let a worker that is free begin with the workflow that waits longest."""
        self._busy -= 1
        while self._waiting and self._busy < self._profile.controller_workers:
            following = self._waiting.popleft()
            if not following.gone:
                self._start(following)


def _nothing() -> None:
    """Free no worker, where passes take no time."""


__all__ = ["Passes"]
