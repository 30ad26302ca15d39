"""How many runs or requests were in flight, from the counters of scenarios.

These are read once a second, and written where they have changed: a reading holds until the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


class InFlight(NamedTuple):
    """When it was read, in seconds since the Unix epoch, and how many were in flight then."""

    at: NDArray[np.float64]
    counts: NDArray[np.float64]

    def within(self, begin: float, end: float) -> InFlight:
        """Those of a stretch of time, with at least one a second; none where nothing is known of it."""
        if end < begin or not self.at.size or self.at[0] > end:
            return InFlight(np.zeros(0), np.zeros(0))
        inside = self.at[(self.at >= begin) & (self.at <= end)]
        at = np.unique(np.concatenate([np.arange(begin, end), [end], inside]))
        return InFlight(at, self.held_at(at))

    def held_at(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """The last reading at each of these times; 0 before the first."""
        return np.asarray(np.concatenate([[0.0], self.counts])[np.searchsorted(self.at, at, side="right")])


def reading_in(counters: Mapping[str, Any]) -> tuple[float, float]:
    """When counters were written, and how many were in flight then."""
    return float(counters.get("at", 0.0)), float(counters.get("in_flight", 0))


def readings_of(pairs: Iterable[tuple[float, float]]) -> InFlight:
    """The readings of one scenario, in order of time."""
    table = np.array(sorted(pairs), dtype=np.float64).reshape(-1, 2)
    return InFlight(table[:, 0], table[:, 1])


def together(parts: Sequence[InFlight]) -> InFlight:
    """The sum over several scenarios at each of their readings; each counts from its first to its last one."""
    known = [one for one in parts if one.at.size]
    if len(known) == 1:
        return known[0]
    if not known:
        return InFlight(np.zeros(0), np.zeros(0))
    at = np.unique(np.concatenate([one.at for one in known]))
    total = np.zeros(at.size)
    for one in known:
        total += np.where(at <= one.at[-1], one.held_at(at), 0.0)
    return InFlight(at, total)


def figures_in_flight(readings: InFlight) -> dict[str, Any]:
    """The most that were in flight, the mean over time, and the number of readings; empty without any."""
    at, counts = readings
    if not at.size:
        return {}
    lasted = np.diff(at)
    mean = float((counts[:-1] * lasted).sum() / lasted.sum()) if lasted.sum() > 0.0 else float(counts[-1])
    return {"n": int(at.size), "max": int(counts.max()), "mean": round(mean, 1)}
