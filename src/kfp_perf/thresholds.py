"""Thresholds: bounds of metrics that decide whether a test passed. Parsed with the plan; `verdict` judges them."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from kfp_perf.errors import Problem
from kfp_perf.metrics import OF_THE_TEST
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.registry import built_in
from kfp_perf.metrics.windowed import COUNTED, WINDOWED_NAMES, FigureKind, Of, known_meanwhile, windowed
from kfp_perf.scenario.quantities import format_value, parse_minutes, parse_rate
from kfp_perf.statistics.windows import SHORTEST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.errors import Position
    from kfp_perf.metrics.registry import NamedMetric, Registry
    from kfp_perf.metrics.windowed import Windowed

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_CONDITION = re.compile(r"\s*(<=|>=|==|<|>)\s*([^<>=\s].*?)\s*", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_OVER = re.compile(r"(.*?)\s+over\b\s*(.*)", re.ASCII | re.DOTALL)
#: Conditions in each unit.
EXAMPLES = {
    Unit.SECONDS: '"< 90s", "<= 250ms" or "< 1m30s"',
    Unit.SHARE: '"<= 1%" or ">= 0.99"',
    Unit.CHANGE: '"<= 10%"',
    Unit.COUNT: '"== 0" or ">= 100"',
    Unit.PER_SECOND: '">= 30/min" or "> 5/s"',
    Unit.BYTES: '"< 500MiB" or "<= 2GiB"',
    Unit.CORES: '"< 1.5" or "<= 500m"',
}

#: The bound of a threshold that is relative to a baseline, and what follows the word.
_RELATIVE = re.compile(r"baseline\b\s*(.*)", re.ASCII)
_MARGIN = re.compile(r"([+-])\s*(\S.*)", re.ASCII)
#: Such conditions in each unit.
MARGIN_EXAMPLES = {
    Unit.SECONDS: '"<= baseline + 10%" or "<= baseline + 2s"',
    Unit.SHARE: '">= baseline - 1%", which is one point',
    Unit.CHANGE: '"<= baseline + 5%", which are five points',
    Unit.COUNT: '"<= baseline + 2" or "<= baseline + 10%"',
    Unit.PER_SECOND: '">= baseline - 5%" or ">= baseline - 2/min"',
    Unit.BYTES: '"<= baseline + 10%" or "<= baseline + 100MiB"',
    Unit.CORES: '"<= baseline + 10%" or "<= baseline + 200m"',
}
#: Units whose per cent are relative; of shares and changes, which are per cent themselves, they are points.
_RATIOS = frozenset({Unit.SECONDS, Unit.COUNT, Unit.PER_SECOND, Unit.BYTES, Unit.CORES})

#: Syntax that is recognised but not supported: a pattern in the name or the condition, its meaning, and what to do.
_NOT_YET = (
    (
        re.compile(r"[{\[].*"),
        "a metric by tags",
        "leave out what is in brackets: all of a scenario is judged",
    ),
    (
        re.compile(r"\babort\w*", re.IGNORECASE),
        "ending a test early in a condition",
        'write {"condition": "<= 5%", "abortOnFail": true}',
    ),
)


@dataclass(frozen=True, slots=True)
class Margin:
    """How far the bound of a threshold lies from the value of the baseline; negative: below it.

    `amount` is relative (0.1 is 10 % more), or in the metric's own unit: shares and changes are in points.
    """

    amount: float
    is_relative: bool

    def bound(self, baseline: float) -> float:
        """The bound, for this value of the baseline."""
        return baseline * (1.0 + self.amount) if self.is_relative else baseline + self.amount


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound on one value of one metric, of the scenario named or of the whole test (None).

    `bound` is in the metric's own unit (seconds, shares, pieces, pieces a second), `where` its path in the file and
    `position` its line and column there. `default`: it applies because the file neither bounds nor lifts that
    metric. `margin`: the bound is so far from the value of a baseline, and NaN until that is known.

    `window_seconds`: it must hold in every window of this length (None: in the whole test). `abort_on_fail`: the
    test ends as soon as it is not kept, but not before `delay_seconds` after the start of the load.
    """

    scenario: str | None
    metric: NamedMetric
    comparison: str
    bound: float
    condition: str
    where: str
    default: bool = False
    margin: Margin | None = None
    window_seconds: float | None = None
    abort_on_fail: bool = False
    delay_seconds: float = 0.0
    position: Position | None = None

    @property
    def windowed(self) -> Windowed | None:
        """How the metric is made in a window; None where it has no figure there."""
        return windowed(self.metric)


#: The default thresholds: of each scenario by its metrics, and of the whole test. `{call}` stands for each
#: operation of the load. docs/metrics.md has the false alarms of `load.fell_behind`.
SCENARIO_DEFAULTS = {
    "run.success_rate": ">= 95%",
    "api.{call}.error_rate": "<= 5%",
    "load.fell_behind": "== 0",
    "load.slot_time_lost": "<= 5%",
}
TEST_DEFAULTS = {"cleanup.left": "== 0", "server.restarts": "== 0", "components.*.restarts": "== 0"}


def is_default(name: str) -> bool:
    """Whether there is a default threshold on the metric of this name."""
    operation = re.sub(r"^api\.\w+\.", "api.{call}.", name)
    return name in TEST_DEFAULTS or name in SCENARIO_DEFAULTS or operation in SCENARIO_DEFAULTS


def parse_threshold(
    name: str,
    condition: str,
    where: str,
    scenario: str | None = None,
    registry: Registry | None = None,
    *,
    abort_on_fail: bool = False,
    delay_seconds: float = 0.0,
    position: Position | None = None,
) -> Threshold | Problem:
    """Return the threshold that a metric's name and a condition express, or what is wrong with it.

    A condition is `< 90s`, or `< 90s over 5m` for every window of five minutes. `registry` holds the known metrics
    (default: the built-in ones). See `Threshold` for the others.
    """
    registry = registry or built_in()
    try:
        metric = _metric(name, condition, scenario, registry)
        bare, window_seconds = _split_window(condition, metric)
        comparison, bound, margin = _bounded(bare, metric.metric.unit)
        if margin is not None and (abort_on_fail or window_seconds is not None):
            raise _Wrong(*_ONLY_AT_THE_END)
        if abort_on_fail:
            _check_abort(metric, comparison, window_seconds or delay_seconds)
    except _Wrong as wrong:
        what, remedy = wrong.args
        return Problem(where, what, remedy, position)
    return Threshold(
        scenario,
        metric,
        comparison,
        bound,
        condition.strip(),
        where,
        margin=margin,
        window_seconds=window_seconds,
        abort_on_fail=abort_on_fail,
        delay_seconds=delay_seconds,
        position=position,
    )


class _Wrong(Exception):
    """What is wrong with a threshold, and what to do."""


def _metric(name: str, condition: str, scenario: str | None, registry: Registry) -> NamedMetric:
    for pattern, what, remedy in _NOT_YET:
        if pattern.search(condition) or pattern.search(name):
            raise _Wrong(f"{what} cannot be judged, got {format_value(f'{name}: {condition}')}", remedy)
    metric = registry.find(name)
    if metric is None:
        raise _Wrong(f"there is no metric {format_value(name)}", remedy_for(name, registry))
    if scenario is not None and metric.path[0] in OF_THE_TEST:
        what = f"{name} is of the whole test, and no scenario has it"
        raise _Wrong(what, "move it to the file's own thresholds")
    return metric


def _check_abort(metric: NamedMetric, comparison: str, seconds: float) -> None:
    """Refuse what cannot end a test, or would end each at once; `seconds`: its window, or its delay."""
    how = windowed(metric)
    if not known_meanwhile(metric):
        raise _Wrong(f"{metric.name} is known only at the end, so it cannot abort the test", _CAN_ABORT)
    grows = metric.name in COUNTED or (how is not None and how.of is Of.IN_FLIGHT and not seconds)
    if grows and comparison.startswith(">"):
        what = f"{metric.name} grows from 0, so {comparison} would abort the test at once"
        raise _Wrong(what, "leave out abortOnFail: it is judged at the end")
    if how is not None and how.kind is FigureKind.RATE and not seconds:
        what = f"{metric.name} is 0 at first, which would abort the test at once"
        raise _Wrong(what, 'write a window (">= 30/min over 1m"), or a delay')


_HAVE_WINDOWS = f"these have: {', '.join(WINDOWED_NAMES)}"
_CAN_ABORT = f"these can: {', '.join((*WINDOWED_NAMES, *COUNTED))}"


def _split_window(condition: str, metric: NamedMetric) -> tuple[str, float | None]:
    """The condition without its window, and the length of that in seconds; None where it has none."""
    found = _OVER.fullmatch(condition)
    if found is None:
        return condition, None
    bare, length = found.groups()
    remedy = 'write how long, as in "< 90s over 5m"'
    try:
        seconds = round(parse_minutes(length) * 60.0, 9)
    except PydanticCustomError:
        raise _Wrong(f"is not the length of a window, got {format_value(length)}", remedy) from None
    if seconds < SHORTEST_SECONDS:
        what = f"a window is at least {SHORTEST_SECONDS:g} s long, got {format_value(length)}"
        raise _Wrong(what, remedy)
    if windowed(metric) is None:
        raise _Wrong(f"{metric.name} has no figure in a window", _HAVE_WINDOWS)
    return bare, seconds


_ONLY_AT_THE_END = (
    "is relative to a baseline, so it is judged at the end and over the whole test",
    'leave out "over ..." and abortOnFail, or write a bound of its own',
)


def _bounded(condition: str, unit: Unit) -> tuple[str, float, Margin | None]:
    """The comparison and the bound of a condition, or its margin above a baseline, whose bound is NaN."""
    example = f"write {EXAMPLES[unit]}"
    matched = _CONDITION.fullmatch(condition)
    if matched is None:
        raise _Wrong(f"is not a condition, got {format_value(condition)}", example)
    comparison, text = matched.groups()
    if relative := _RELATIVE.fullmatch(text):
        margin = _margin(relative[1], comparison, unit)
        if isinstance(margin, str):
            raise _Wrong(f"{margin}, got {format_value(condition)}", f"write {MARGIN_EXAMPLES[unit]}")
        return comparison, math.nan, margin
    try:
        bound = _BOUNDS[unit](text)
    except (ValueError, PydanticCustomError):
        bound = math.nan
    if not math.isfinite(bound):
        raise _Wrong(f"is not a bound in {_WORDS[unit]}, got {format_value(text)}", example)
    if unit is Unit.SHARE:
        if not 0.0 <= bound <= 1.0:
            raise _Wrong(f"a share lies between 0 and 100 %, got {format_value(text)}", example)
        if (comparison, bound) in {("<=", 1.0), (">=", 0.0)}:
            raise _Wrong(f"{format_value(condition)} holds whatever happens", example)
    return comparison, bound, None


def remedy_for(name: str, registry: Registry) -> str:
    """What to write in place of a name that no metric has."""
    statistics = registry.statistics_of(name)
    if statistics:
        return f"say which: {', '.join(f'{name}.{statistic}' for statistic in statistics)}"
    near = registry.nearest(name)
    return f"did you mean {near}?" if near else "docs/metrics.md lists them all"


def _margin(text: str, comparison: str, unit: Unit) -> Margin | str:
    """The margin that follows the word baseline, or what is wrong with it."""
    if comparison == "==":
        return "a value is never exactly that of a baseline"
    if not text:
        return "a baseline needs a margin, since even equal tests differ by chance"
    matched = _MARGIN.fullmatch(text)
    if matched is None:
        return "is not a margin"
    sign, size = (-1.0 if matched[1] == "-" else 1.0), matched[2]
    is_relative = size.endswith("%") and unit in _RATIOS
    try:
        amount = _part(size) if is_relative else _BOUNDS[unit](size)
    except (ValueError, PydanticCustomError):
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0.0):
        units = f"per cent or {_WORDS[unit]}" if unit in _RATIOS else _WORDS[unit]
        return f"is not a margin in {units}"
    if unit is Unit.SHARE and amount >= 1.0:
        return "a share changes by less than 100 points"
    if is_relative and sign * amount <= -1.0:
        return "a value is not more than 100 % below the baseline"
    return Margin(sign * amount, is_relative)


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


#: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_BYTES |= {"k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", re.ASCII)


def _bytes(text: str) -> float:
    if text == "0":
        return 0.0
    matched = _SIZE.fullmatch(text)
    if matched is None or matched[2] not in _BYTES:
        raise ValueError(text)
    return float(matched[1]) * _BYTES[matched[2]]


def _cores(text: str) -> float:
    number = text.removesuffix("m")
    if not re.fullmatch(r"\d+(?:\.\d+)?", number, re.ASCII):
        raise ValueError(text)
    return float(number) / 1000.0 if text.endswith("m") else float(number)


_BOUNDS: dict[Unit, Callable[[str], float]] = {
    Unit.SECONDS: _seconds,
    Unit.SHARE: _part,
    Unit.CHANGE: _part,
    Unit.COUNT: _whole,
    Unit.PER_SECOND: _per_second,
    Unit.BYTES: _bytes,
    Unit.CORES: _cores,
}
_WORDS = {
    Unit.SECONDS: "units of time",
    Unit.SHARE: "per cent",
    Unit.CHANGE: "per cent",
    Unit.COUNT: "whole numbers",
    Unit.PER_SECOND: "so many in what time",
    Unit.BYTES: "bytes, with a unit",
    Unit.CORES: "cores",
}
