"""A child process that shows the test, fed through its standard input: it is never waited for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from kfp_perf.live.snapshot import Message


class Child:
    """Runs `python -m MODULE`. What it cannot take at once is lost: the next message says the same and more.

    It has a process session of its own: Ctrl-C is the orchestrator's, and the child ends with its input.
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
        self._pipe = self.process.stdin
        if self._pipe is not None:
            os.set_blocking(self._pipe.fileno(), False)

    def answer(self) -> str:
        """The line that the child says when it is ready; empty if it ended before."""
        if self.process.stdout is None:
            return ""
        with self.process.stdout as stdout:
            return stdout.readline().decode(errors="replace").strip()

    def send(self, message: Message) -> bool:
        """Hand a message over, or drop it while the child is busy; False: the child is gone."""
        if self._pipe is None:
            return False
        # A pipe takes up to 4 KiB whole or not at all; a longer line may be cut, and the reader skips it.
        with contextlib.suppress(BlockingIOError):
            try:
                os.write(self._pipe.fileno(), b"\n" + msgspec.json.encode(message) + b"\n")
            except (BrokenPipeError, ValueError):
                return False
        return True

    def deliver(self, message: Message) -> None:
        """Hand over a message that must not be lost, if the child still lives: waits until it is taken."""
        if self._pipe is not None:
            with contextlib.suppress(OSError, ValueError):
                os.set_blocking(self._pipe.fileno(), True)
                os.write(self._pipe.fileno(), b"\n" + msgspec.json.encode(message) + b"\n")

    def close(self) -> None:
        """End the child's input. Harmless when called again."""
        if self._pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                self._pipe.close()
            self._pipe = None

    def wait(self, seconds: float) -> None:
        """Wait for the child to end, and kill it if it does not."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
