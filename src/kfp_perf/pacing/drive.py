"""Driving a load: each operation starts when it is due, in an open or in a closed model."""

from __future__ import annotations

import asyncio
import copy
import itertools
import logging
import math
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from kfp_perf.errors import ApiError
from kfp_perf.pacing.lateness import Lateness
from kfp_perf.pacing.timers import resolve
from kfp_perf.scenario.workload import OpenLoad
from kfp_perf.statistics.random_streams import random_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from kfp_perf.pacing.clock import Clock, StopSignal
    from kfp_perf.scenario.workload import ClosedLoad

_log = logging.getLogger(__name__)

#: How long `maxInFlight` held back the operation of this context, in seconds.
held_seconds: ContextVar[float] = ContextVar("held_seconds", default=0.0)

FIRST_BACK_OFF_SECONDS = 0.5
LONGEST_BACK_OFF_SECONDS = 30.0


class LoadOperation(Protocol):
    """One operation of a load."""

    def __call__(self, index: int, due: float, /) -> Coroutine[Any, Any, bool]:
        """Do operation `index` (from 0), due at `due`.

        Return False, or raise an `ApiError`, where it failed; a slot of a closed load then backs off.
        """
        ...


class DriveReport(msgspec.Struct):
    """What a drive did.

    `failed`: operations that returned False or raised an `ApiError`. `held_back`: operations of an open load that
    `maxInFlight` made wait, and for how long. `never_started`: those that were due, but could not start before the
    end. `idle_slot_seconds`: how long slots of a closed load were idle after failures, between the start of the
    load and its end; think time is not counted. `slot_seconds`: the slots of a closed load, integrated over the
    time that it was driven. The share of the two is the slot time lost. `seed` repeats arrivals and back-off.
    """

    started: int = 0
    failed: int = 0
    held_back: int = 0
    held_back_seconds: float = 0.0
    longest_hold_seconds: float = 0.0
    never_started: int = 0
    idle_slot_seconds: float = 0.0
    slot_seconds: float = 0.0
    seed: int | None = None


class Drive:
    """One load: `run()` starts every operation when it is due, and returns when none is left to start.

    Operations still under way then are waited for by `finish()`. `start` and `end` are times of the clock.
    `lateness` records how late each operation starts; `skipped` is called with the index and the due time of
    each that was due, was held back until the end, and is never started. An `ApiError` of an operation is a failure
    of that operation. Any other exception is a bug, which sets `stop` and is raised by `run()` or `finish()`.
    """

    def __init__(
        self,
        load: OpenLoad | ClosedLoad,
        operation: LoadOperation,
        *,
        clock: Clock,
        stop: StopSignal,
        start: float,
        end: float,
        max_in_flight: int | None = None,
        think_seconds: float = 0.0,
        seed: int | None = None,
        lateness: Lateness | None = None,
        skipped: Callable[[int, float], None] | None = None,
    ) -> None:
        self.report = DriveReport(seed=seed)
        self._lateness = lateness or Lateness()
        self._skipped = skipped
        self._load = load
        self._operation = operation
        self._clock = clock
        self._stop = stop
        self._start = start
        self._end = end
        self._max_in_flight = max_in_flight
        self._think_seconds = think_seconds
        self._random = random_stream(seed, "back-off")
        self._tasks: set[asyncio.Task[None]] = set()
        self._live_slots: set[int] = set()
        self._room: asyncio.Future[bool] | None = None
        #: When the last operation that `maxInFlight` held back was let go: those due before queued behind it.
        self._let_go = -math.inf
        self._failure: BaseException | None = None
        self._over = False
        self._passed = 0  # arrivals of an open load that were due when they were last counted
        #: A copy, since that of random arrivals has a state, and another thread may count.
        self._arrivals = copy.deepcopy(load) if isinstance(load, OpenLoad) else None

    async def run(self) -> DriveReport:
        """Start operations until the load or its time ends, or the stop signal is set; see the class."""
        if isinstance(self._load, OpenLoad):
            await self._run_open(self._load)
        else:
            await self._run_closed(self._load)
        self._over = True
        self._raise_failure()
        return self.report

    def due(self) -> int:
        """Return how many operations were due until now, with those that `maxInFlight` holds back.

        One other thread may call this.
        """
        if self._arrivals is not None and not self._over:
            elapsed = min(self._clock.now(), self._end) - self._start
            while (when := self._arrivals.due(self._passed)) is not None and when <= elapsed:
                if self._start + when >= self._end:
                    break
                self._passed += 1
            return max(self._passed, self.report.started)
        return self.report.started + self.report.never_started

    @property
    def resting(self) -> bool:
        """Whether nothing is under way because nothing is due; never so in a closed model."""
        return isinstance(self._load, OpenLoad) and not self._tasks

    async def finish(self) -> None:
        """Wait for the operations that are still under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._raise_failure()

    async def _run_open(self, load: OpenLoad) -> None:
        for index, due in self._due_from(load, 0):
            if due > self._clock.now():
                await self._clock.sleep_until(due, self._stop)
            held = 0.0
            if self._max_in_flight is not None and len(self._tasks) >= self._max_in_flight:
                held = await self._hold_back(due, self._max_in_flight)
                if self._clock.now() >= self._end:
                    self._skip_from(load, index)
                    return
            elif due < self._let_go:
                held = self._count_hold(self._let_go - due)
            if self._stop.is_set():
                return
            self._spawn(self._once(index, due, held))
            # Let it begin before the next timer is set.
            await asyncio.sleep(0)
        await self._clock.sleep_until(self._end, self._stop)

    def _skip_from(self, load: OpenLoad, first: int) -> None:
        """Count the operations that are due before the end and will not start."""
        for index, due in self._due_from(load, first):
            self.report.never_started += 1
            if self._skipped is not None:
                self._skipped(index, due)

    def _due_from(self, load: OpenLoad, first: int) -> Iterator[tuple[int, float]]:
        """Yield the operations that are due before the end, each with its time."""
        for index in itertools.count(first):
            elapsed = load.due(index)
            if elapsed is None or self._start + elapsed >= self._end:
                return
            yield index, self._start + elapsed

    async def _hold_back(self, due: float, limit: int) -> float:
        """Wait until `maxInFlight` allows another operation; return for how long."""
        while len(self._tasks) >= limit and not self._stop.is_set() and self._clock.now() < self._end:
            self._room = asyncio.get_running_loop().create_future()
            await self._clock.sleep_until(self._end, self._stop, self._room)
        self._room = None
        self._let_go = self._clock.now()
        return self._count_hold(self._let_go - due)

    def _count_hold(self, held: float) -> float:
        self.report.held_back += 1
        self.report.held_back_seconds += held
        self.report.longest_hold_seconds = max(self.report.longest_hold_seconds, held)
        return held

    async def _run_closed(self, load: ClosedLoad) -> None:
        indexes = itertools.count()
        while not self._stop.is_set() and (now := self._clock.now()) < self._end:
            elapsed = max(0.0, now - self._start)
            for number in set(range(load.slots(elapsed))) - self._live_slots:
                self._live_slots.add(number)
                self._spawn(self._slot(load, number, indexes))
            change = load.next_change(elapsed)
            when = self._end if change is None else min(self._end, self._start + change)
            await self._clock.sleep_until(when, self._stop)
        driven = min(self._clock.now(), self._end) - self._start
        self.report.slot_seconds = sum(seconds * slots for seconds, slots in _levels(load, 0.0, driven))

    async def _slot(self, load: ClosedLoad, number: int, indexes: itertools.count[int]) -> None:
        """Keep one operation in flight for as long as the load has this slot."""
        back_off = 0.0
        due = max(self._start, self._clock.now())
        try:
            while due < self._end:
                if due > self._clock.now():
                    await self._clock.sleep_until(due, self._stop)
                if self._stop.is_set() or number >= load.slots(self._clock.now() - self._start):
                    return
                self.report.started += 1
                self._lateness.started(self._clock.now() - due)
                good = await self._succeeds(next(indexes), due)
                due = self._clock.now() + self._think_seconds
                if good:
                    back_off = 0.0
                else:
                    # Slots must not send requests without pause to a target that refuses them.
                    back_off = min(LONGEST_BACK_OFF_SECONDS, back_off * 2 or FIRST_BACK_OFF_SECONDS)
                    pause = back_off * self._random.uniform(0.5, 1.0)
                    due = await self._idle_until(load, number, due, self._clock.now() + pause)
        finally:
            self._live_slots.discard(number)

    async def _idle_until(self, load: ClosedLoad, number: int, due: float, resumed: float) -> float:
        """Wait until `resumed`, if that is later than `due`, and count the time after `due`; return the later."""
        if resumed <= due:
            return due
        await self._clock.sleep_until(min(resumed, self._end), self._stop)
        until = min(resumed, self._clock.now(), self._end)
        self.report.idle_slot_seconds += sum(
            seconds
            for seconds, slots in _levels(load, due - self._start, until - self._start)
            if number < slots
        )
        return resumed

    async def _once(self, index: int, due: float, held: float) -> None:
        self.report.started += 1
        self._lateness.started(self._clock.now() - due - held)
        held_seconds.set(held)
        await self._succeeds(index, due)

    async def _succeeds(self, index: int, due: float) -> bool:
        try:
            good = await self._operation(index, due)
        except ApiError as error:
            _log.debug("Operation %d failed: %s", index, error)
            good = False
        self.report.failed += not good
        return good

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._room is not None:
            resolve(self._room, True)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = self._failure or failure
            self._stop.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def _levels(load: ClosedLoad, begin: float, end: float) -> Iterator[tuple[float, int]]:
    """Yield `(seconds, slots)` while the number of slots is constant, from `begin` to `end` (elapsed seconds)."""
    while begin < end:
        change = load.next_change(begin)
        until = end if change is None else min(end, change)
        yield until - begin, load.slots(begin)
        begin = until
