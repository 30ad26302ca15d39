"""The log: coloured on the console, rotated in a file, and as JSON lines, all written by one thread.

Whoever logs only puts a record into a queue, so a slow disk or terminal never delays the load. Secrets are
taken out where records enter the queue, the one place that all of them pass.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import logging.handlers
import os
import queue
import re
import sys
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

REQUESTS = 15
logging.addLevelName(REQUESTS, "REQUESTS")

#: The id under which a log line, a request's header and a result can be brought together.
correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="-")

_ROOTS = ("kfp_perf", "asyncio")
_COLOURS = {
    logging.DEBUG: "\x1b[2;37m",
    REQUESTS: "\x1b[1;37m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
_RESET = "\x1b[0m"
_HIDDEN = "[hidden]"
_SECRET_SHAPES = re.compile(
    r"""(?ix)
    (?P<key> \bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic)?\s* | \bbearer\s+
      | \b(?:set-)?cookie["']?\s*[:=]\s*["']?
      | \b(?:password|passwd|token|secret|api[-_]?key)["']?\s*[:=]\s*["']? )
    (?P<value> [^\s"',;&]+ (?: ; \s* [^\s"',;]+ )* )
    """
)


class Redactor:
    """Takes secrets out of text: values that are known, and what looks like a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Remember more values to hide (a token that was renewed, say)."""
        # A one-letter "secret" would blacken the whole log, and protects nothing.
        self._known |= {secret for secret in secrets if len(secret) > 3}

    def __call__(self, text: str) -> str:
        """Return the text without its secrets."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return _SECRET_SHAPES.sub(lambda match: f"{match['key']}{_HIDDEN}", text)


def hide(*secrets: str) -> None:
    """Keep these values out of the log that is open, if one is: a token that was read from a file, say."""
    if Logger._active is not None:
        Logger._active.redact.add(*secrets)


class _QueueHandler(logging.handlers.QueueHandler):
    """Makes each record final, formatted and redacted, before another thread takes it."""

    def __init__(self, target: queue.SimpleQueue[Any], redact: Redactor) -> None:
        super().__init__(target)
        self._redact = redact
        self._exceptions = logging.Formatter()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = f"{record.msg} {record.args!r}"
        if record.exc_info:
            text = f"{text}\n{self._exceptions.formatException(record.exc_info)}"
        final = logging.makeLogRecord(
            {
                "name": record.name,
                "levelno": record.levelno,
                "levelname": record.levelname,
                "created": record.created,
                "msecs": record.msecs,
                "threadName": record.threadName,
                "process": record.process,
            }
        )
        final.msg = self._redact(text)
        final.correlation = correlation_id.get()
        return final


class _ConsoleFormatter(logging.Formatter):
    def __init__(self, *, colours: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s", datefmt="%H:%M:%S")
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"{_COLOURS.get(record.levelno, '')}{text}{_RESET}" if self._colours else text


class _FileHandler(logging.handlers.RotatingFileHandler):
    """Lets go of lines that there is no room for: a test does not depend on its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name in logging
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


def wants_colours(stream: TextIO) -> bool:
    """Whether to colour what goes to this stream: a terminal, and no `NO_COLOR` (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


class Logger:
    """The log of one process: console, rotating file and JSON lines behind one queue.

    Use it as a context manager, or call `close()`, so that all is written at the end. There is one log at a
    time: starting another ends the one before, so setting up twice never writes a line twice. Libraries log
    through `logging.getLogger("kfp_perf.<part>")`.
    """

    _active: Logger | None = None

    def __init__(
        self,
        level: str = "INFO",
        *,
        console: TextIO | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        if Logger._active is not None:
            Logger._active.close()
        self.redact = Redactor(secrets)
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        #: The handler through which all records come in.
        self.entrance: logging.Handler = _QueueHandler(self._queue, self.redact)
        self._handlers: list[logging.Handler] = []
        self._listener: logging.handlers.QueueListener | None = None
        self._level = level
        stream = sys.stderr if console is None else console
        self._console = logging.StreamHandler(stream)
        self._console.setFormatter(_ConsoleFormatter(colours=wants_colours(stream)))
        self._handlers.append(self._console)
        self._before: list[tuple[logging.Logger, bool, int]] = []
        for root in _ROOTS:
            logger = logging.getLogger(root)
            self._before.append((logger, logger.propagate, logger.level))
            logger.addHandler(self.entrance)
            logger.propagate = False
            logger.setLevel(level if root == "kfp_perf" else logging.WARNING)
        self._restart()
        Logger._active = self

    def write_to(self, folder: Path, file_name: str, maximum_bytes: int, count: int) -> None:
        """Write to a rotating file in the folder too, and as JSON lines to a second one beside it."""
        from pythonjsonlogger.json import JsonFormatter

        folder.mkdir(parents=True, exist_ok=True)
        text = logging.Formatter(
            "%(asctime)s %(levelname)-8s %(threadName)s %(correlation)s %(name)s: %(message)s"
        )
        lines = JsonFormatter(
            "%(created)f %(levelname)s %(name)s %(threadName)s %(correlation)s %(message)s",
            rename_fields={"created": "time", "levelname": "level", "threadName": "thread"},
        )
        path = folder / file_name
        for target, formatter in ((path, text), (path.with_suffix(".jsonl"), lines)):
            handler = _FileHandler(
                target,
                maxBytes=maximum_bytes,
                backupCount=count,
                encoding="utf-8",
                errors="backslashreplace",
                delay=True,
            )
            handler.setFormatter(formatter)
            self._handlers.append(handler)
        self._restart()

    def divert_console(self, handler: logging.Handler) -> logging.Handler:
        """Send the console's lines to `handler` (a live display, say); return the handler that had them."""
        previous = self._handlers[0]
        self._handlers[0] = handler
        self._restart()
        return previous

    def flush(self) -> None:
        """Wait until all that was logged so far is written."""
        self._restart()
        for handler in self._handlers:
            handler.flush()

    def close(self) -> None:
        """Write what is waiting, end, and leave Python's loggers as they were. Harmless when called again."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        for logger, propagate, level in self._before:
            logger.removeHandler(self.entrance)
            logger.propagate = propagate
            logger.setLevel(level)
        self._before.clear()
        for handler in self._handlers:
            handler.flush()
            if handler is not self._console:
                handler.close()
        if Logger._active is self:
            Logger._active = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _restart(self) -> None:
        # A listener that stops first hands out all that waits; what comes meanwhile waits for the next.
        if self._listener is not None:
            self._listener.stop()
        self._listener = logging.handlers.QueueListener(
            self._queue, *self._handlers, respect_handler_level=True
        )
        self._listener.start()
