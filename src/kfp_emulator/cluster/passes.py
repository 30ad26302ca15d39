"""When the workflow controller looks at which workflow: its requeue time, and its few workers."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.cluster_run import ClusterRun
    from kfp_emulator.cluster.controller_stats import ControllerStats
    from kfp_emulator.cluster.timing import Profile


class Passes:
    """The passes of one controller.

    `make` makes a pass over a workflow; it calls the function that it gets as soon as the worker is free again.
    """

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        make: Callable[[ClusterRun, Callable[[], None]], None],
        stats: ControllerStats,
    ) -> None:
        self._profile = profile
        self._clock = clock
        self._make = make
        self._busy = 0
        self._waiting: deque[tuple[int, ClusterRun]] = deque()
        self._stats = stats
        self._held_until = 0

    @property
    def busy(self) -> int:
        """How many workers are busy."""
        return self._busy

    def waiting_since(self) -> list[int]:
        """Return since when each workflow in the queue has waited for a worker."""
        return [since for since, _ in self._waiting]

    def hold(self, until: int) -> None:
        """Make no pass before `until`: the controller is down."""
        self._held_until = until

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
        now = self._clock.now()
        if now < self._held_until:
            self.request(run, self._held_until)
            return
        self._stats.adds += 1
        if run.sending:
            run.postponed = True
        elif self._profile.controller_pass_seconds.constant == 0:
            self._stats.waited.observe(0.0)
            self._stats.looked_at(0.0)
            self._make(run, _nothing)
        elif self._busy < self._profile.controller_workers:
            self._start(run, now)
        else:
            self._waiting.append((now, run))

    def _start(self, run: ClusterRun, since: int) -> None:
        self._busy += 1
        now = self._clock.now()
        self._stats.waited.observe((now - since) / 1e6)
        took = self._profile.controller_pass_seconds.draw(run.workflow.draws, f"pass:{run.pass_at}")
        self._clock.call_at(now + took, partial(self._end, run, now))

    def _end(self, run: ClusterRun, began: int) -> None:
        if run.gone:
            self._release(began)
        else:
            self._make(run, partial(self._release, began))

    def _release(self, began: int) -> None:
        """Let a worker that is free begin with the workflow that waits longest."""
        self._busy -= 1
        self._stats.looked_at((self._clock.now() - began) / 1e6)
        while self._waiting and self._busy < self._profile.controller_workers:
            since, following = self._waiting.popleft()
            if not following.gone:
                self._start(following, since)


def _nothing() -> None:
    """Free no worker, where passes take no time."""
