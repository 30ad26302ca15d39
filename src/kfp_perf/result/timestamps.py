"""Times in result files: ISO 8601 in UTC, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def utc_of(seconds: float) -> str:
    """A time in seconds since the Unix epoch as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_of(text: Any) -> float | None:
    """A time in seconds since the Unix epoch; None where the text is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
