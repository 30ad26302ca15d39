"""Warnings that repeat: the first of each kind is logged, the others are counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kfp_perf.result.calls import alike

if TYPE_CHECKING:
    import logging


class RepeatedWarnings:
    """Logs the first warning of each kind, and at the end how many there were. Kinds differ in more than ids."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, what: str, error: str) -> None:
        """Record that something could not be done: `what` in words (`delete a run`), and why not."""
        key = (what, alike(error))
        self._counts[key] += 1
        if self._counts[key] == 1:
            self._log.warning("Could not %s: %s", what, error)

    def summarize(self) -> None:
        """Log each kind that came more than once, with its count."""
        for (what, error), count in self._counts.items():
            if count > 1:
                self._log.warning("Could not %s, %d times in all: %s", what, count, error)
        self._counts.clear()
