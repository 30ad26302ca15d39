"""Thresholds: bounds of metrics that decide whether a test passed. Parsed with the plan, judged at the end."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError

from kfp_perf.errors import Problem
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.registry import find_metric, nearest_name, statistics_of
from kfp_perf.scenario.quantities import parse_minutes, parse_rate, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kfp_perf.metrics.registry import NamedMetric

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_CONDITION = re.compile(r"\s*(<=|>=|==|<|>)\s*([^<>=\s].*?)\s*", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_WINDOW = re.compile(r"\bover\b.*", re.ASCII)
#: Conditions in each unit.
EXAMPLES = {
    Unit.SECONDS: '"< 90s", "<= 250ms" or "< 1m30s"',
    Unit.SHARE: '"<= 1%" or ">= 0.99"',
    Unit.CHANGE: '"<= 10%"',
    Unit.COUNT: '"== 0" or ">= 100"',
    Unit.PER_SECOND: '">= 30/min" or "> 5/s"',
}

_MOST_REASONS = 3

#: What is understood, and cannot be judged yet: how it shows, in the name or in the condition, and what it is.
_NOT_YET = (
    (_WINDOW, "a sliding window", 'leave out "over ...": the whole test is judged'),
    (
        re.compile(r"[{\[].*"),
        "a metric by tags",
        "leave out what is in brackets: all of a scenario is judged",
    ),
    (re.compile(r"\babort\w*", re.IGNORECASE), "ending a test early", "leave it out: judged is at the end"),
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound of one value of one metric: of the scenario named, or of the whole test (None).

    `bound` is in the metric's own unit (seconds, shares, pieces, pieces a second), `where` its place in the file.
    """

    scenario: str | None
    metric: NamedMetric
    comparison: str
    bound: float
    condition: str
    where: str


class Judged(StrEnum):
    """What a threshold came to; all but the first fails the test."""

    KEPT = "kept"
    NOT_KEPT = "not kept"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a threshold.

    `value` is made from `count` others (None: it is a count itself); `interval` is its confidence interval, where
    there is one, and `error` how far off it is at most, where it is not exact. `reason` says why the threshold
    failed, and is empty where it was kept.
    """

    threshold: Threshold
    judged: Judged
    value: float | None
    interval: tuple[float | None, float | None] | None
    error: float | None
    count: int | None
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the bound held, and the data was enough to say so."""
        return self.judged is Judged.KEPT

    @property
    def margin(self) -> float | None:
        """How far the value stayed on the good side of the bound, in the metric's unit; negative: it did not."""
        if self.value is None:
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
            "unit": self.threshold.metric.metric.unit.value,
            "bound": self.threshold.bound,
            "value": self.value,
            "margin": self.margin,
            "interval": None if self.interval is None else list(self.interval),
            "error": self.error,
            "count": self.count,
            "passed": self.passed,
            "judged": self.judged.value,
            "reason": self.reason,
        }


def parse_threshold(
    name: str, condition: str, where: str, scenario: str | None = None
) -> Threshold | Problem:
    """Return the threshold that a metric's name and a condition such as `< 90s` say, or what is wrong with it."""
    for pattern, what, remedy in _NOT_YET:
        if pattern.search(condition) or pattern.search(name):
            return Problem(where, f"{what} cannot be judged yet, got {shown(f'{name}: {condition}')}", remedy)
    metric = find_metric(name)
    if metric is None:
        return Problem(where, f"there is no metric {shown(name)}", _remedy_for(name))
    example = f"write {EXAMPLES[metric.metric.unit]}"
    matched = _CONDITION.fullmatch(condition)
    if matched is None:
        return Problem(where, f"is not a condition, got {shown(condition)}", example)
    comparison, text = matched.groups()
    unit = metric.metric.unit
    try:
        bound = _BOUNDS[unit](text)
    except (ValueError, PydanticCustomError):
        bound = math.nan
    if not math.isfinite(bound):
        return Problem(where, f"is not a bound in {_WORDS[unit]}, got {shown(text)}", example)
    if unit is Unit.SHARE:
        if not 0.0 <= bound <= 1.0:
            return Problem(where, f"a share lies between 0 and 100 %, got {shown(text)}", example)
        if (comparison, bound) in {("<=", 1.0), (">=", 0.0)}:
            return Problem(where, f"{shown(condition)} holds whatever happens", example)
    return Threshold(scenario, metric, comparison, bound, condition.strip(), where)


def judge(
    thresholds: Iterable[Threshold], sections: Mapping[str | None, Mapping[str, Any]]
) -> list[Judgement]:
    """Judge thresholds by the metrics dictionaries of the scenarios, and by that of the whole test under None.

    A value that was made from too few others is not enough data, and fails: a quantile needs so many that one lies
    beyond it (p50 2, p90 10, p95 20, p99 100, p99.9 1000), anything else but a count needs one.
    """
    return [_judged(threshold, sections.get(threshold.scenario, {})) for threshold in thresholds]


def why_failed(judgements: Sequence[Judgement]) -> str:
    """Why a test did not pass, in a sentence; empty where every threshold was kept."""
    failed = [one for one in judgements if not one.passed]
    if not failed:
        return ""
    if len(judgements) == 1:
        return f"{failed[0]}."
    told = [str(one) for one in failed[:_MOST_REASONS]]
    if len(failed) > len(told):
        told.append(f"and {len(failed) - len(told)} more")
    return f"{len(failed)} of {len(judgements)} thresholds failed: {'; '.join(told)}."


def _judged(threshold: Threshold, metrics: Mapping[str, Any]) -> Judgement:
    metric = threshold.metric
    value, count = metric.value_in(metrics), metric.count_in(metrics)
    judged, reason = Judged.NOT_ENOUGH_DATA, ""
    if count is not None and 0 < count < metric.fewest:
        reason = f"has not enough data: {count} of at least {metric.fewest} values"
    elif value is None or count == 0:
        reason = f"has not enough data: {metric.metric.absent if count else 'there is none'}"
    elif _OPERATORS[threshold.comparison](value, threshold.bound):
        judged = Judged.KEPT
    else:
        judged = Judged.NOT_KEPT
        reason = f"is {_told(value, threshold)}, not {threshold.condition}"
    interval, error = metric.interval_in(metrics), metric.error_in(metrics)
    return Judgement(threshold, judged, value, interval, error, count, reason)


def _remedy_for(name: str) -> str:
    statistics = statistics_of(name)
    if statistics:
        return f"say which: {', '.join(f'{name}.{statistic}' for statistic in statistics)}"
    near = nearest_name(name)
    return f"did you mean {near}?" if near else "docs/metrics.md lists them all"


def _seconds(text: str) -> float:
    return 0.0 if text == "0" else round(parse_minutes(text) * 60.0, 9)


def _part(text: str) -> float:
    number = text.removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(number):
        raise ValueError(text)
    return float(number) / 100.0 if text.endswith("%") else float(number)


def _whole(text: str) -> float:
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise ValueError(text)
    return float(text)


def _per_second(text: str) -> float:
    return 0.0 if text == "0" else parse_rate(text).per_second


_BOUNDS: dict[Unit, Callable[[str], float]] = {
    Unit.SECONDS: _seconds,
    Unit.SHARE: _part,
    Unit.CHANGE: _part,
    Unit.COUNT: _whole,
    Unit.PER_SECOND: _per_second,
}
_WORDS = {
    Unit.SECONDS: "units of time",
    Unit.SHARE: "per cent",
    Unit.CHANGE: "per cent",
    Unit.COUNT: "whole numbers",
    Unit.PER_SECOND: "so many in what time",
}


#: What a unit's values are multiplied by when they are told, and the sign that follows.
_SIGNS = {
    Unit.SECONDS: (1.0, " s"),
    Unit.SHARE: (100.0, " %"),
    Unit.CHANGE: (100.0, " %"),
    Unit.COUNT: (1.0, ""),
    Unit.PER_SECOND: (1.0, "/s"),
}
_ALL_DIGITS = 15


def _told(value: float, threshold: Threshold) -> str:
    """A value as a reason tells it: with three digits, or so many that it does not look as if it held."""
    unit = threshold.metric.metric.unit
    factor, sign = (1e3, " ms") if unit is Unit.SECONDS and abs(value) < 1.0 else _SIGNS[unit]
    holds = _OPERATORS[threshold.comparison]
    digits = _ALL_DIGITS if unit is Unit.COUNT else 3
    while digits < _ALL_DIGITS and holds(_rounded(value * factor, digits) / factor, threshold.bound):
        digits += 1
    return f"{_rounded(value * factor, digits):.{_ALL_DIGITS}g}{sign}"


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
