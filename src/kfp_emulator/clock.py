"""The emulator's time: a heap of due events, and the clocks that drive it.

All times are integer microseconds since the epoch. No task of an emulated run is a coroutine that sleeps: what
is due later is an entry of the heap, so ten thousand runs in flight cost ten thousand entries and one timer.
"""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

SECOND = 1_000_000
"""One second in the emulator's unit."""

_EVENTS_PER_TURN = 100
"""How many due events the loop's clock runs before requests are served again."""


class Event:
    """Something that is due; `cancel` drops it."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Drop the event; nothing happens where it has run already."""
        self.callback = None


class Clock(Protocol):
    """A source of true time, and of callbacks in it."""

    def now(self) -> int:
        """Return the true time; inside a callback, the moment for which it was due, however late it runs."""
        ...

    def call_at(self, when: int, callback: Callable[[], None]) -> Event:
        """Run `callback` at `when`; one in the past is run at once, but never before this returns."""
        ...


class EventQueue:
    """Events in the order in which they are due; those due at the same moment in the order they were added."""

    __slots__ = ("_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Event]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, when: int, callback: Callable[[], None]) -> Event:
        """Add an event."""
        event = Event(callback)
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, event))
        return event

    def earliest(self) -> int | None:
        """Return when the next event is due, None where there is none."""
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop(self) -> tuple[int, Callable[[], None]] | None:
        """Remove the next event: when it was due, and what to run."""
        heap = self._heap
        while heap:
            when, _, event = heapq.heappop(heap)
            callback, event.callback = event.callback, None
            if callback is not None:
                return when, callback
        return None


class ManualClock:
    """A clock that moves only when `advance` is called, for tests."""

    def __init__(self, start: int = 0) -> None:
        self._now = start
        self._current: int | None = None
        self._events = EventQueue()

    def now(self) -> int:
        """Return the time to which the clock was advanced; inside a callback, when it was due."""
        return self._now if self._current is None else self._current

    def call_at(self, when: int, callback: Callable[[], None]) -> Event:
        """Run `callback` when the clock is advanced past `when`."""
        return self._events.push(when, callback)

    def advance_to(self, when: int) -> int:
        """Run everything that is due up to `when`, what that adds included; return how many events ran."""
        count = 0
        while (due := self._events.earliest()) is not None and due <= when:
            self._run_next()
            count += 1
        self._now = max(self._now, when)
        return count

    def advance(self, duration: int) -> int:
        """Advance by `duration` microseconds; return how many events ran."""
        return self.advance_to(self._now + duration)

    def run_until_idle(self, limit: int = 10_000_000) -> int:
        """Run events until none is left; return how many ran.

        Raises:
            RuntimeError: more than `limit` events ran.

        """
        count = 0
        while len(self._events):
            self._run_next()
            count += 1
            if count > limit:
                raise RuntimeError(f"still not idle after {limit} events")
        return count

    def _run_next(self) -> None:
        due = self._events.pop()
        if due is None:
            return
        self._current = due[0]
        self._now = max(self._now, due[0])
        try:
            due[1]()
        finally:
            self._current = None


class LoopClock:
    """Drives events from the running asyncio loop with one timer, for the earliest of them.

    The time is a wall-clock anchor, taken once, plus the loop's own time: a loop whose `time()` is virtual makes
    the whole emulator virtual, and a step of the system's clock does not change it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, wall: int | None = None) -> None:
        self._loop = loop
        self._wall = time.time_ns() // 1000 if wall is None else wall
        self._anchor = loop.time()
        self._events = EventQueue()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0
        self._stopped = False
        self._current: int | None = None

    def now(self) -> int:
        """Return the true time; inside a callback, when it was due."""
        if self._current is not None:
            return self._current
        return self._wall + round((self._loop.time() - self._anchor) * SECOND)

    def call_at(self, when: int, callback: Callable[[], None]) -> Event:
        """Run `callback` from the loop at `when`."""
        event = self._events.push(when, callback)
        if self._current is None and (self._timer is None or when < self._armed_for):
            self._arm(when)
        return event

    def stop(self) -> None:
        """Drop all events, and those to come: the server stops."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, when: int) -> None:
        if self._stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = when
        self._timer = self._loop.call_at(self._anchor + (when - self._wall) / SECOND, self._run_due)

    def _run_due(self) -> None:
        self._timer = None
        try:
            for _ in range(_EVENTS_PER_TURN):
                self._current = None
                due = self._events.earliest()
                if due is None or due > self.now():
                    break
                event = self._events.pop()
                if event is not None:
                    self._current = event[0]
                    event[1]()
        finally:
            self._current = None
            due = self._events.earliest()
            if due is not None:
                self._arm(due)


class _FineLoop:
    """A uvloop loop whose `time()` is not truncated to milliseconds.

    A server whose clock reads up to a millisecond early would put timestamps before the moment at which their
    request was sent, and a client's estimate of the clock's offset would find a contradiction.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def time(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[..., Any], *arguments: Any) -> asyncio.TimerHandle:
        return self._loop.call_later(max(0.0, when - time.monotonic()), callback, *arguments)


def fine_loop(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """Return the loop that a LoopClock reads the time from: any loop but uvloop's is returned unchanged."""
    if type(loop).__module__.partition(".")[0] != "uvloop":
        return loop
    return cast("asyncio.AbstractEventLoop", _FineLoop(loop))
