"""The clock that a test reads and sleeps by, and the signal that ends every wait."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Protocol

from kfp_perf.pacing.timers import FineTimers, resolve


class StopSignal:
    """A one-way flag: set from any thread or signal handler, it wakes every wait that was passed it."""

    def __init__(self) -> None:
        self._given = False
        #: When it was set, in the machine's monotonic time; None while it is not.
        self.set_at: float | None = None
        # Reentrant, since a signal handler may call set() while this very thread is in set(), add() or wait():
        # threading.Event would block for ever then.
        self._changed = threading.Condition(threading.RLock())
        self._sleepers: set[asyncio.Future[bool]] = set()

    def is_set(self) -> bool:
        """Whether the signal was set."""
        return self._given

    def set(self) -> None:
        """Set the signal. Setting it again does nothing."""
        with self._changed:
            if self.set_at is None:
                self.set_at = time.monotonic()
            self._given = True
            self._changed.notify_all()
            sleepers = list(self._sleepers)
        for sleeper in sleepers:
            # Its loop may be closed already, or be closing.
            with contextlib.suppress(RuntimeError):
                sleeper.get_loop().call_soon_threadsafe(resolve, sleeper, False)

    def wait(self, timeout_seconds: float) -> bool:
        """Block this thread until the signal is set or the time is over; return whether it was set."""
        with self._changed:
            return self._changed.wait_for(self.is_set, timeout_seconds)

    def add(self, sleeper: asyncio.Future[bool]) -> None:
        """Resolve this future of the running loop to False when the signal is set, at once if it is already."""
        with self._changed:
            self._sleepers.add(sleeper)
            if self._given:
                resolve(sleeper, False)

    def discard(self, sleeper: asyncio.Future[bool]) -> None:
        """Remove a future that was added."""
        with self._changed:
            self._sleepers.discard(sleeper)


class Clock(Protocol):
    """Time in seconds since the Unix epoch that never steps back, and sleeping until a time."""

    def now(self) -> float:
        """The time, in seconds since the Unix epoch."""
        ...

    async def sleep_until(
        self, when: float, stop: StopSignal | None = None, wake: asyncio.Future[bool] | None = None
    ) -> bool:
        """Wait until `when` and return True; return False as soon as `stop` is set.

        `wake` is a new future of the running loop; resolving it ends the wait with its result.
        """
        ...

    def block_until(self, when: float, stop: StopSignal) -> bool:
        """Do the same as `sleep_until` for a thread without an event loop."""
        ...


class RealClock:
    """The machine's clock. Wakes within about ten microseconds where Linux has timerfd, else within a millisecond.

    Wall time is read once, or given as an `anchor` that another clock had. From then on the monotonic clock
    counts, so that no correction of the system's clock can make a latency negative. One instance serves one
    event loop at a time.
    """

    _anchor: float = time.time() - time.monotonic()

    @classmethod
    def read_wall_time(cls) -> None:
        """Read wall time again, for all clocks of this process, since suspension is not counted; before a test."""
        cls._anchor = time.time() - time.monotonic()

    def __init__(self, anchor: float | None = None) -> None:
        self._timers: FineTimers | None = None
        if anchor is not None:
            self._anchor = anchor

    @property
    def anchor(self) -> float:
        """What is added to the machine's monotonic time, in seconds: the same in all processes of a test."""
        return self._anchor

    def now(self) -> float:
        """The time, in seconds since the Unix epoch."""
        return self._anchor + time.monotonic()

    async def sleep_until(
        self, when: float, stop: StopSignal | None = None, wake: asyncio.Future[bool] | None = None
    ) -> bool:
        """Wait until `when` and return True; return False as soon as `stop` is set. See `Clock`."""
        loop = asyncio.get_running_loop()
        if self._timers is None or self._timers.loop is not loop:
            self._timers = FineTimers(loop)
        sleeper = loop.create_future() if wake is None else wake
        if stop is not None:
            stop.add(sleeper)
        try:
            if not sleeper.done():
                self._timers.wake_at(when - self._anchor, sleeper)
            else:
                await asyncio.sleep(0)  # a loop around this must not keep the event loop to itself
            return await sleeper
        finally:
            if stop is not None:
                stop.discard(sleeper)

    def block_until(self, when: float, stop: StopSignal) -> bool:
        """Do the same as `sleep_until` for a thread without an event loop."""
        while (left := when - self.now()) > 0:
            if stop.wait(min(left, threading.TIMEOUT_MAX)):
                return False
        return not stop.is_set()
