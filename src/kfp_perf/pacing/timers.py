"""Timers finer than an event loop's own.

Event loops round their timers up to a millisecond, which would be the lateness of every request of an open
load. A timerfd wakes within about ten microseconds (timerfd_create(2)); Python offers it from 3.13 on, so it is
called through the C library here.
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
import math
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def resolve(sleeper: asyncio.Future[bool], value: bool) -> None:
    """Set a future's result, unless it has one."""
    if not sleeper.done():
        sleeper.set_result(value)


_FEW = 100


class FineTimers:
    """Resolves futures of one event loop to True at monotonic times: one timerfd and a heap.

    Where there is no timerfd, the loop's own timers are used.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._heap: list[tuple[float, int, asyncio.Future[bool]]] = []
        self._order = itertools.count()
        self._purge_beyond = _FEW
        self._armed = math.inf
        self._descriptor = _open()
        if self._descriptor is not None:
            loop.add_reader(self._descriptor, self._expired)

    def __len__(self) -> int:
        """The number of timers in the heap; some of them may no longer be needed."""
        return len(self._heap)

    def wake_at(self, when: float, sleeper: asyncio.Future[bool]) -> None:
        """Resolve `sleeper` at `when` (seconds of `time.monotonic`); never, where that is infinite."""
        if when == math.inf:
            return
        if self._descriptor is None:
            handle = self.loop.call_later(max(0.0, when - time.monotonic()), resolve, sleeper, True)
            sleeper.add_done_callback(lambda _: handle.cancel())
            return
        heapq.heappush(self._heap, (when, next(self._order), sleeper))
        if len(self._heap) > self._purge_beyond:
            # Sleepers that were woken by something else would stay until their time, or for ever below the top.
            self._heap = [entry for entry in self._heap if not entry[2].done()]
            heapq.heapify(self._heap)
            self._purge_beyond = max(_FEW, 2 * len(self._heap))
        if when < self._armed:
            self._arm(when)

    def _expired(self) -> None:
        if self._descriptor is None:
            return
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        now = time.monotonic()
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].done()):
            resolve(heapq.heappop(self._heap)[2], True)
        self._arm(self._heap[0][0] if self._heap else math.inf)

    def _arm(self, when: float) -> None:
        self._armed = when
        if self._descriptor is not None and when != math.inf:
            _set(self._descriptor, when)

    def __del__(self) -> None:
        if self._descriptor is not None:
            if not self.loop.is_closed():
                self.loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


_library = ctypes.CDLL(None) if sys.platform == "linux" else None
_ABSOLUTE_TIME = 1


def _open() -> int | None:
    if _library is None:
        return None
    descriptor: int = _library.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    return descriptor if descriptor >= 0 else None


def _set(descriptor: int, when: float) -> None:
    if _library is None:
        return
    # A time of zero would disarm the timer; one in the past fires at once.
    nanoseconds = max(1, int(when * 1e9))
    spec = _TimerSpec(_TimeSpec(0, 0), _TimeSpec(*divmod(nanoseconds, 1_000_000_000)))
    _library.timerfd_settime(descriptor, _ABSOLUTE_TIME, ctypes.byref(spec), None)
