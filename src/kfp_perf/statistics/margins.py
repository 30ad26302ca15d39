"""Whether new executions stay within a margin of a baseline's executions, from one value of each.

As in `comparison`, the execution is the unit: the confidence interval of the change must end on one side of the
margin, else that is unknown. Three or more new executions: Welch's t interval. One or two have no variance that
could be estimated, so they are taken to vary as the baseline does: Student's t interval with the variance of both
sides, which for one new execution is the prediction interval of a further execution of the baseline
(Hahn and Meeker, Statistical Intervals, 1991, section 4.8). Executions in pairs: Student's t interval of the
differences within them, which what drifts from pair to pair does not widen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.comparison import (
    CONFIDENCE,
    FEWEST_EXECUTIONS,
    NO_SPREAD,
    Difference,
    estimate,
    executions_to_find,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


_ROUNDING = 1e-9


class MarginVerdict(StrEnum):
    """Where the interval of the change lies."""

    WITHIN = "within"
    BEYOND = "beyond"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class MarginFinding:
    """A change from the baseline and its interval: relative (0.1 is 10 % more), or in the unit of the values.

    `change` is None where there is none, `low` and `high` without an estimate of the variation. `executions` is a
    range of how many a side would find the margin kept with 80 % power, if nothing had changed (an end of None is
    more than 1,000); it and `reason` are given where it is undecided.
    """

    verdict: MarginVerdict
    change: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = CONFIDENCE
    executions: tuple[int | None, int | None] | None = None
    reason: str = ""


def judge_margin(
    baseline: Sequence[float],
    new: Sequence[float],
    margin: float,
    *,
    is_relative: bool,
    is_upper: bool,
    is_strict: bool = False,
    is_exact: bool = False,
    comparisons: int = 1,
    paired: bool = False,
) -> MarginFinding:
    """Judge whether the new values exceed the baseline's by at most `margin`, or by at least (`is_upper` False).

    `margin` is relative, or in the unit of the values. `is_strict`: the margin itself is too much. `is_exact`: the
    values are counts or shares, so that executions without any spread are no sign of coarse values. The error of
    5 % is divided among `comparisons` (Bonferroni). `paired`: `baseline[i]` and `new[i]` are one pair. Raises
    `ValueError` for a side without values, and for pairs of different numbers.
    """
    if not baseline or not new:
        raise ValueError("a side has no values")
    before, after = np.asarray(baseline, dtype=np.float64), np.asarray(new, dtype=np.float64)
    if is_relative and min(before.min(), after.min()) <= 0.0:
        return MarginFinding(MarginVerdict.UNDECIDED, reason="a value is not positive, so there is no ratio")
    if is_relative:
        before, after, margin = np.log(before), np.log(after), math.log1p(margin)

    def shown(value: float) -> float:
        return math.expm1(value) if is_relative else value

    confidence = 1.0 - (1.0 - CONFIDENCE) / comparisons
    change = shown(float(after.mean() - before.mean()))
    if before.size < FEWEST_EXECUTIONS:
        reason = _too_few(before.size, paired=paired)
        return MarginFinding(MarginVerdict.UNDECIDED, change, confidence=confidence, reason=reason)
    found = difference_of(before, after, paired=paired)
    if found.coarse and not is_exact:
        what = "pairs" if paired else "executions of a side"
        reason = f"{what} do not differ at all, so their variation is not known"
        return MarginFinding(MarginVerdict.UNDECIDED, change, confidence=confidence, reason=reason)
    low, high = found.interval(confidence) if found.standard_error else (found.difference, found.difference)
    verdict = decide_margin(low, high, margin, is_upper=is_upper, is_strict=is_strict)
    undecided = verdict is MarginVerdict.UNDECIDED
    return MarginFinding(
        verdict,
        change,
        shown(low),
        shown(high),
        confidence,
        executions_to_find(found, margin, confidence) if undecided else None,
        "the interval of the change holds the margin" if undecided else "",
    )


def difference_of(
    before: NDArray[np.float64], after: NDArray[np.float64], *, paired: bool = False
) -> Difference:
    """The difference of the means: by Welch for three or more new values, by Student for one, two, or pairs."""
    if paired:
        return estimate(before, after, paired=True)
    return estimate(before, after) if after.size >= FEWEST_EXECUTIONS else _pooled(before, after)


def decide_margin(
    low: float, high: float, margin: float, *, is_upper: bool, is_strict: bool = False
) -> MarginVerdict:
    """The verdict of an interval of the change; `is_strict`: the margin itself is not within."""
    # Differences of shares are off by rounding errors.
    limit = margin + (_ROUNDING if is_upper is not is_strict else -_ROUNDING)
    if high <= limit if is_upper else low >= limit:
        return MarginVerdict.WITHIN
    beyond = low > limit if is_upper else high < limit
    return MarginVerdict.BEYOND if beyond else MarginVerdict.UNDECIDED


def _too_few(count: int, *, paired: bool) -> str:
    if paired:
        there = "there is one pair" if count == 1 else f"there are {count} pairs"
        return f"{there}, and it takes {FEWEST_EXECUTIONS} to see how far pairs vary"
    executions = "one execution" if count == 1 else f"{count} executions"
    return f"the baseline has {executions}, and it takes {FEWEST_EXECUTIONS} to see how far executions vary"


def _pooled(before: NDArray[np.float64], after: NDArray[np.float64]) -> Difference:
    """The difference of the means with the variance of both sides together (Student)."""
    freedom = float(before.size + after.size - 2)
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in (before, after))
    spread = math.sqrt(squares / freedom)
    return Difference(
        float(after.mean() - before.mean()),
        spread * math.sqrt(1.0 / before.size + 1.0 / after.size),
        freedom,
        spread,
        freedom,
        paired=False,
        coarse=spread < NO_SPREAD,
    )
