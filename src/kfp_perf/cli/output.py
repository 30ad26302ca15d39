"""What a command writes to its standard output, which may be full, or have no reader any more."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from kfp_perf.streams import discard_output

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """Write all that is printed within to standard output before the context ends.

    Raises `InputError` where that fails; a reader that reads no further (`| head -1`) is no failure.
    """
    from kfp_perf.errors import InputError, Problem

    try:
        try:
            yield
            sys.stdout.flush()
        except SystemExit as left:
            # rich leaves with 1 where the pipe is broken; the exit code is the command's business.
            if isinstance(left.__context__, BrokenPipeError):
                raise left.__context__ from None
            raise
    except OSError as error:
        discard_output(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise InputError(Problem("standard output", f"cannot be written: {error.strerror}")) from error
