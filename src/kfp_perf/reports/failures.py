"""The messages of failures in `result.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Failure(NamedTuple):
    """A kind of failure, its message, and how often it came."""

    kind: str
    message: str
    times: int

    @property
    def kind_in_words(self) -> str:
        """The kind for people: `HTTP 503`, `timeout`, `never started`."""
        return f"HTTP {self.kind}" if self.kind.isdigit() else self.kind.replace("_", " ")


def failures_of(figures: Mapping[str, Any]) -> list[Failure]:
    """The failures in the figures of an operation, or of runs, the most frequent first.

    Of an older result, which has no messages, they are by kind.
    """
    messages = figures.get("errors_by_message")
    if isinstance(messages, list):
        found = [
            Failure(str(one.get("kind", "")), str(one.get("message", "")), int(one.get("count", 0)))
            for one in messages
            if isinstance(one, dict)
        ]
    else:
        found = [
            Failure(str(kind), "", count) for kind, count in (figures.get("errors_by_kind") or {}).items()
        ]
    return sorted(found, key=lambda failure: -failure.times)
