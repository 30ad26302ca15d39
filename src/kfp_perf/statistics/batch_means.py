"""Confidence intervals within one execution, by ten batch means.

Requests of neighbouring seconds share the server's queue, its garbage collection and the load of its neighbours, so
an interval that treats them as independent is too narrow by a factor of several. The mean of a batch of many
seconds depends little on that of the next batch: ten of them give Student's t interval with nine degrees of freedom
(Schmeiser, Operations Research 30, 1982).

Such an interval says nothing about the next execution. docs/metrics.md has its coverage by simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.correlation import first_order_correlation
from kfp_perf.statistics.quantiles import student_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BATCHES = 10
FEWEST_SECONDS = 300
CONFIDENCE = 0.95
HIGHEST_CORRELATION = 0.4

_PARTS = 3
"""How many parts a batch has, of which the correlation of batches is estimated."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of sums, and half of the width of its confidence interval.

    `half_width` is None where no interval can be given, and `reason` says why.
    """

    value: float
    half_width: float | None
    reason: str = ""


def ratio_intervals(numerators: ArrayLike, totals: ArrayLike) -> list[Ratio]:
    """Return, for each row of `numerators`, its sum over the sum of `totals`, with a confidence interval.

    `numerators` has a row for each ratio and `totals` is what all are ratios of; both have a value for each second
    of the load, zero where nothing happened. For a share the numerators count what belongs to it, for a mean they
    are sums of values; the totals count everything, failed operations included where they rank above all others.

    There is no interval for loads of less than five minutes, where more than half of 30 equal parts of the load
    hold nothing, or where the means of neighbouring batches are correlated by more than 0.4. That correlation
    follows from the one of the 30 parts, taken as a first-order autoregressive process; ten means alone do not show
    it. Below that bound the interval is widened by what the correlation adds to the variance.
    """
    rows = np.atleast_2d(np.asarray(numerators, dtype=np.float64))
    whole = np.asarray(totals, dtype=np.float64)
    if rows.shape[1] != whole.size:
        raise ValueError(f"{rows.shape[1]} seconds of numerators, and {whole.size} of totals")
    total = float(whole.sum())
    if not total:
        return [Ratio(math.nan, None, "nothing was counted") for _ in rows]
    if whole.size < FEWEST_SECONDS:
        reason = f"{whole.size} s of load, and at least {FEWEST_SECONDS} s are needed"
        return [Ratio(float(row.sum()) / total, None, reason) for row in rows]
    t = student_quantile(0.5 + CONFIDENCE / 2, BATCHES - 1)
    return [_ratio(row, whole, total, t) for row in rows]


def _ratio(row: NDArray[np.float64], totals: NDArray[np.float64], total: float, t: float) -> Ratio:
    """The ratio of one row.

    Batches differ in their totals, so the deviations are those of a ratio estimator: what a batch has beyond its
    share (Cochran, Sampling Techniques, section 6.4).
    """
    value = float(row.sum()) / total
    parts = _sums(row - value * totals, BATCHES * _PARTS)
    if np.count_nonzero(_sums(totals, parts.size)) < parts.size / 2:
        return Ratio(value, None, "more than half of the load holds nothing")
    correlation = _of_means(first_order_correlation(parts), _PARTS)
    if correlation > HIGHEST_CORRELATION:
        return Ratio(value, None, f"neighbouring tenths of the load are correlated by {correlation:.2f}")
    deviations = parts.reshape(BATCHES, _PARTS).sum(axis=1)
    variance = float(deviations @ deviations) * BATCHES / (BATCHES - 1) * _widening(correlation)
    return Ratio(value, t * math.sqrt(variance) / total)


def _sums(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The sums of so many parts, whose lengths differ by a second at most."""
    edges = np.linspace(0, values.size, count + 1).astype(np.int64)
    return np.add.reduceat(values, edges[:-1])


def _of_means(coefficient: float, size: int) -> float:
    """The correlation of means of `size` neighbours each, in a first-order process with this coefficient."""
    if coefficient <= 0.0:
        return 0.0
    decay = 1.0 - coefficient**size
    return coefficient * decay**2 / (size * (1.0 - coefficient**2) - 2.0 * coefficient * decay)


def _widening(correlation: float) -> float:
    """The variance of the mean of the batches, as a multiple of what it is taken for where none are correlated.

    Correlated neighbours raise it, and lower the mean square of the deviations from it.
    """
    pairs = 2.0 * correlation / BATCHES
    return (1.0 + pairs * (BATCHES - 1)) / (1.0 - pairs)
