"""The baseline of thresholds such as `<= baseline + 10%`: its values, and whether others stay within the margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.compare.comparability import load_warnings, warnings_of
from kfp_perf.compare.compared_execution import ComparedExecution
from kfp_perf.compare.sides import Side, read_side
from kfp_perf.errors import InputError, Problem
from kfp_perf.metrics.metric import Unit
from kfp_perf.statistics.comparison import FEWEST_EXECUTIONS
from kfp_perf.statistics.margins import MarginFinding, MarginVerdict, judge_margin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kfp_perf.metrics.registry import NamedMetric
    from kfp_perf.thresholds import Threshold

#: Values that are counted, so that executions without any spread are no sign of coarse ones.
_COUNTED = frozenset({Unit.SHARE, Unit.COUNT})


class BaselineValues(msgspec.Struct, frozen=True):
    """One metric of a scenario (None: of the whole test): the value of each execution that has one.

    None is a value that was not reached.
    """

    scenario: str | None
    metric: str
    values: tuple[float | None, ...]


class Baseline(msgspec.Struct, frozen=True):
    """What thresholds are compared with, as `given.json` has it: executions, and their values of each metric.

    `left_out` says which executions do not count, and why; `warnings` what makes it hard to compare with them.
    """

    name: str
    executions: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    values: tuple[BaselineValues, ...] = ()

    def values_of(self, scenario: str | None, metric: str) -> tuple[float | None, ...]:
        """The values of a metric; empty where no execution has any."""
        found = (one.values for one in self.values if (one.scenario, one.metric) == (scenario, metric))
        return next(found, ())


_decoder = msgspec.json.Decoder(Baseline)


def baseline_in(given: Mapping[str, Any]) -> Baseline | None:
    """The baseline in the input of a test, `given.json`; None where there is none, or it cannot be read."""
    try:
        return _decoder.decode(msgspec.json.encode(given.get("baseline")))
    except msgspec.ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class AgainstBaseline:
    """A value beside those of a baseline.

    `baseline` is the typical value of its `executions`, `bound` what the margin makes of it, both in the metric's
    unit; `low` and `high` are the ends of the interval in which the value lies, given how far executions vary, or
    of `paired` executions the changes within pairs.
    """

    baseline: float | None
    bound: float | None
    low: float | None
    high: float | None
    executions: int
    finding: MarginFinding
    paired: bool = False

    def document(self) -> dict[str, Any]:
        """The plain values that the result holds."""
        return {
            "value": self.baseline,
            "executions": self.executions,
            "paired": self.paired,
            "change": self.finding.change,
            "change_interval": None if self.finding.low is None else [self.finding.low, self.finding.high],
            "confidence": self.finding.confidence,
            "executions_needed": None if self.finding.executions is None else list(self.finding.executions),
        }


def read_baseline(paths: Sequence[Path], thresholds: Iterable[Threshold]) -> tuple[Side, Baseline] | None:
    """Read the baseline that some thresholds need; None where none needs one.

    Raises `InputError` where one is needed and `paths` is empty, where a folder cannot be compared with, and where
    the baseline has no values of a threshold's metric.
    """
    relative = [one for one in thresholds if one.margin is not None]
    if not relative:
        return None
    if not paths:
        remedy = (
            "Give one with --baseline FOLDER (KFP_PERF_BASELINE): a result, a study, or a folder of results. "
            "--undecided pass runs the test without, to make one."
        )
        raise InputError(
            Problem(one.where, f"{one.condition} needs a baseline, and none is given", remedy, one.position)
            for one in relative
        )
    side = read_side(paths)
    values = [found for one in relative for found in _values_of(side, one)]
    if problems := list(_missing(side, relative, values)):
        raise InputError(problems)
    executions = tuple(str(one.path) for one in side.executions)
    return side, Baseline(side.name, executions, side.left_out, values=tuple(values))


def fit_of(side: Side, plan_input: Mapping[str, Any]) -> Iterator[str]:
    """Yield what makes it hard to compare a test with the baseline that was read from `side`, before it is run.

    `plan_input` is what the plan knows of `given.json`: scenario file, pipelines and primary metrics.
    """
    test = Side("the test", (ComparedExecution(Path(), plan_input, plan_input),))
    yield from load_warnings(side, test)
    yield from _few_executions(side)


def with_warnings(baseline: Baseline, side: Side, given: Mapping[str, Any]) -> Baseline:
    """Return the baseline, read from `side`, with warnings for a test with this input."""
    test = Side("the test", (ComparedExecution(Path(), given, given),))
    return msgspec.structs.replace(baseline, warnings=tuple(_warnings(side, test)))


def _warnings(side: Side, test: Side) -> Iterator[str]:
    yield from (one for one in warnings_of(side, test) if not one.startswith("left out: "))
    yield from _few_executions(side)


def _few_executions(side: Side) -> Iterator[str]:
    if (count := len(side.executions)) < FEWEST_EXECUTIONS:
        yield (
            f"the baseline has {count} of at least {FEWEST_EXECUTIONS} executions: a change cannot be told from "
            "run-to-run variation"
        )


def against_baseline(
    threshold: Threshold,
    new: Sequence[float],
    baseline: Baseline | None,
    comparisons: int = 1,
    *,
    paired: bool = False,
) -> AgainstBaseline:
    """Judge the values of new executions, one or more, by a threshold with a margin.

    `comparisons` is how many metrics of one test are judged so, over which the error is divided. An infinite value,
    one that was not reached, is above any bound. `paired`: the n-th values of both sides are one pair. Raises
    `ValueError` where there is no margin, or no value.
    """
    margin = threshold.margin
    if margin is None:
        raise ValueError("the threshold has no margin")
    found = () if baseline is None else baseline.values_of(threshold.scenario, threshold.metric.name)
    values = [one for one in found if one is not None]
    if not values or len(values) < len(found):
        finding = MarginFinding(MarginVerdict.UNDECIDED, reason=_why_no_bound(baseline, found))
        return AgainstBaseline(None, None, None, None, len(found), finding, paired)
    typical = typical_of(values, is_relative=margin.is_relative)
    unit, is_upper = threshold.metric.metric.unit, threshold.comparison.startswith("<")
    low = high = None
    if (beyond := sum(map(math.isinf, new))) == len(new):
        finding = MarginFinding(MarginVerdict.BEYOND if is_upper else MarginVerdict.WITHIN)
    elif beyond:
        reason = f"it was not reached in {beyond} of {len(new)} executions"
        finding = MarginFinding(MarginVerdict.UNDECIDED, reason=reason)
    else:
        finding = judge_margin(
            values,
            new,
            margin.amount,
            is_relative=margin.is_relative,
            is_upper=is_upper,
            is_strict="=" not in threshold.comparison,
            is_exact=unit in _COUNTED,
            comparisons=comparisons,
            paired=paired,
        )
        low, high = (
            None if end is None else typical * (1.0 + end) if margin.is_relative else typical + end
            for end in (finding.low, finding.high)
        )
        if low is not None and unit is not Unit.CHANGE and min(values) >= 0.0:
            low = max(0.0, low)
    return AgainstBaseline(typical, margin.bound(typical), low, high, len(values), finding, paired)


def typical_of(values: Sequence[float], *, is_relative: bool) -> float:
    """The geometric mean of values that are compared as ratios, else the arithmetic one."""
    if is_relative and min(values) > 0.0:
        return math.exp(math.fsum(map(math.log, values)) / len(values))
    return math.fsum(values) / len(values)


def _why_no_bound(baseline: Baseline | None, found: Sequence[float | None]) -> str:
    if baseline is None:
        return "there is no baseline"
    if not found:
        return "the baseline has no value of it"
    return f"the baseline did not reach it in {found.count(None)} of {len(found)} executions"


def _values_of(side: Side, threshold: Threshold) -> Iterator[BaselineValues]:
    """Yield the values of a threshold's metric, or of each metric that its `*` stands for."""
    metrics = [one.metrics(threshold.scenario) for one in side.executions]
    named = {metric.name: metric for found in metrics for metric in threshold.metric.expanded(found)}
    for name, metric in named.items():
        values = tuple(value for found in metrics for value in _value_in(metric, found))
        if values:
            yield BaselineValues(threshold.scenario, name, values)


def _value_in(metric: NamedMetric, metrics: Mapping[str, Any]) -> Iterator[float | None]:
    """Yield the value, None where it is not reached, or nothing where it was made of too few or there is none."""
    count, value = metric.count_in(metrics), metric.value_in(metrics)
    if count is not None and count < metric.fewest:
        return
    if value is not None or metric.not_reached_in(metrics):
        yield value


def _missing(
    side: Side, thresholds: Iterable[Threshold], values: Iterable[BaselineValues]
) -> Iterator[Problem]:
    known = {(one.scenario, one.metric) for one in values}
    scenarios = {name for one in side.executions for name in one.scenario_names}
    for one in thresholds:
        if one.scenario is not None and one.scenario not in scenarios:
            remedy = f"It has {', '.join(sorted(scenarios)) or 'none'}: name results of this scenario file."
            yield Problem(side.name, f"has no scenario {one.scenario!r}, which {one.where} compares", remedy)
        elif "*" not in one.metric.name and (one.scenario, one.metric.name) not in known:
            remedy = (
                "Name results of this scenario file, with enough runs, or write a bound without baseline."
            )
            yield Problem(
                side.name, f"has no values of {one.metric.name}, which {one.where} compares", remedy
            )
