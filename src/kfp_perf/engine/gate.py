"""The common start: scenarios prepare, and when all have, one time zero is set for all of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class StartGate:
    """Holds scenarios back until all that are expected have come, then tells them the common time zero.

    A scenario that failed to prepare comes too, and does not wait. One that comes late, because the pool had no
    thread for it before, passes at once.
    """

    def __init__(self, expected: int, now: Callable[[], float]) -> None:
        self._missing = expected
        self._now = now
        self._open = threading.Event()
        self._lock = threading.Lock()
        self.t0: float | None = None

    def arrive(self) -> None:
        """Say that a scenario is prepared, or will never be."""
        with self._lock:
            self._missing -= 1
            if self._missing <= 0:
                self._set()

    def release(self) -> None:
        """Open the gate for those that are there, whoever is missing."""
        with self._lock:
            self._set()

    def wait(self) -> float:
        """Block until the gate opens; return time zero, in seconds since the Unix epoch."""
        self._open.wait()
        return self.t0 if self.t0 is not None else self._now()

    def _set(self) -> None:
        if self.t0 is None:
            self.t0 = self._now()
            self._open.set()
