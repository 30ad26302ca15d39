"""Signals that come when the outcome of a command is known."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignore_signals() -> None:
    """Ignore Ctrl-C, SIGTERM and SIGHUP from now on, so that they do not change the exit code."""
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore them while the context is open."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _ENDING}
    ignore_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was not set from Python, and cannot be restored.
            if handler is not None:
                signal.signal(number, handler)
