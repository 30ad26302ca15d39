"""The judgement of one threshold: the value, and whether the bound held."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from kfp_perf.compare.baseline_words import relative_reason
from kfp_perf.statistics.margins import MarginVerdict

if TYPE_CHECKING:
    from kfp_perf.compare.baseline import AgainstBaseline
    from kfp_perf.thresholds import Threshold


class Judged(StrEnum):
    """The result of a threshold; all but the first fail the test, the last unless that is accepted."""

    KEPT = "kept"
    NOT_KEPT = "not kept"
    NOT_ENOUGH_DATA = "not enough data"
    CANNOT_TELL = "cannot be told"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A threshold and the value that it was compared with.

    `value` is made from `count` others (None: it is a count itself); `interval` is its confidence interval, where
    there is one, and `error` how far off it is at most, where it is not exact. `reason` is why the threshold
    failed, and is empty where it was kept. `not_reached`: the value is above all that was answered, so it has none.
    `window` is when the window that was judged began and ended, in seconds from the start of the test (None: it was
    the whole test); `aborted`: the test was ended because of it.
    `between`: all that is known of the value is that it lies between these bounds, of which it is the upper one.
    `against` is the comparison with a baseline, where the bound is relative to one: the interval is then that of
    run-to-run variation. `accepted`: it passes although it is undecided.
    """

    threshold: Threshold
    judged: Judged
    value: float | None
    interval: tuple[float | None, float | None] | None
    error: float | None
    count: int | None
    reason: str
    not_reached: bool = False
    between: tuple[float, float] | None = None
    against: AgainstBaseline | None = None
    accepted: bool = False
    window: tuple[float, float] | None = None
    aborted: bool = False

    @property
    def passed(self) -> bool:
        """Whether the bound held, with enough data to judge it."""
        return self.judged is Judged.KEPT or (self.judged is Judged.CANNOT_TELL and self.accepted)

    @property
    def has_data(self) -> bool:
        """Whether there was something to judge, and enough of it."""
        return self.judged is not Judged.NOT_ENOUGH_DATA

    @property
    def margin(self) -> float | None:
        """How far the value stayed on the good side of the bound, in the metric's unit; negative: it did not."""
        if self.value is None or math.isnan(self.threshold.bound):
            return None
        above = self.value - self.threshold.bound
        comparison = self.threshold.comparison
        return (
            0.0 - abs(above) if comparison == "==" else above if comparison.startswith(">") else 0.0 - above
        )

    def __str__(self) -> str:
        scenario = f"{self.threshold.scenario}: " if self.threshold.scenario else ""
        return f"{scenario}{self.threshold.metric.name} {self.reason or 'holds'}"

    def document(self) -> dict[str, Any]:
        """The plain values that the result holds."""
        return {
            "scenario": self.threshold.scenario,
            "metric": self.threshold.metric.name,
            "condition": self.threshold.condition,
            "line": None if self.threshold.position is None else self.threshold.position.line,
            "unit": self.threshold.metric.metric.unit.value,
            "bound": None if math.isnan(self.threshold.bound) else self.threshold.bound,
            "value": self.value,
            "not_reached": self.not_reached,
            "between": None if self.between is None else [_finite(bound) for bound in self.between],
            "margin": self.margin,
            "interval": None if self.interval is None else list(self.interval),
            "error": self.error,
            "count": self.count,
            "passed": self.passed,
            "judged": self.judged.value,
            "reason": self.reason,
            "default": self.threshold.default,
            "baseline": None if self.against is None else self.against.document(),
            "window": None if self.window is None else list(self.window),
            "aborted": self.aborted,
        }


#: What the judgement of a relative threshold is by its interval.
_OF_MARGINS = {
    MarginVerdict.WITHIN: Judged.KEPT,
    MarginVerdict.BEYOND: Judged.NOT_KEPT,
    MarginVerdict.UNDECIDED: Judged.CANNOT_TELL,
}


def judged_against(
    threshold: Threshold,
    against: AgainstBaseline,
    value: float | None,
    count: int | None,
    *,
    error: float | None = None,
    accepted: bool = False,
) -> Judgement:
    """The judgement of a value, None where it was not reached, that was compared with a baseline."""
    bound = math.nan if against.bound is None else against.bound
    return Judgement(
        dataclasses.replace(threshold, bound=bound),
        _OF_MARGINS[against.finding.verdict],
        value,
        None if against.low is None else (against.low, against.high),
        error,
        count,
        relative_reason(threshold, value, against),
        value is None,
        against=against,
        accepted=accepted,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
