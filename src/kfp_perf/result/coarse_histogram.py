"""Histograms of times that are cheap to record and to copy, for the counters of a running scenario."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.quantiles import binned_quantile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# Bins of a coarse histogram: 64 a decade from 1 us, so that a quantile is at most 3.7 % too high.
_BINS_A_DECADE = 64
_DECADES = 10
_BINS = _BINS_A_DECADE * _DECADES
_LOG_OF_MICROSECOND = -6 * _BINS_A_DECADE


class CoarseHistogram:
    """Counts of times by bin; recording one costs a logarithm, copying all of them a few microseconds."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts = array("Q", bytes(8 * _BINS))

    def record(self, seconds: float) -> None:
        """Count one time; less than a microsecond counts as one, more than about an hour in the last bin."""
        if seconds > 1e-6:
            place = int(_BINS_A_DECADE * math.log10(seconds)) - _LOG_OF_MICROSECOND
            self.counts[place if place < _BINS else _BINS - 1] += 1
        else:
            self.counts[0] += 1


def coarse_counts(counts: bytes) -> NDArray[np.uint64]:
    """Return the counts of a `CoarseHistogram` from the bytes in `ScenarioCounters`."""
    return np.frombuffer(counts, dtype=np.uint64) if counts else np.zeros(_BINS, dtype=np.uint64)


def coarse_sum(histograms: Iterable[bytes]) -> NDArray[np.uint64]:
    """Return the counts of several histograms together."""
    total = np.zeros(_BINS, dtype=np.uint64)
    for one in histograms:
        total += coarse_counts(one)
    return total


def coarse_quantile(counts: NDArray[np.uint64], share: float) -> float | None:
    """Return the upper bound of the bin that holds this quantile, in seconds; None where nothing was counted."""
    place = binned_quantile(counts, share)
    return None if place is None else float(10.0 ** ((place + 1 + _LOG_OF_MICROSECOND) / _BINS_A_DECADE))


#: The shortest time of each bin of a coarse histogram, in seconds.
COARSE_BOTTOMS = 10.0 ** ((np.arange(_BINS) + _LOG_OF_MICROSECOND) / _BINS_A_DECADE)
#: And the longest.
COARSE_TOPS = COARSE_BOTTOMS * 10.0 ** (1.0 / _BINS_A_DECADE)
