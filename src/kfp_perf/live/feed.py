"""The feed from the execution to the display: never waits, and never fails because a display did."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Protocol

from kfp_perf.live.child import Child
from kfp_perf.live.plain import line_of
from kfp_perf.live.snapshot import FeedMessage, Finish, LogLine

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.live.snapshot import Snapshot
    from kfp_perf.log import Logger
    from kfp_perf.result.reader import TestResult

log = logging.getLogger(__name__)

_PLAIN_EVERY_SECONDS = 10.0


class Display(Protocol):
    """Displays a running test."""

    def update(self, snapshot: Snapshot) -> None:
        """Show this state."""
        ...

    def end(self) -> None:
        """The test is over: restore the terminal. Calling it again does nothing."""
        ...

    def finish(self, result: TestResult, report: Path | None) -> None:
        """Show the verdict, and where the report is (None: it could not be written)."""
        ...

    def close(self) -> None:
        """Close the feed. Calling it again does nothing."""
        ...


def open_display(logger: Logger, *, quiet: bool, page: tuple[str, int] | None = None) -> Display:
    """Open the display: none when `quiet`, a screen on a terminal, else a line at intervals.

    `page` is the host and port (0: a free one) at which a live page is served to browsers as well; its address is
    logged.
    """
    display: Display
    if quiet:
        display = _NoDisplay()
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        display = _Terminal(logger)
    else:
        display = _Lines()
    return _Both(_Page(*page), display) if page else display


class _NoDisplay:
    def update(self, snapshot: Snapshot) -> None:
        pass

    def end(self) -> None:
        pass

    def finish(self, result: TestResult, report: Path | None) -> None:
        pass

    def close(self) -> None:
        self.end()


class _Lines(_NoDisplay):
    """A line in the log every ten seconds, for CI, and one on the components where there is evidence."""

    def __init__(self) -> None:
        self._next = 0.0

    def update(self, snapshot: Snapshot) -> None:
        if snapshot.elapsed_seconds >= self._next:
            self._next = snapshot.elapsed_seconds + _PLAIN_EVERY_SECONDS
            log.info("%s", line_of(snapshot))
            if snapshot.evidence:
                log.info("Components: %s", "; ".join(snapshot.evidence))


class _Terminal(_NoDisplay):
    """A screen, drawn by a separate process; the log's lines are shown above it."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._child = Child("kfp_perf.live.terminal")
        self._previous: logging.Handler | None = None
        self._previous = logger.divert_console(_FeedHandler(self))

    def update(self, snapshot: Snapshot) -> None:
        if not self._child.send(FeedMessage(snapshot=snapshot)):
            self._give_console_back()

    def show(self, record: logging.LogRecord, text: str) -> None:
        """Show a line of the log; on the console itself where the screen is gone."""
        # The log's own thread is here, which cannot give the console back: that waits for this very thread.
        if (
            not self._child.send(FeedMessage(log=LogLine(text, record.levelno)))
            and self._previous is not None
        ):
            self._previous.handle(record)

    def end(self) -> None:
        self._give_console_back()
        self._child.close()
        self._child.wait(5.0)

    def _give_console_back(self) -> None:
        if self._previous is not None:
            self._logger.divert_console(self._previous)
            self._previous = None


class _FeedHandler(logging.Handler):
    """Shows the log's lines above the display."""

    def __init__(self, terminal: _Terminal) -> None:
        super().__init__()
        self._terminal = terminal
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(message)s", datefmt="%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self._terminal.show(record, self.format(record)[:2000])


class _Page(_NoDisplay):
    """A page for browsers, served by a separate process, which outlives the test while a browser shows it."""

    def __init__(self, host: str, port: int) -> None:
        self._child = Child("kfp_perf.live.page", "--host", host, "--port", str(port), answers=True)
        address = self._child.answer()
        if address:
            log.info("Live page: %s", address)
        else:
            where = f" at {host} port {port}" if port else ""
            log.warning("The live page could not be opened%s; the test goes on without it", where)

    def update(self, snapshot: Snapshot) -> None:
        self._child.send(FeedMessage(snapshot=snapshot))

    def finish(self, result: TestResult, report: Path | None) -> None:
        verdict = result.document["verdict"]
        why = next((str(reason).splitlines()[0] for reason in verdict["reasons"] if reason), "")
        finish = Finish(verdict["text"], str(report) if report else "", why[:500])
        self._child.send(FeedMessage(finish=finish))

    def close(self) -> None:
        self._child.close()


class _Both:
    def __init__(self, *displays: Display) -> None:
        self._displays = displays

    def update(self, snapshot: Snapshot) -> None:
        for display in self._displays:
            display.update(snapshot)

    def end(self) -> None:
        for display in self._displays:
            display.end()

    def finish(self, result: TestResult, report: Path | None) -> None:
        for display in self._displays:
            display.finish(result, report)

    def close(self) -> None:
        for display in self._displays:
            display.close()
