"""Re-reads runs that have ended until the server shows their final tasks.

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
    from collections.abc import Awaitable, Callable

    from kfp_perf.observe.tracked import TrackedRun
    from kfp_perf.pacing import Clock

FIRST_PAUSE_SECONDS = 0.5
"""The pause before a run is read again; each further pause is twice as long."""

PATIENCE_SECONDS = 60.0
"""The tasks of a run are given up this long after its end was seen."""

PATIENCE_WITHOUT_ROOT_SECONDS = 10.0
"""The same for a run that did not succeed and has nothing under way: its workflow may never have had a root."""

CLOSING_SECONDS = 5.0
"""Tasks that are still awaited at the end of the scenario are given up after this time."""

_PARALLEL = 8


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
        self._parallel = asyncio.Semaphore(_PARALLEL)
        self._reading: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    def __len__(self) -> int:
        """The number of runs whose tasks are awaited."""
        return len(self._reading)

    def add(self, tracked: TrackedRun, found: Completeness) -> None:
        """Read a run until its tasks are complete, first in half a second; `found` is its state so far."""
        reading = asyncio.ensure_future(self._read_until_complete(tracked, found))
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

    async def _read_until_complete(self, tracked: TrackedRun, found: Completeness | None) -> None:
        began = self._clock.now()
        pause = FIRST_PAUSE_SECONDS
        try:
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
