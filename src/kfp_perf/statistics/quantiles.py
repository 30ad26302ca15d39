"""Quantiles by rank, those that kfp-perf reports, and those of Student's t distribution.

A quantile is always a value that was seen, never one between two: the smallest that the share of all values does
not exceed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

#: The quantiles of every distribution, and the share of values that each does not exceed.
QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
#: The same for requests, of which there are many.
FINE_QUANTILES: Mapping[str, float] = {**QUANTILES, "p99.9": 0.999}


def rank_of(share: float, count: int) -> int:
    """The rank, from 1, of the smallest of `count` values that `share` of them do not exceed.

    Shares such as 0.95 are off by a rounding error, and so is their product with a count: 1e-6 of a rank is
    forgiven.
    """
    return min(count, max(1, math.ceil(share * count - 1e-6)))


def quantile(values: ArrayLike, share: float) -> float:
    """The smallest of the values, at least one, that `share` of them do not exceed.

    It is a value that was seen, never one between two: numpy's `inverted_cdf`.
    """
    data = np.asarray(values, dtype=np.float64)
    place = rank_of(share, data.size) - 1
    return float(np.partition(data, place)[place])


def binned_quantile(counts: ArrayLike, share: float, above: int = 0) -> int | None:
    """The place of the first bin up to which `share` of all values lie; None where no bin is, or none was counted.

    `above` further values rank above all bins.
    """
    ranks = np.cumsum(np.asarray(counts, dtype=np.int64))
    if not ranks.size or not ranks[-1]:
        return None
    rank = rank_of(share, int(ranks[-1]) + above)
    return int(np.searchsorted(ranks, rank)) if rank <= ranks[-1] else None


def student_quantile(share: float, freedom: float) -> float:
    """The quantile of Student's t distribution."""
    from scipy.special import stdtrit  # takes a fifth of a second to import

    return float(stdtrit(freedom, share))
