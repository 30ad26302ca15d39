"""uvloop's time for the emulator's clock, in microseconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


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
    """Return what a LoopClock should ask for the time: any other loop, a virtual one too, is taken as it is."""
    if type(loop).__module__.partition(".")[0] != "uvloop":
        return loop
    return cast("asyncio.AbstractEventLoop", _FineLoop(loop))
