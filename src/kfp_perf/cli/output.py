"""Writing to standard output, which may be full or have lost its reader."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from kfp_perf.streams import discard_output

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """Flush standard output at the end of the context, and handle its failures.

    Raises `InputError` if it cannot be written; a closed pipe (`| head -1`) is not a failure.
    """
    from kfp_perf.errors import InputError, Problem

    try:
        try:
            yield
            sys.stdout.flush()
        except SystemExit as left:
            # rich exits with 1 on a broken pipe; the exit code must stay that of the command.
            if isinstance(left.__context__, BrokenPipeError):
                raise left.__context__ from None
            raise
    except OSError as error:
        discard_output(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise InputError(Problem("standard output", f"cannot be written: {error.strerror}")) from error
