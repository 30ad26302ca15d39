"""Results that are damaged, were edited, or belong to another user."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def readable(*results: Path) -> Iterator[None]:
    """Turn exceptions that results cause, because of what they hold or who may read them, into an `InputError`."""
    from kfp_perf.errors import InputError, Problem

    named = ", ".join(map(str, results))
    try:
        yield
    except OSError as error:
        problem = Problem(str(error.filename or named), f"cannot be read: {error.strerror}")
        raise InputError(problem) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"holds what no test writes ({type(error).__name__}: {error})"
        raise InputError(Problem(named, what, "Was it edited?")) from error
