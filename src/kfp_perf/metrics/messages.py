"""Texts of failures, counted by kind: texts that differ only in ids count as one."""

from __future__ import annotations

from collections import Counter
from typing import Any

from kfp_perf.result.calls import MOST_MESSAGES, OTHERS, alike


class Messages:
    """Counts messages by kind; bounded, however many different ones a server sends."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, message: str, times: int = 1) -> None:
        """Count a failure."""
        self._add(kind, message if message == OTHERS else alike(message), times)

    def merge(self, other: Messages) -> None:
        """Add what another one counted."""
        for (kind, text), count in other._counts.items():
            self._add(kind, text, count)

    def result(self) -> list[dict[str, Any]]:
        """`[{kind, message, count}]`, the most frequent first."""
        return [
            {"kind": kind, "message": text, "count": count}
            for (kind, text), count in sorted(self._counts.items(), key=lambda one: -one[1])
        ]

    def _add(self, kind: str, text: str, count: int) -> None:
        key = (kind, text)
        if key not in self._counts and len(self._counts) >= MOST_MESSAGES:
            key = ("", OTHERS)
        self._counts[key] += count
