"""What a command says on its standard output, when that is full, or nobody reads on."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """All that is written within has left when it ends; else `InputError`. Nobody is made to read on to the end."""
    from kfp_perf.errors import InputError, Problem

    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # The interpreter tries again when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise InputError(Problem("standard output", f"cannot be written: {error.strerror}")) from error
