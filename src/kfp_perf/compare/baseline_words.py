"""Why a threshold that is relative to a baseline was not kept, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kfp_perf.compare.baseline import typical_of
from kfp_perf.metrics.units import text_of
from kfp_perf.statistics.margins import MarginVerdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kfp_perf.compare.baseline import AgainstBaseline, Baseline
    from kfp_perf.thresholds import Threshold


def relative_reason(threshold: Threshold, value: float | None, found: AgainstBaseline) -> str:
    """Why a relative threshold was not kept, or cannot be told; empty where it was kept."""

    def text(number: float) -> str:
        return text_of(number, threshold.metric.metric.unit)

    verdict, finding = found.finding.verdict, found.finding
    if verdict is MarginVerdict.WITHIN:
        return ""
    bound = "" if found.bound is None else f" ({text(found.bound)})"
    if verdict is MarginVerdict.BEYOND:
        is_ = "lies above all that was answered" if value is None else f"is {text(value)}"
        return f"{is_}, not {threshold.condition}{bound}"
    if found.low is None or found.high is None:
        return f"cannot be told from run-to-run variation: {finding.reason}"
    span = executions_needed(finding.executions, paired=found.paired)
    needed = f"; {span}" if span else ""
    between = f"it lies between {text(found.low)} and {text(found.high)}, on both sides of the bound{bound}"
    return f"cannot be told from run-to-run variation: {between}{needed}"


def executions_needed(span: Sequence[int | None] | None, *, paired: bool = False) -> str:
    """How many executions a side, or pairs, would do, in words; empty where that is not known."""
    if span is None:
        return ""
    low, high = span
    what = "pairs" if paired else "executions a side"
    if low is None:
        return f"more than 1,000 {what} would do"
    text = f"{low}" if low == high else f"{low} to {high}" if high else f"{low} to more than 1,000"
    return f"{text} {what} would do"


def bounds_in_words(thresholds: Iterable[Threshold], baseline: Baseline) -> Iterator[str]:
    """Yield, for each value that relative thresholds compare with, which bound follows from it."""
    for one in thresholds:
        pattern = re.compile(re.escape(one.metric.name).replace(r"\*", ".*"))
        for found in baseline.values:
            values = [value for value in found.values if value is not None]
            if one.margin is None or found.scenario != one.scenario or not pattern.fullmatch(found.metric):
                continue
            unit, label = one.metric.metric.unit, f"{one.scenario}: " if one.scenario else ""
            executions = f"{len(found.values)} execution{'s' if len(found.values) != 1 else ''}"
            if len(values) < len(found.values):
                unreached = len(found.values) - len(values)
                yield f"{label}{found.metric} was not reached in {unreached} of {executions}"
                continue
            typical = typical_of(values, is_relative=one.margin.is_relative)
            bound = text_of(one.margin.bound(typical), unit)
            yield (
                f"{label}{found.metric} is {text_of(typical, unit)} in {executions}, so {one.condition} is {bound}"
            )
