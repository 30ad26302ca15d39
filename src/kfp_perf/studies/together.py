"""Thresholds relative to a baseline, judged by all executions of a study together."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from kfp_perf.compare.baseline import (
    Baseline,
    BaselineValues,
    against_baseline,
    baseline_in,
    typical_of,
)
from kfp_perf.execution.given import given_thresholds
from kfp_perf.judgement import Judged, Judgement, judged_against
from kfp_perf.reports.quantities import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kfp_perf.compare import ComparedExecution
    from kfp_perf.metrics.registry import NamedMetric
    from kfp_perf.thresholds import Threshold


def judge_together(
    executions: Sequence[ComparedExecution], *, accept_undecided: bool = False
) -> list[Judgement]:
    """Judge the relative thresholds that the executions were given, by one value of each.

    The `count` of a judgement is the number of executions, its value the typical one. Empty where no threshold is
    relative, and without executions. `accept_undecided` is that of `judge`.
    """
    if not executions:
        return []
    given = executions[0].given
    baseline = baseline_in(given)
    relative = [one for one in given_thresholds(given) if one.margin is not None]

    def judged(threshold: Threshold, comparisons: int) -> Judgement:
        values = [_value_in(threshold, one) for one in executions]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return _not_enough(threshold, values)
        found = against_baseline(threshold, known, baseline, comparisons)
        return judged_against(threshold, found, _typical(threshold, known), len(known))

    return _worst(relative, executions, judged, accept_undecided=accept_undecided)


def judge_pairs(
    pairs: Sequence[tuple[ComparedExecution, ComparedExecution]],
    given: Mapping[str, Any],
    *,
    name: str,
    accept_undecided: bool = False,
) -> list[Judgement]:
    """Judge the relative thresholds of a duel by its pairs, of which the first execution is that of the baseline.

    `given` is what the executions were given, `name` the baseline's. The `count` of a judgement is the number of
    pairs, its value the typical one of the new side. Empty where no threshold is relative.
    """
    relative = list(given_thresholds(given, "pair_thresholds"))
    executions = [one for pair in pairs for one in pair]

    def judged(threshold: Threshold, comparisons: int) -> Judgement:
        values = [_value_in(threshold, one) for one in executions]
        known = [value for value in values if value is not None]
        if not values or len(known) < len(values):
            return _not_enough(threshold, values)
        before = tuple(None if math.isinf(value) else value for value in known[::2])
        of_metric = BaselineValues(threshold.scenario, threshold.metric.name, before)
        paths = tuple(str(one.path) for one, _ in pairs)
        baseline = Baseline(name, paths, values=(of_metric,))
        found = against_baseline(threshold, known[1::2], baseline, comparisons, paired=True)
        return judged_against(threshold, found, _typical(threshold, known[1::2]), len(pairs))

    return _worst(relative, executions, judged, accept_undecided=accept_undecided)


def _worst(
    relative: Sequence[Threshold],
    executions: Sequence[ComparedExecution],
    judged: Callable[[Threshold, int], Judgement],
    *,
    accept_undecided: bool,
) -> list[Judgement]:
    """The judgement of each threshold, of one with `*` that of the worst metric."""
    named = [(one, list(_names(one, executions))) for one in relative]
    comparisons = max(1, sum(len(metrics) for _, metrics in named))
    found = []
    for threshold, metrics in named:
        all_judged = [
            judged(dataclasses.replace(threshold, metric=metric), comparisons) for metric in metrics
        ]
        worst = min(all_judged, key=lambda one: (one.passed, -math.inf if one.margin is None else one.margin))
        found.append(dataclasses.replace(worst, accepted=accept_undecided))
    return found


def _names(threshold: Threshold, executions: Sequence[ComparedExecution]) -> list[NamedMetric]:
    """The metric, or each that its `*` stands for in some execution."""
    found = {
        metric.name: metric
        for one in executions
        for metric in threshold.metric.expanded(one.metrics(threshold.scenario))
    }
    return list(found.values()) or [threshold.metric]


def _value_in(threshold: Threshold, execution: ComparedExecution) -> float | None:
    """The value in an execution, infinite where it was not reached; None where there is none, or of too few."""
    metric, metrics = threshold.metric, execution.metrics(threshold.scenario)
    count, value = metric.count_in(metrics), metric.value_in(metrics)
    if count is not None and count < metric.fewest:
        return None
    return math.inf if value is None and metric.not_reached_in(metrics) else value


def _typical(threshold: Threshold, values: Sequence[float]) -> float | None:
    if not all(map(math.isfinite, values)):
        return None
    return typical_of(values, is_relative=threshold.margin is not None and threshold.margin.is_relative)


def _not_enough(threshold: Threshold, values: Sequence[float | None]) -> Judgement:
    missing = sum(value is None for value in values)
    of = count_of(len(values), "execution")
    why = f"{missing} of {of} have no value of it" if values else "no pair of executions is complete"
    return Judgement(
        threshold,
        Judged.NOT_ENOUGH_DATA,
        None,
        None,
        None,
        len(values) - missing,
        f"has not enough data: {why}",
    )
