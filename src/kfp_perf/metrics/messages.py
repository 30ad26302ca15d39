"""What a server said of failures, counted by kind and text: texts that differ only in ids count as one."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

#: So many different texts are told apart; whatever comes after them is counted under OTHERS.
MOST_MESSAGES = 20
OTHERS = "other messages"
_LONGEST = 300
# Ids, our own names, moments, hashes, and numbers too long for a status, an exit code or a well-known port.
_VARYING = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|\bkfp-perf-[a-z0-9-]+"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.]*(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b[0-9a-f]{12,}\b"
    r"|\d{5,}"
)


def alike(text: str) -> str:
    """The first line of a message, at most 300 characters, with `…` for what varies from one to the next."""
    line = text.strip().split("\n", 1)[0]
    return _VARYING.sub("…", line[:_LONGEST])


class Messages:
    """Counts messages by kind; bounded, however many a server invents."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, message: str) -> None:
        """Take in one failure."""
        self._add(kind, alike(message), 1)

    def merge(self, other: Messages) -> None:
        """Take in what another one counted."""
        for (kind, text), count in other._copied():
            self._add(kind, text, count)

    def result(self) -> list[dict[str, Any]]:
        """`[{kind, message, count}]`, the most frequent first."""
        return [
            {"kind": kind, "message": text, "count": count}
            for (kind, text), count in sorted(self._copied(), key=lambda one: -one[1])
        ]

    def _add(self, kind: str, text: str, count: int) -> None:
        key = (kind, text)
        if key not in self._counts and len(self._counts) >= MOST_MESSAGES:
            key = ("", OTHERS)
        self._counts[key] += count

    def _copied(self) -> list[tuple[tuple[str, str], int]]:
        """A copy: where a test was stopped at once, its thread may add a message at this very moment."""
        return list(dict(self._counts).items())
