"""The common start: scenarios prepare, and when all have, one time zero is set for all of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class StartGate:
    """A barrier: scenarios wait until all that are expected are prepared, then get the common time zero.

    A scenario that failed to prepare is counted, and does not wait. One that is prepared later, because the pool
    had no free thread before, passes at once; where others still prepare, it waits for them and is not counted.
    """

    def __init__(self, expected: int, now: Callable[[], float]) -> None:
        self._missing = expected
        self._now = now
        # Reentrant, since a signal handler may call release() while this very thread is in it.
        self._opened = threading.Condition(threading.RLock())
        #: The first is time zero: a signal handler may add another while it is being set.
        self._times: list[float] = []

    @property
    def t0(self) -> float | None:
        """Time zero in seconds since the Unix epoch; None while the gate is closed."""
        return self._times[0] if self._times else None

    def arrive(self) -> None:
        """Count a scenario that is prepared, or has failed to prepare."""
        with self._opened:
            self._missing -= 1
            if self._missing <= 0:
                self.release()

    def release(self) -> None:
        """Open the gate for the scenarios that wait, even if others are missing."""
        with self._opened:
            if not self._times:
                self._times.append(self._now())
            self._opened.notify_all()

    def wait(self) -> float:
        """Block until the gate opens; return time zero, in seconds since the Unix epoch."""
        with self._opened:
            self._opened.wait_for(lambda: self._times)
            return self._times[0]
