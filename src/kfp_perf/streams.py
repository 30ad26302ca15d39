"""Standard streams that are closed, broken, non-blocking, or of an encoding such as ASCII."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TextIO

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_missing_streams() -> None:
    """Make all three streams usable: output to one that was closed at the start is discarded.

    Python sets `sys.stdout` to None there. The number of the closed descriptor is reserved too: otherwise the next
    file to be opened would get it, and receive the output of child processes.
    """
    for number in range(len(_STREAMS)):
        if not _is_open(number):
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: this one
        elif number and not os.get_blocking(number):
            # Writing to a full non-blocking pipe, which some parent processes pass, fails instead of waiting.
            os.set_blocking(number, True)
    for number, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  stays open
        stream = getattr(sys, name)
        # Of the locale C it is surrogateescape, which writes no other character either.
        if number and isinstance(stream, io.TextIOWrapper) and stream.errors in {"strict", "surrogateescape"}:
            stream.reconfigure(errors="replace")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def discard_output(stream: TextIO) -> None:
    """Discard what is still written to a stream that broke.

    The interpreter flushes the standard streams at its end, and exits with 120 where that fails.
    """
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def flush_streams() -> None:
    """Write buffered output, or discard it where the stream has no reader."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            discard_output(stream)
