"""The figures of the API's operations in a metrics dictionary, however incomplete."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kfp_perf.metrics.metric import fewest_values
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


def statistic_of(distribution: Mapping[str, Any], name: str, written: Callable[[float | None], str]) -> str:
    """A statistic of a distribution in words: `not reached` where it lies above all that was answered or ended."""
    reached = name not in (distribution.get("not_reached") or ())
    return written(distribution.get(name)) if reached else "not reached"


def cell_of(distribution: Mapping[str, Any], name: str, written: Callable[[float | None], str]) -> str:
    """The same for a table of operations: no quantile of so few values that none of them is beyond it."""
    share, count = FINE_QUANTILES.get(name), distribution.get("n")
    if share is not None and isinstance(count, int) and count < fewest_values(share):
        return written(None)
    return statistic_of(distribution, name, written)
