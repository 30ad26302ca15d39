"""A histogram of times: bounded memory, three significant digits, mergeable, picklable.

The buckets are those of Tene's HdrHistogram for values from 1 us to 1 h with three digits, so its files and tools
can be used. Values are added in batches, which takes a tenth of the time of its Python edition.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.quantiles import QUANTILES, binned_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LOWEST_MICROSECONDS = 1
HIGHEST_MICROSECONDS = 3_600_000_000
DIGITS = 3

# Three digits need 2,048 sub-buckets, of which all buckets but the first use the upper half.
_HALF_BITS = 10
_BATCH = 1024


def bins_of(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of each time's bin. Below a microsecond counts as one, above an hour as an hour."""
    whole = np.rint(np.clip(seconds * 1e6, LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS))
    bits = np.frexp(whole)[1].astype(np.int64)
    bucket = np.maximum(bits - (_HALF_BITS + 1), 0)
    return np.asarray((bucket << _HALF_BITS) + (whole.astype(np.int64) >> bucket))


def top_of(index: int) -> float:
    """The longest time in seconds that falls into a bin."""
    bucket = max((index >> _HALF_BITS) - 1, 0)
    return (((index - (bucket << _HALF_BITS) + 1) << bucket) - 1) / 1e6


def tops_of(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """The longest time in seconds that falls into each of these bins."""
    bucket = np.maximum((bins >> _HALF_BITS) - 1, 0)
    return np.asarray((((bins - (bucket << _HALF_BITS) + 1) << bucket) - 1) / 1e6)


class Histogram:
    """Times in seconds, kept from a microsecond to an hour within 0.1 %; longer ones count as an hour.

    Negative times count as the shortest, and `negative` is their number; maximum and mean are exact.
    """

    __slots__ = ("_counts", "_longest", "_pending", "_sum", "negative")

    def __init__(self) -> None:
        self._pending = array("d")
        self._counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._sum = 0.0
        self._longest = 0.0
        self.negative = 0

    def record(self, seconds: float) -> None:
        """Record one time."""
        self._pending.append(seconds)
        if len(self._pending) >= _BATCH:
            self._fold()

    @property
    def count(self) -> int:
        """How many times were recorded."""
        self._fold()
        return int(self._counts.sum())

    @property
    def mean(self) -> float | None:
        """The mean in seconds; None where there are none."""
        count = self.count
        return self._sum / count if count else None

    @property
    def longest(self) -> float:
        """The longest recorded time, in seconds; 0.0 where there is none."""
        self._fold()
        return self._longest

    def quantile_bin(self, share: float, above: int = 0) -> int | None:
        """The first bin up to which at least `share` of all times lie; None where no bin is.

        `above` further times rank above all that were recorded: operations that were never answered.
        """
        self._fold()
        return binned_quantile(self._counts, share, above)

    def quantile(self, share: float, above: int = 0) -> float | None:
        """The time in seconds that `share` of all times do not exceed; None where it is not reached.

        `above` is as in `quantile_bin`.
        """
        found = self.quantile_bin(share, above)
        return None if found is None else min(top_of(found), self._longest)

    def summary(self, quantiles: Mapping[str, float] = QUANTILES) -> dict[str, float]:
        """Their number `n`, quantiles, the longest and the mean, in seconds; empty where there are none."""
        count = self.count
        if not count:
            return {}
        found = {name: self.quantile(share) or 0.0 for name, share in quantiles.items()}
        return {"n": count, **found, "max": self._longest, "mean": self._sum / count}

    def add_line(self, bins: NDArray[np.int64], counts: NDArray[np.int64], longest: float) -> None:
        """Add `counts[i]` times to the bins `bins[i]`; `longest` is their maximum in seconds.

        The mean is then exact to 0.1 %: each time counts as the longest of its bin.
        """
        if not bins.size:
            return
        self._fold()
        self._hold(int(bins.max()) + 1)
        self._counts[bins] += counts
        self._sum += float(np.dot(tops_of(bins), counts))
        self._longest = max(self._longest, longest)

    def merge(self, other: Histogram) -> None:
        """Add all that the other one holds."""
        self._fold()
        other._fold()
        self._hold(other._counts.size)
        self._counts[: other._counts.size] += other._counts
        self._sum += other._sum
        self._longest = max(self._longest, other._longest)
        self.negative += other.negative

    def _fold(self) -> None:
        """Add the pending times to the bins."""
        pending, self._pending = self._pending, array("d")
        if not pending:
            return
        seconds = np.array(pending)
        below = seconds < 0.0
        if below.any():
            self.negative += int(below.sum())
            seconds = np.maximum(seconds, 0.0)
        bins = bins_of(seconds)
        self._hold(int(bins.max()) + 1)
        np.add.at(self._counts, bins, 1)
        self._sum += float(seconds.sum())
        self._longest = max(self._longest, float(seconds.max()))

    def _hold(self, size: int) -> None:
        """Grow to at least `size` bins, in whole buckets: times seldom need all the bins up to an hour."""
        if size > self._counts.size:
            grown = np.zeros(-(-size >> _HALF_BITS << _HALF_BITS), dtype=np.int64)
            grown[: self._counts.size] = self._counts
            self._counts = grown
