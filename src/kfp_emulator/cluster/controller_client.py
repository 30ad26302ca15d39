"""The workflow controller's clients of the Kubernetes API, each with a throttle of its own.

Argo's controller has two clients of 20 requests a second, burst 30 (--qps, --burst): one for pods, config maps and
events, one for workflows. A pass waits for its requests one after the other; events and the labels of ended pods
are sent beside it, by one sender and by four. A sender asks for one turn at a time, so events that pile up do not
keep pods waiting: they take every free turn, and are dropped beyond the buffer (client-go's event broadcaster).

A one-task run of 12 nodes was counted to cost 40 requests on a real 2.17.0, of which 26 are events: two a node, and
two of the workflow's own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kfp_emulator.cluster.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Clock
    from kfp_emulator.cluster.controller_stats import ControllerStats
    from kfp_emulator.cluster.timing import Profile

EVENTS_PER_NODE = 2
EVENTS_PER_WORKFLOW = 2
EVENT_BUFFER = 1000
"""How many events wait at most; more are dropped."""
CLEANUP_WORKERS = 4
"""How many ended pods the controller labels at once (--pod-cleanup-workers)."""


class _Sender:
    """Sends requests beside the controller's passes, each worker one at a time."""

    __slots__ = ("_clock", "_count", "_free", "_limit", "_throttle", "waiting")

    def __init__(
        self, clock: Clock, throttle: Throttle, workers: int, limit: int, count: Callable[[int], None]
    ) -> None:
        self._clock = clock
        self._throttle = throttle
        self._free = workers
        self._limit = limit
        self._count = count
        self.waiting = 0

    def send(self, requests: int) -> None:
        """Send so many requests; what is beyond the limit is dropped."""
        self.waiting = min(self.waiting + requests, self._limit)
        while self._free and self.waiting:
            self._free -= 1
            self.waiting -= 1
            now = self._clock.now()
            wait = self._throttle.take(now)
            self._count(wait)
            self._clock.call_at(now + wait, self._sent)

    def _sent(self) -> None:
        self._free += 1
        self.send(0)


class ControllerClient:
    """What the controller sends to Kubernetes; without a throttle, nothing waits."""

    __slots__ = ("_clock", "_core", "_events", "_labels", "_stats", "_workflows", "throttled")

    def __init__(self, profile: Profile, clock: Clock, stats: ControllerStats) -> None:
        rate, burst = profile.controller_calls_per_second, profile.controller_burst
        self.throttled = rate > 0
        self._clock = clock
        self._stats = stats
        self._core = Throttle(rate, burst)
        self._workflows = Throttle(rate, burst)
        self._events = _Sender(
            clock, self._core, 1, EVENT_BUFFER, lambda wait: stats.sent("events", "Create", 201, wait)
        )
        self._labels = _Sender(
            clock, self._core, CLEANUP_WORKERS, 1_000_000, lambda wait: stats.sent("pods", "Patch", 200, wait)
        )

    def create(
        self, count: int, create: Callable[[int], None], done: Callable[[], None], *, begins: bool
    ) -> None:
        """Create `count` pods one after the other, then write the workflow; `create` gets each pod's number.

        A workflow that begins has its config map read before.
        """
        wait = self._core.take(self._clock.now()) if begins else 0
        if begins:
            self._stats.sent("configmaps", "Get", 404, wait)
        if wait:
            self._later(wait, partial(self._create, 0, count, create, done))
        else:
            self._create(0, count, create, done)

    def _create(
        self, index: int, count: int, create: Callable[[int], None], done: Callable[[], None]
    ) -> None:
        while index < count:
            wait = self._core.take(self._clock.now())
            self._stats.sent("pods", "Create", 201, wait)
            if wait:
                self._later(wait, partial(self._created, index, count, create, done))
                return
            create(index)
            index += 1
        wait = self._workflows.take(self._clock.now())
        self._stats.sent("workflows", "Update", 200, wait)
        if wait:
            self._later(wait, done)
        else:
            done()

    def _created(
        self, index: int, count: int, create: Callable[[int], None], done: Callable[[], None]
    ) -> None:
        create(index)
        self._create(index + 1, count, create, done)

    def _later(self, wait: int, step: Callable[[], None]) -> None:
        self._clock.call_at(self._clock.now() + wait, step)

    def events(self, nodes: int, *, begins: bool) -> None:
        """Send the events of new nodes, and of a workflow that begins."""
        count = nodes * EVENTS_PER_NODE + (EVENTS_PER_WORKFLOW if begins else 0)
        if self.throttled:
            self._events.send(count)
        else:
            self._stats.requests["events", "Create", 201] += count

    def label_pod(self) -> None:
        """Label a pod that has ended."""
        if self.throttled:
            self._labels.send(1)
        else:
            self._stats.requests["pods", "Patch", 200] += 1
