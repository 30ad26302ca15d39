"""The figures of the API's operations in a metrics dictionary, however incomplete."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PURPOSES = {
    "load": "the load",
    "observe": "following runs",
    "setup": "preparing",
    "cleanup": "cleaning up",
}
"""What requests are for, in the order of reports, and what they are called there."""


def operations_of(api: Any, purpose: str) -> dict[str, dict[str, Any]]:
    """The figures of each operation for a purpose. Variants of list reads are in those of their operation."""
    return {name: figures for name, figures in _all_of(api, purpose).items() if "." not in name}


def rows_of(api: Any, purpose: str) -> dict[str, dict[str, Any]]:
    """The same, with the variants of each list read after it where it has several."""
    found = _all_of(api, purpose)
    variants = Counter(name.partition(".")[0] for name in found if "." in name)
    return {
        name: figures
        for name, figures in found.items()
        if "." not in name or variants[name.partition(".")[0]] > 1
    }


def _all_of(api: Any, purpose: str) -> dict[str, dict[str, Any]]:
    found = api.get(purpose) if isinstance(api, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: figures for name, figures in sorted(found.items()) if isinstance(figures, dict)}


def unanswered_of(figures: Mapping[str, Any]) -> int:
    """How many operations failed, were cut off by the end of the test, or never started."""
    return sum(figures.get(key) or 0 for key in ("errors", "cut_off", "never_started"))
