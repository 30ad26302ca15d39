"""Whether two groups of executions differ, from one value of each execution.

The execution is the unit of replication: values within one execution share its conditions, so that their number
says nothing of how far the next execution will lie. Times are compared as ratios, so the interval is made of
logarithms: Welch's t interval (Biometrika 34, 1947), which does not assume equal variances, or Student's for pairs.
*Same within X %* is the result of two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics
15, 1987), not the absence of a difference that was found. No bootstrap: over three executions it covers 80 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.quantiles import student_quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
POWER = 0.8
WITHIN = 0.05
"""The largest relative change that counts as the same, unless another is given."""
FEWEST_EXECUTIONS = 3
ADVISED_EXECUTIONS = 5
MOST_EXECUTIONS = 1000
"""A number of executions above this is reported as "more than"."""
GUARD_POINTS = 0.01
"""By how much a share must get worse to count."""

_SPREAD_CONFIDENCE = 0.8
"""The confidence of the standard deviation behind the range of executions."""
NO_SPREAD = 1e-9
"""A standard deviation of logarithms, or of shares, that is a rounding error."""


class ChangeVerdict(StrEnum):
    """What a comparison found of the new values, in the order in which it is decided.

    `SAME` is decided before `HIGHER` and `LOWER`: a difference can be certain and still too small to matter.
    """

    TOO_COARSE = "too coarse"
    SAME = "same"
    HIGHER = "higher"
    LOWER = "lower"
    TOO_LITTLE_DATA = "too little data"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of means with its standard error and degrees of freedom.

    `spread` is the standard deviation of one execution, or of one pair: with n a side the standard error is
    `spread * sqrt(2 / n)`, or `spread / sqrt(n)` for pairs; `spread_freedom` are its degrees of freedom. `coarse`:
    the values of a side do not differ at all, so that nothing is known of how far they vary.
    """

    difference: float
    standard_error: float
    freedom: float
    spread: float
    spread_freedom: float
    paired: bool
    coarse: bool

    def interval(self, confidence: float) -> tuple[float, float]:
        """The two-sided t interval of the difference."""
        reach = student_quantile(0.5 + confidence / 2, self.freedom) * self.standard_error
        return self.difference - reach, self.difference + reach


@dataclass(frozen=True, slots=True)
class Change:
    """A relative change from the baseline to the new values: 0.1 is 10 % more.

    `ratio` is the ratio of the geometric means less 1; `low` and `high` are its interval at `confidence`, None
    without an estimate of the spread. It is the interval that decided: of *same* the one of the two one-sided tests
    (90 % with one metric), else that of the difference (95 %). `smallest_found` is the smallest increase that this
    number of executions finds with 80 % power, given the spread that was seen. `executions` is the range of how
    many a side (or pairs) find a change of `within` with that power; an end of None is more than 1,000. `reason`
    says why there is no decision, where the number of executions is the cause.
    """

    verdict: ChangeVerdict
    ratio: float
    low: float | None
    high: float | None
    confidence: float
    within: float
    smallest_found: float | None = None
    executions: tuple[int | None, int | None] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ShareChange:
    """A change of a share in points: 0.01 is one point. The interval is None without an estimate of the spread.

    `verdict` is `HIGHER` or `LOWER` where the interval excludes 0, else `TOO_LITTLE_DATA`: that shares are the same
    is not decided.
    """

    verdict: ChangeVerdict
    points: float
    low: float | None
    high: float | None
    confidence: float


def compare(
    baseline: Sequence[float],
    new: Sequence[float],
    *,
    paired: bool = False,
    within: float = WITHIN,
    metrics: int = 1,
) -> Change:
    """Compare positive values, one of each execution, of which `metrics` are compared at the same time.

    The error of 5 % is divided among the metrics (Bonferroni), for differences and for *same* alike, so that
    interval and verdict agree. `paired`: `baseline[i]` and `new[i]` are one pair. Raises `ValueError` for values
    that have no logarithm, empty sides, and pairs of different numbers.
    """
    before, after = _logarithms(baseline), _logarithms(new)
    confidence = 1.0 - (1.0 - CONFIDENCE) / metrics
    ratio = math.expm1(float(after.mean() - before.mean()))
    reason = _too_few(before.size, after.size, paired=paired)
    if max(before.size, after.size) < 2 or (paired and before.size < 2):
        return Change(ChangeVerdict.TOO_LITTLE_DATA, ratio, None, None, confidence, within, reason=reason)
    if reason:
        executions = executions_needed(_pooled(before, after, paired=paired), within, confidence)
        return Change(
            ChangeVerdict.TOO_LITTLE_DATA,
            ratio,
            None,
            None,
            confidence,
            within,
            executions=executions,
            reason=reason,
        )
    found = estimate(before, after, paired=paired)
    if found.coarse:
        return Change(ChangeVerdict.TOO_COARSE, ratio, None, None, confidence, within)
    verdict = decide(found, within, metrics)
    undecided = verdict is ChangeVerdict.TOO_LITTLE_DATA
    shown = 2.0 * confidence - 1.0 if verdict is ChangeVerdict.SAME else confidence
    low, high = found.interval(shown)
    return Change(
        verdict,
        ratio,
        math.expm1(low),
        math.expm1(high),
        shown,
        within,
        smallest_found=math.expm1(smallest_found(found, confidence)) if undecided else None,
        executions=executions_needed(found, within, confidence) if undecided else None,
    )


def compare_shares(baseline: Sequence[float], new: Sequence[float], *, metrics: int = 1) -> ShareChange:
    """Compare shares between 0 and 1, one of each execution, by Welch's interval of their difference.

    Where no side has any spread, a difference counts if both have three executions. Raises `ValueError` for an
    empty side.
    """
    before, after = np.asarray(baseline, dtype=np.float64), np.asarray(new, dtype=np.float64)
    if not before.size or not after.size:
        raise ValueError("a side has no values")
    confidence = 1.0 - (1.0 - CONFIDENCE) / metrics
    points = float(after.mean() - before.mean())
    if min(before.size, after.size) < FEWEST_EXECUTIONS:
        return ShareChange(ChangeVerdict.TOO_LITTLE_DATA, points, None, None, confidence)
    found = estimate(before, after)
    low, high = (points, points) if not found.standard_error else found.interval(confidence)
    verdict = (
        ChangeVerdict.HIGHER
        if low > 0.0
        else ChangeVerdict.LOWER
        if high < 0.0
        else ChangeVerdict.TOO_LITTLE_DATA
    )
    return ShareChange(verdict, points, low, high, confidence)


def decide(found: Difference, within: float, metrics: int = 1) -> ChangeVerdict:
    """The verdict of a difference of logarithms, as `compare` decides it."""
    if found.coarse:
        return ChangeVerdict.TOO_COARSE
    error = (1.0 - CONFIDENCE) / metrics
    low, high = found.interval(1.0 - 2.0 * error)
    if -math.log1p(within) <= low and high <= math.log1p(within):
        return ChangeVerdict.SAME
    return _direction(*found.interval(1.0 - error))


def estimate(before: NDArray[np.float64], after: NDArray[np.float64], *, paired: bool = False) -> Difference:
    """The difference of the means, by Welch for two groups and by Student for pairs.

    Raises `ValueError` for fewer than two values a side, or pairs of different numbers.
    """
    if min(before.size, after.size) < 2:
        raise ValueError("a side has fewer than two values")
    if paired:
        if before.size != after.size:
            raise ValueError(f"{before.size} and {after.size} values are no pairs")
        differences = after - before
        spread = float(differences.std(ddof=1))
        freedom = differences.size - 1.0
        error = spread / math.sqrt(differences.size)
        return Difference(
            float(differences.mean()),
            error,
            freedom,
            spread,
            freedom,
            paired=True,
            coarse=spread < NO_SPREAD,
        )
    of_before = float(before.var(ddof=1)) / before.size
    of_after = float(after.var(ddof=1)) / after.size
    variance = of_before + of_after
    spreads = [math.sqrt(of_before * before.size), math.sqrt(of_after * after.size)]
    parts = of_before**2 / (before.size - 1) + of_after**2 / (after.size - 1)
    pooled = _pooled(before, after, paired=False)
    return Difference(
        float(after.mean() - before.mean()),
        math.sqrt(variance) if max(spreads) >= NO_SPREAD else 0.0,
        variance**2 / parts if parts > 0.0 else pooled.freedom,
        pooled.spread,
        pooled.spread_freedom,
        paired=False,
        coarse=min(spreads) < NO_SPREAD,
    )


def smallest_found(found: Difference, confidence: float) -> float:
    """The smallest true difference that the test finds with a power of POWER, as a difference of logarithms.

    By the noncentral t distribution, with the standard error that was seen for the true one.
    """
    return found.standard_error * _detectable(found.freedom, confidence, POWER)


def power_of(
    difference: float, spread: float, executions: int, *, confidence: float = CONFIDENCE, paired: bool = False
) -> float:
    """How often a difference of logarithms is found with so many executions a side, or pairs."""
    freedom = float(executions - 1 if paired else 2 * executions - 2)
    error = spread * math.sqrt((1.0 if paired else 2.0) / executions)
    return _power(abs(difference) / error, freedom, confidence)


def executions_needed(
    found: Difference, within: float, confidence: float = CONFIDENCE
) -> tuple[int | None, int | None] | None:
    """How many executions a side, or pairs, find an increase of `within`; None for more than 1,000.

    A range: the spread is known from few executions itself, and each end is for an end of its 80 % confidence
    interval (by the chi-squared distribution). None without any spread.
    """
    return executions_to_find(found, math.log1p(within), confidence)


def executions_to_find(
    found: Difference, difference: float, confidence: float = CONFIDENCE, power: float = POWER
) -> tuple[int | None, int | None] | None:
    """The same for a difference of the values that `found` is of."""
    if found.spread < NO_SPREAD:
        return None
    from scipy.special import chdtri

    tail = (1.0 - _SPREAD_CONFIDENCE) / 2
    freedom = found.spread_freedom
    least, most = (
        found.spread * math.sqrt(freedom / float(chdtri(freedom, share))) for share in (tail, 1.0 - tail)
    )

    def enough(spread: float) -> Callable[[int], bool]:
        return lambda executions: (
            power_of(difference, spread, executions, confidence=confidence, paired=found.paired) >= power
        )

    return _first(enough(least)), _first(enough(most))


def _direction(low: float, high: float) -> ChangeVerdict:
    if low > 0.0:
        return ChangeVerdict.HIGHER
    return ChangeVerdict.LOWER if high < 0.0 else ChangeVerdict.TOO_LITTLE_DATA


def _logarithms(values: Sequence[float]) -> NDArray[np.float64]:
    data = np.asarray(values, dtype=np.float64)
    if not data.size:
        raise ValueError("a side has no values")
    if not (np.isfinite(data) & (data > 0.0)).all():
        raise ValueError("only positive numbers have a ratio")
    return np.log(data)


def _too_few(before: int, after: int, *, paired: bool) -> str:
    if paired and before != after:
        raise ValueError(f"{before} and {after} values are no pairs")
    if min(before, after) >= FEWEST_EXECUTIONS:
        return ""
    if before == after == 1:
        return "one execution against one cannot be distinguished from run-to-run variation"
    return f"at least {FEWEST_EXECUTIONS} executions a side are needed, {ADVISED_EXECUTIONS} are advised"


def _pooled(before: NDArray[np.float64], after: NDArray[np.float64], *, paired: bool) -> Difference:
    """An estimate that has only the spread, of as little as one side with two values."""
    if paired:
        spread, freedom = float((after - before).std(ddof=1)), before.size - 1.0
    else:
        sides = [side for side in (before, after) if side.size > 1]
        freedom = float(sum(side.size - 1 for side in sides))
        # The mean of the variances where both are known: that is what the error of equal sides depends on.
        spread = math.sqrt(sum(float(side.var(ddof=1)) for side in sides) / len(sides))
    return Difference(0.0, spread, freedom, spread, freedom, paired=paired, coarse=False)


def _detectable(freedom: float, confidence: float, power: float) -> float:
    """The noncentrality at which the two-sided t test has this power."""
    low, high = 0.0, 1.0
    while _power(high, freedom, confidence) < power:
        low, high = high, 2.0 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, freedom, confidence) >= power else (middle, high)
    return high


def _power(noncentrality: float, freedom: float, confidence: float) -> float:
    from scipy.special import nctdtr

    bound = student_quantile(0.5 + confidence / 2, freedom)
    found = 1.0 - float(nctdtr(freedom, noncentrality, bound)) + float(nctdtr(freedom, noncentrality, -bound))
    # Far out the function is undefined; the normal distribution is close there.
    return found if math.isfinite(found) else float(noncentrality > bound)


def _first(holds: Callable[[int], bool]) -> int | None:
    """The smallest number from three on for which it holds, where it holds for all larger ones too."""
    if not holds(MOST_EXECUTIONS):
        return None
    low, high = FEWEST_EXECUTIONS - 1, MOST_EXECUTIONS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
