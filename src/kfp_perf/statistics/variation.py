"""How far the executions of one test vary, from one value of each.

The interval is Student's t on logarithms, as `comparison` has it: it is of the geometric mean of executions like
these, run one after the other. Executions whose conditions drift or are correlated vary more than it says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.comparison import CONFIDENCE, Difference, smallest_found
from kfp_perf.statistics.quantiles import student_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST_UNTIL_STABLE = 5
"""Executions before a rule on the width of the interval is applied: from two on, it covers 87 to 92 % only."""


@dataclass(frozen=True, slots=True)
class Variation:
    """Positive values of `count` executions: their geometric mean, and how far they vary.

    `spread` is the relative standard deviation of one execution, `low` to `high` the 95 % interval of the mean, and
    `half_width` the larger distance of its ends from the mean, as a share of it; None of fewer than two values.
    """

    count: int
    mean: float
    spread: float | None
    low: float | None
    high: float | None
    half_width: float | None


def variation_of(values: Sequence[float]) -> Variation:
    """Return the variation of positive values. Raises `ValueError` for none, and for one that is not positive."""
    data = np.asarray(values, dtype=np.float64)
    if not data.size or not (np.isfinite(data) & (data > 0.0)).all():
        raise ValueError("only positive numbers have a variation")
    logarithms = np.log(data)
    mean = float(logarithms.mean())
    if data.size < 2:
        return Variation(1, math.exp(mean), None, None, None, None)
    deviation = float(logarithms.std(ddof=1))
    reach = student_quantile(0.5 + CONFIDENCE / 2, data.size - 1.0) * deviation / math.sqrt(data.size)
    return Variation(
        count=int(data.size),
        mean=math.exp(mean),
        spread=math.expm1(deviation),
        low=math.exp(mean - reach),
        high=math.exp(mean + reach),
        half_width=math.expm1(reach),
    )


def is_stable(variations: Sequence[Variation], share: float) -> bool:
    """Whether every interval reaches no further than `share` of its mean, and comes of enough executions."""
    return bool(variations) and all(
        one.count >= FEWEST_UNTIL_STABLE and one.half_width is not None and one.half_width <= share
        for one in variations
    )


def smallest_changes(
    spread: float, executions: Sequence[int], metrics: int = 1, *, paired: bool = False
) -> list[float]:
    """The smallest relative increase that is found with a power of 80 %, for each number of executions a side.

    `spread` is the relative standard deviation of one execution on both sides, or of the ratio of a pair; `metrics`
    is the number of primary metrics over which the error is divided. By the noncentral t distribution, with the
    spread taken as known.
    """
    deviation = math.log1p(spread)
    confidence = 1.0 - (1.0 - CONFIDENCE) / metrics
    found = []
    for number in executions:
        error = deviation * math.sqrt((1.0 if paired else 2.0) / number)
        freedom = number - 1.0 if paired else 2.0 * number - 2.0
        known = Difference(0.0, error, freedom, deviation, freedom, paired=paired, coarse=False)
        found.append(math.expm1(smallest_found(known, confidence)))
    return found
