"""The log: coloured on the console, rotated in a file, and as JSON lines, all written by one thread.

A logging call only puts a record into a queue, so a slow disk or terminal never delays the load. Secrets are
removed where records enter the queue, the one place that all of them pass.
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

#: The id that a log line, a request's header and a result have in common.
correlation_id: contextvars.ContextVar[str] = contextvars.ContextVar("correlation_id", default="-")

_ROOTS = ("kfp_perf", "asyncio")
LOG_COLORS = {
    "DEBUG": "\x1b[2;37m",
    "REQUESTS": "\x1b[1;37m",
    "INFO": "\x1b[32m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[1;31m",
}
"""The colour of each level on the console, as an ANSI escape sequence."""

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
    """Removes secrets from text: known values, and text that looks like a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Hide more values (a renewed token, for example)."""
        # A "secret" of a few letters would hide most of the log, and protects nothing.
        self._known |= {secret for secret in secrets if len(secret) > 3}

    def __call__(self, text: str) -> str:
        """Return the text without its secrets."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        return _SECRET_SHAPES.sub(lambda match: f"{match['key']}{_HIDDEN}", text)


def hide(*secrets: str) -> None:
    """Keep these values out of the active log, if there is one: a token that was read from a file, for example."""
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
        return f"{LOG_COLORS.get(record.levelname, '')}{text}{_RESET}" if self._colours else text


class _FileHandler(logging.handlers.RotatingFileHandler):
    """Drops lines that the disk has no space for: a test does not depend on its log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the name in logging
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            super().flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


def _rotating(path: Path, maximum_bytes: int, count: int) -> _FileHandler:
    return _FileHandler(
        path,
        maxBytes=maximum_bytes,
        backupCount=count,
        encoding="utf-8",
        errors="backslashreplace",
        delay=True,
    )


def wants_colours(stream: TextIO) -> bool:
    """Return whether output to this stream is coloured: a terminal, and no `NO_COLOR` (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


class Logger:
    """The log of one process: console, rotating file and JSON lines behind one queue. Thread-safe.

    There is one log at a time. `Logger()` without arguments returns the active one; with arguments, or where there
    is none, it starts a log and ends the one before, so setting up twice never writes a line twice. Use it as a
    context manager, or call `close()`, so that everything is written at the end. Libraries log through
    `logging.getLogger("kfp_perf.<part>")`.
    """

    _active: Logger | None = None

    def __new__(cls, *args: Any, **given: Any) -> Self:
        """Return the active log where nothing is given, else a new one."""
        active = Logger._active
        if isinstance(active, cls) and not args and not given:
            return active
        return super().__new__(cls)

    def __init__(
        self,
        level: str = "INFO",
        *,
        console: TextIO | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        if Logger._active is self:
            return
        if Logger._active is not None:
            Logger._active.close()
        self.redact = Redactor(secrets)
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        #: The handler that receives all records.
        self.entrance: logging.Handler = _QueueHandler(self._queue, self.redact)
        self._console = self._configure_console_handler(sys.stderr if console is None else console)
        self._handlers: list[logging.Handler] = [self._console]
        self._listener: logging.handlers.QueueListener | None = None
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
        """Write to a rotating file in the folder too, and as JSON lines to another one beside it.

        The JSON file has the same name with the suffix `.jsonl`. `maximum_bytes` is the size at which a file is
        rotated, `count` how many rotated files are kept.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / file_name
        # The text and the JSON log must not be the same file.
        beside = path.with_suffix(".jsonl.jsonl" if path.suffix == ".jsonl" else ".jsonl")
        self._handlers += [
            self._configure_file_handler(path, maximum_bytes, count),
            self._configure_json_handler(beside, maximum_bytes, count),
        ]
        self._restart()

    def _configure_console_handler(self, stream: TextIO) -> logging.Handler:
        """Return a handler that writes coloured lines to a stream."""
        handler = logging.StreamHandler(stream)
        handler.setFormatter(_ConsoleFormatter(colours=wants_colours(stream)))
        return handler

    def _configure_file_handler(self, path: Path, maximum_bytes: int, count: int) -> logging.Handler:
        """Return a handler that writes lines of text to a rotating file."""
        handler = _rotating(path, maximum_bytes, count)
        handler.setFormatter(
            logging.Formatter(
                "%(asctime)s %(levelname)-8s %(threadName)s %(correlation)s %(name)s: %(message)s"
            )
        )
        return handler

    def _configure_json_handler(self, path: Path, maximum_bytes: int, count: int) -> logging.Handler:
        """Return a handler that writes JSON lines to a rotating file."""
        from pythonjsonlogger.json import JsonFormatter

        handler = _rotating(path, maximum_bytes, count)
        handler.setFormatter(
            JsonFormatter(
                "%(created)f %(levelname)s %(name)s %(threadName)s %(correlation)s %(message)s",
                rename_fields={"created": "time", "levelname": "level", "threadName": "thread"},
            )
        )
        return handler

    def divert_console(self, handler: logging.Handler) -> logging.Handler:
        """Send the console's lines to `handler` (a live display, for example); return the one that had them."""
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
        """Write what is queued, end, and restore Python's loggers. A second call does nothing."""
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
        # A listener that stops writes all that is queued first; what is queued after that is left to the next one.
        if self._listener is not None:
            self._listener.stop()
        self._listener = logging.handlers.QueueListener(
            self._queue, *self._handlers, respect_handler_level=True
        )
        self._listener.start()
