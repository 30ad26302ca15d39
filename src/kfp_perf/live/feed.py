"""From the orchestrator to whatever shows the test: never waits, and never fails because a display did."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

import msgspec

from kfp_perf.live.plain import line_of
from kfp_perf.live.snapshot import LogLine, Message

if TYPE_CHECKING:
    from kfp_perf.live.snapshot import Snapshot
    from kfp_perf.log import Logger

log = logging.getLogger(__name__)

_PLAIN_EVERY_SECONDS = 10.0


class Display(Protocol):
    """Shows a running test."""

    def update(self, snapshot: Snapshot) -> None:
        """Show this state."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def open_display(logger: Logger, *, quiet: bool) -> Display:
    """Open what suits where we run: nothing when `quiet`, a screen on a terminal, else a line now and then."""
    if quiet:
        return _NoDisplay()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return _Terminal(logger)
    return _Lines()


class _NoDisplay:
    def update(self, snapshot: Snapshot) -> None:
        pass

    def close(self) -> None:
        pass


class _Lines:
    """A line in the log every ten seconds, for CI."""

    def __init__(self) -> None:
        self._next = 0.0

    def update(self, snapshot: Snapshot) -> None:
        if snapshot.elapsed_seconds >= self._next:
            self._next = snapshot.elapsed_seconds + _PLAIN_EVERY_SECONDS
            log.info("%s", line_of(snapshot))

    def close(self) -> None:
        pass


class _Terminal:
    """A child process that draws; it is fed through its standard input, and passed over while it is busy."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._child = subprocess.Popen(
            [sys.executable, "-m", "kfp_perf.live.terminal"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the orchestrator's; the display ends with its input
        )
        self._pipe = self._child.stdin
        if self._pipe is not None:
            os.set_blocking(self._pipe.fileno(), False)
        self._previous = logger.divert_console(_FeedHandler(self))

    def update(self, snapshot: Snapshot) -> None:
        self.send(Message(snapshot=snapshot))

    def send(self, message: Message) -> None:
        if self._pipe is None:
            return
        # A pipe takes up to 4 KiB whole or not at all; a longer line may be cut, and the reader skips it.
        with contextlib.suppress(BlockingIOError):
            try:
                os.write(self._pipe.fileno(), b"\n" + msgspec.json.encode(message) + b"\n")
            except (BrokenPipeError, ValueError):
                self._give_console_back()

    def close(self) -> None:
        self._give_console_back()
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                self._pipe.close()
            self._pipe = None
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _give_console_back(self) -> None:
        if self._previous is not None:
            self._logger.divert_console(self._previous)
            self._previous = None  # type: ignore[assignment]


class _FeedHandler(logging.Handler):
    """Shows the log's lines above the display."""

    def __init__(self, terminal: _Terminal) -> None:
        super().__init__()
        self._terminal = terminal
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", datefmt="%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self._terminal.send(Message(log=LogLine(self.format(record)[:2000], record.levelno)))
