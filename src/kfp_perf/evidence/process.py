"""The collector's process, as the test runs it: its start, its notices in the log, and its end."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

import msgspec

from kfp_perf.evidence import SOURCES
from kfp_perf.evidence.collector import Order
from kfp_perf.evidence.source import Notice

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.config import TestConfig

log = logging.getLogger(__name__)

_FIRST_LOOK_SECONDS = 2.0
#: The last looks take two seconds at most.
_ENDS_WITHIN_SECONDS = 4.0
_LOG_FILE = "collector.log"
_MOST_AT_ONCE = 65536

_notice_decoder = msgspec.json.Decoder(Notice)


class EvidenceProcess:
    """Collects evidence in a process of its own, for as long as the context is open; `folder` holds its files.

    Entering waits for two seconds at most until every source was looked for, so that the first look is before the
    load, and the start of the process does not disturb it. Nothing that goes wrong with it harms the test: it is
    logged once. The process ends with its input, so it does not outlive this one.
    """

    def __init__(self, config: TestConfig, folder: Path, anchor: float) -> None:
        self._config = config
        self._folder = folder
        self._anchor = anchor
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        sources = SOURCES if config.evidence else ()
        self._unknown = {part for source in sources for part, _ in source.parts(config)}
        self._live: dict[str, str] = {}
        self._found: list[str] = []

    @property
    def live(self) -> list[str]:
        """The state of its sources now, in a few words each; empty where nothing was found yet."""
        return [f"{part} {text}" for part, text in self._live.items()]

    @property
    def pid(self) -> int:
        """The number of its process; 0 where there is none."""
        return self._process.pid if self._process is not None else 0

    def __enter__(self) -> Self:
        if self._config.evidence:
            try:
                self._start()
                self._wait()
            except OSError as error:
                self._give_up(f"it cannot be started: {error.strerror or error}")
        return self

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _LOG_FILE).open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kfp_perf.evidence.collector"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # only the execution gets Ctrl-C
            )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both are pipes")
        os.set_blocking(self._process.stdout.fileno(), False)
        self._process.stdin.write(Order.of(self._config, self._folder, self._anchor).encode())
        self._process.stdin.flush()

    def _wait(self) -> None:
        """Wait until something is known of every source, or the process has ended."""
        until = time.monotonic() + _FIRST_LOOK_SECONDS
        while self._process is not None and self._process.stdout is not None and self._unknown:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                break
            self._look()
        self._log_found()

    def look(self) -> None:
        """Log the notices of the collector since the last look; never waits."""
        self._look()
        self._log_found()

    def _look(self) -> None:
        if self._process is None:
            return
        self._read()
        if self._process.poll() is not None:
            self._close()
            self._give_up(self._why_ended())

    def _read(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        with contextlib.suppress(BlockingIOError, ValueError):
            self._unread += os.read(self._process.stdout.fileno(), _MOST_AT_ONCE)
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):
                self._handle(_notice_decoder.decode(line))

    def _handle(self, notice: Notice) -> None:
        state = notice.state
        self._unknown.discard(notice.part)
        if notice.live:
            self._live[notice.part] = notice.live
        elif notice.failed:
            log.warning("Evidence: %s failed: %s", notice.part, notice.failed)
        elif state is not None and state.found:
            self._found.append(state.title)
            log.debug("Evidence: %s: %s", state.title, state.found)
        elif state is not None:
            log.info(
                "Evidence: no %s: %s", state.title, ". ".join(filter(None, (state.missing, state.remedy)))
            )

    def _log_found(self) -> None:
        """Log in one line what was found since the last one."""
        if self._found:
            log.info("Evidence: %s", "; ".join(self._found))
        self._found.clear()

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._give_up("it did not end, and was killed")
        self._read()
        self._close()

    def _close(self) -> None:
        """Close the pipes of a process that has ended, and delete its log if it is empty."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        self._process = None
        self._live.clear()
        with contextlib.suppress(OSError):
            if not (self._folder / _LOG_FILE).stat().st_size:
                (self._folder / _LOG_FILE).unlink()

    def _why_ended(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self._folder / _LOG_FILE).read_text("utf-8", "replace").strip().splitlines()
            if lines:
                return f"it ended early: {lines[-1]}"
        return "it ended early"

    def _give_up(self, why: str) -> None:
        self._live.clear()
        log.warning("No more evidence is collected, and the test goes on: %s", why)
