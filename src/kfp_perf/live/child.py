"""A child process that displays the test, fed through its standard input without ever delaying the test."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from kfp_perf.live.snapshot import FeedMessage

#: Lines of the log that wait for a busy child; older ones are dropped beyond that.
_MOST_LINES = 1000
_CLOSE_SECONDS = 1.0


class Child:
    """Runs `python -m MODULE`, and writes messages to it from a separate thread.

    Of snapshots that the child is too busy to read only the latest is kept, since counters are cumulative. The
    child runs in a new process session, so that only the execution gets Ctrl-C, and ends with its input.
    """

    def __init__(self, module: str, *arguments: str, answers: bool = False) -> None:
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if answers else quiet,
            stderr=quiet if answers else None,
            start_new_session=True,
        )
        self._lines: deque[bytes] = deque(maxlen=_MOST_LINES)
        self._snapshot: bytes | None = None
        self._waiting = threading.Condition()
        self._closed = False
        self._gone = False
        self._writer = threading.Thread(target=self._write, name="display", daemon=True)
        self._writer.start()

    def answer(self) -> str:
        """Return the line that the child prints when it is ready; empty if it ended before."""
        if self.process.stdout is None:
            return ""
        with self.process.stdout as stdout:
            return stdout.readline().decode(errors="replace").strip()

    def send(self, message: FeedMessage) -> bool:
        """Queue a message without waiting; False: the child is gone."""
        line = msgspec.json.encode(message) + b"\n"
        with self._waiting:
            if self._closed or self._gone or self.process.poll() is not None:
                return False
            if message.snapshot is not None:
                self._snapshot = line
            else:
                self._lines.append(line)
            self._waiting.notify()
        return True

    def close(self) -> None:
        """Write what waits, for a second at most, and end the child's input. Harmless when called again."""
        with self._waiting:
            self._closed = True
            self._waiting.notify()
        self._writer.join(_CLOSE_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait for the child to end, and kill it if it does not."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _write(self) -> None:
        pipe = self.process.stdin
        if pipe is None:
            return
        with contextlib.suppress(OSError, ValueError):
            while (lines := self._next()) is not None:
                pipe.write(lines)
                pipe.flush()
        with self._waiting:
            self._gone = True
        with contextlib.suppress(OSError, ValueError):
            pipe.close()

    def _next(self) -> bytes | None:
        """Wait for something to write; None: closed."""
        with self._waiting:
            while not self._lines and self._snapshot is None and not self._closed:
                self._waiting.wait()
            if not self._lines and self._snapshot is None:
                return None
            lines = b"".join(self._lines) + (self._snapshot or b"")
            self._lines.clear()
            self._snapshot = None
            return lines
