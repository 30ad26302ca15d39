"""Reads runs by id: those in flight, some at a time, and those that have ended, until their tasks are final.

A KFP server writes the final state of a run before its final tasks: 0.15 s on an idle server, and up to 6.1 s while
creations saturate its Kubernetes client (measured on 2.17.0). Nothing waits for these tasks but the run's record.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kfp_perf.client.messages import RunState
from kfp_perf.observe.task_details import Completeness
from kfp_perf.pacing import StopSignal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from kfp_perf.observe.tracked import TrackedRun
    from kfp_perf.pacing import Clock


#: The number of runs that are read at a time.
PARALLEL_READS = 16
#: How long the last answers are awaited once all other runs are read; they may still arrive during later polls.
SLOW_READ_SECONDS = 2.0
#: The pause before a run is read again; each further pause is twice as long.
FIRST_PAUSE_SECONDS = 0.5
#: The tasks of a run are given up this long after its end was seen.
PATIENCE_SECONDS = 60.0
#: The same for a run that did not succeed and has nothing under way: its workflow may never have had a root.
PATIENCE_WITHOUT_ROOT_SECONDS = 10.0
#: Tasks that are still awaited at the end of the scenario are given up after this time.
CLOSING_SECONDS = 5.0
_PARALLEL_REREADINGS = 8


class ParallelReads:
    """Reads runs; one that fails, or gets no answer, does not delay the others.

    `read` reads one run and returns whether the server answered. Belongs to one event loop.
    """

    def __init__(self, clock: Clock, read: Callable[[TrackedRun], Awaitable[bool]]) -> None:
        self._clock = clock
        self._read = read
        self._being_read: set[TrackedRun] = set()
        self._workers: set[asyncio.Task[None]] = set()

    async def each(self, runs: Iterable[TrackedRun]) -> bool:
        """Read each run once; return whether the server answered, or there was no request.

        Runs whose last answer is still awaited are left out. After many failures in a row the rest is left out too.
        """
        self._forget_ended()
        todo = [tracked for tracked in runs if tracked not in self._being_read]
        if not todo:
            return not self._workers
        queue = iter(todo)
        left, answered, failed, in_a_row = len(todo), 0, 0, 0
        last_begun = asyncio.get_running_loop().create_future()

        async def work() -> None:
            nonlocal left, answered, failed, in_a_row
            for tracked in queue:
                if in_a_row >= PARALLEL_READS:
                    return
                left -= 1
                if not left and not last_begun.done():
                    last_begun.set_result(None)
                self._being_read.add(tracked)
                try:
                    ok = await self._read(tracked)
                finally:
                    self._being_read.discard(tracked)
                answered, failed, in_a_row = answered + ok, failed + (not ok), 0 if ok else in_a_row + 1

        workers = {
            asyncio.ensure_future(work()) for _ in range(min(len(todo), PARALLEL_READS - len(self._workers)))
        }
        if not workers:
            return False
        self._workers |= workers
        everything = asyncio.ensure_future(asyncio.wait(workers))
        either: set[asyncio.Future[Any]] = {everything, last_begun}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not everything.done():
            timer = asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + SLOW_READ_SECONDS))
            either = {everything, timer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            everything.cancel()
        self._forget_ended()
        return answered > 0 or not failed

    async def aclose(self) -> None:
        """Cancel the requests in progress."""
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()

    def _forget_ended(self) -> None:
        """Drop workers that have ended; raises the exception of one that failed, which is a bug."""
        ended = {task for task in self._workers if task.done()}
        self._workers -= ended
        for task in ended:
            task.result()


class DetailsReader:
    """Reads runs again, with growing pauses, until their tasks are complete or given up. Belongs to one event loop.

    `read` reads a run once and returns whether its tasks are complete; None: the run is gone. `finish` is called
    exactly once for each run, at the end.
    """

    def __init__(
        self,
        clock: Clock,
        read: Callable[[TrackedRun], Awaitable[Completeness | None]],
        finish: Callable[[TrackedRun], None],
    ) -> None:
        self._clock = clock
        self._read = read
        self._finish = finish
        self._closing = StopSignal()
        self._parallel = asyncio.Semaphore(_PARALLEL_REREADINGS)
        self._reading: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    def __len__(self) -> int:
        """The number of runs whose tasks are awaited."""
        return len(self._reading)

    def add(
        self,
        tracked: TrackedRun,
        found: Completeness,
        analyse: Callable[[], Awaitable[Completeness]] | None = None,
    ) -> None:
        """Read a run until its tasks are complete, first in half a second; `found` is its state so far.

        `analyse` is awaited before: it fills in what the answer shows that the caller has already.
        """
        reading = asyncio.ensure_future(self._read_until_complete(tracked, found, analyse))
        self._reading.add(reading)
        reading.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """Read the awaited runs a last time, and give up the rest; within `CLOSING_SECONDS`."""
        self._closing.set()
        if self._reading:
            until = self._clock.now() + CLOSING_SECONDS
            timer = asyncio.ensure_future(self._clock.sleep_until(until))
            reading = asyncio.gather(*self._reading, return_exceptions=True)
            either: set[asyncio.Future[Any]] = {timer, reading}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            for task in tuple(self._reading):
                task.cancel()
            await reading
        if self._failures:
            raise self._failures[0]

    async def _read_until_complete(
        self,
        tracked: TrackedRun,
        found: Completeness | None,
        analyse: Callable[[], Awaitable[Completeness]] | None,
    ) -> None:
        began = self._clock.now()
        pause = FIRST_PAUSE_SECONDS
        try:
            if analyse is not None:
                found = await analyse()
            while found not in {Completeness.COMPLETE, None}:
                left = began + _patience(tracked, found) - self._clock.now()
                if left <= 0.0:
                    return
                pause = await self._wait(min(pause, left), pause)
                async with self._parallel:
                    found = await self._read(tracked)
        finally:
            self._finish(tracked)

    async def _wait(self, seconds: float, pause: float) -> float:
        """Wait, or until the reader is closed; return the next pause."""
        until = self._clock.now() + seconds
        if self._closing.is_set():
            await self._clock.sleep_until(until)
        elif not await self._clock.sleep_until(until, self._closing):
            return FIRST_PAUSE_SECONDS
        return 2 * pause

    def _ended(self, reading: asyncio.Task[None]) -> None:
        self._reading.discard(reading)
        if not reading.cancelled() and (failure := reading.exception()) is not None:
            self._failures.append(failure)


def _patience(tracked: TrackedRun, found: Completeness | None) -> float:
    if found is Completeness.LACKING and tracked.state != RunState.SUCCEEDED:
        return PATIENCE_WITHOUT_ROOT_SECONDS
    return PATIENCE_SECONDS
