"""Quantiles of a histogram with few buckets: not values, but the buckets that hold them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kfp_perf.statistics.quantiles import binned_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence


def quantile_bounds(
    counts: Sequence[float], bounds: Sequence[float], share: float
) -> tuple[float, float] | None:
    """Return between which bounds a quantile lies: above the first, and at most the second; None without values.

    `counts` are the values in each bucket, and `bounds` their upper bounds, the last of which is infinite.
    Quantiles are by rank, as everywhere.
    """
    place = binned_quantile(counts, share)
    if place is None:
        return None
    return (bounds[place - 1] if place else 0.0), bounds[place]


def is_credible_sum(total: float, counts: Sequence[float], bounds: Sequence[float]) -> bool:
    """Whether the values in these buckets can have this sum."""
    if not math.isfinite(total):
        return False
    lows = [0.0, *bounds[:-1]]
    least = sum(count * low for count, low in zip(counts, lows, strict=True))
    most = sum(count * high for count, high in zip(counts, bounds, strict=True) if count)
    # Sums of floating-point numbers are a little off.
    return least * (1 - 1e-6) - 1e-9 <= total <= most * (1 + 1e-6) + 1e-9
