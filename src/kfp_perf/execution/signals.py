"""Signals that end a test in good order."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interruptible(interrupt: Callable[[], None], *, outer_too: bool = False) -> Iterator[None]:
    """Call `interrupt` for Ctrl-C, SIGTERM and SIGHUP while the context is open.

    With `outer_too` the handler that was set before is called first, unless it is Python's own. SIGHUP stays
    ignored where it was ignored at the start, as with `nohup`. Does nothing outside the main thread, where signals
    cannot be handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.getsignal(number)
        for number in _ENDING
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
    }

    def handle(number: int, frame: FrameType | None) -> None:
        outer = before[signal.Signals(number)]
        if outer_too and callable(outer) and outer is not signal.default_int_handler:
            outer(number, frame)
        interrupt()

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was not set from Python, and cannot be restored.
            if handler is not None:
                signal.signal(number, handler)
