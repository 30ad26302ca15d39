"""Thresholds relative to a baseline, judged by all executions of a study together."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from kfp_perf.compare.baseline import against_baseline, baseline_in, typical_of
from kfp_perf.execution.given import given_thresholds
from kfp_perf.judgement import Judged, Judgement, judged_against
from kfp_perf.reports.quantities import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.compare import ComparedExecution
    from kfp_perf.compare.baseline import Baseline
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
    relative = [one for one in given_thresholds(dict(given)) if one.margin is not None]
    named = [(one, list(_names(one, executions))) for one in relative]
    comparisons = max(1, sum(len(metrics) for _, metrics in named))
    found = []
    for threshold, metrics in named:
        judged = [
            _judged(dataclasses.replace(threshold, metric=metric), executions, baseline, comparisons)
            for metric in metrics
        ]
        worst = min(judged, key=lambda one: (one.passed, -math.inf if one.margin is None else one.margin))
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


def _judged(
    threshold: Threshold, executions: Sequence[ComparedExecution], baseline: Baseline | None, comparisons: int
) -> Judgement:
    metric = threshold.metric
    values = []
    for one in executions:
        metrics = one.metrics(threshold.scenario)
        count, value = metric.count_in(metrics), metric.value_in(metrics)
        if count is not None and count < metric.fewest:
            continue
        if value is not None or metric.not_reached_in(metrics):
            values.append(math.inf if value is None else value)
    if missing := len(executions) - len(values):
        reason = (
            f"has not enough data: {missing} of {count_of(len(executions), 'execution')} have no value of it"
        )
        return Judgement(threshold, Judged.NOT_ENOUGH_DATA, None, None, None, len(values), reason)
    found = against_baseline(threshold, values, baseline, comparisons)
    reached = all(map(math.isfinite, values))
    is_relative = threshold.margin is not None and threshold.margin.is_relative
    value = typical_of(values, is_relative=is_relative) if reached else None
    return judged_against(threshold, found, value, len(values))
