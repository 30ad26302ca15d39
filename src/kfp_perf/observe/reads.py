"""Reading many runs by id, some at a time, without waiting long for the slow ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from kfp_perf.observe.tracked import TrackedRun
    from kfp_perf.pacing import Clock

#: The number of runs that are read at a time.
PARALLEL_READS = 16
#: How long the last answers are awaited once all other runs are read; they may still arrive during later polls.
SLOW_READ_SECONDS = 2.0


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
