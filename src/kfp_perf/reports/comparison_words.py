"""A comparison in words: changes, intervals and verdicts, the same in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.compare import ComparisonVerdict
from kfp_perf.metrics.metric import Unit
from kfp_perf.reports.quantities import count_of, quantity_of, share_of
from kfp_perf.reports.story.blocks import Tone
from kfp_perf.statistics.comparison import MOST_EXECUTIONS

if TYPE_CHECKING:
    from kfp_perf.compare import Comparison, GuardComparison, MetricComparison, SideSummary

TONES = {
    ComparisonVerdict.SLOWER: Tone.BAD,
    ComparisonVerdict.MORE_FAILURES: Tone.BAD,
    ComparisonVerdict.FASTER: Tone.GOOD,
    ComparisonVerdict.SAME: Tone.GOOD,
    ComparisonVerdict.TOO_LITTLE_DATA: Tone.WARNING,
    ComparisonVerdict.TOO_COARSE: Tone.WARNING,
    ComparisonVerdict.NOT_COMPARABLE: Tone.WARNING,
}

#: The gravest outcome of the primary metrics is the verdict of the comparison.
_GRAVEST_FIRST = (
    ComparisonVerdict.SLOWER,
    ComparisonVerdict.MORE_FAILURES,
    ComparisonVerdict.TOO_LITTLE_DATA,
    ComparisonVerdict.NOT_COMPARABLE,
    ComparisonVerdict.TOO_COARSE,
    ComparisonVerdict.FASTER,
    ComparisonVerdict.SAME,
)


def overall(comparison: Comparison) -> ComparisonVerdict:
    """The gravest outcome of the primary metrics; one that got slower is graver than one of too little data."""
    return min((one.verdict for one in comparison.primary), key=_GRAVEST_FIRST.index)


def side_of(side: SideSummary) -> str:
    """A side: its name, how many executions it has, and what they were executed on."""
    on = f" on {', '.join(side.targets)}" if side.targets else ""
    return f"{side.name}, {count_of(len(side.executions), 'execution')}{on}"


def shown_metrics(comparison: Comparison) -> list[MetricComparison]:
    """The primary metrics, and the further ones of which there is something to say."""
    return [
        one
        for one in comparison.metrics
        if one.primary or one.verdict is not ComparisonVerdict.NOT_COMPARABLE
    ]


def change_of(change: float | None) -> str:
    """A relative change with its sign: `+11.6 %`, `-3.0 %`; a dash for none."""
    return "–" if change is None else f"{_percent(change)} %"


def interval_of(metric: MetricComparison) -> str:
    """The interval of the change: `+5.2 to +18.4 %`; a dash for none."""
    if metric.low is None or metric.high is None:
        return "–"
    return f"{_percent(metric.low)} to {_percent(metric.high)} %"


def verdict_of(metric: MetricComparison, within: float) -> str:
    """The verdict in words: `same within 5 %`; of CPU and memory `more` or `less`."""
    if metric.verdict is ComparisonVerdict.SAME:
        return f"same within {within * 100:g} %"
    words = _OF_RESOURCES if metric.unit in {Unit.BYTES, Unit.CORES} else {}
    return words.get(metric.verdict, str(metric.verdict))


_OF_RESOURCES = {ComparisonVerdict.SLOWER: "more", ComparisonVerdict.FASTER: "less"}


def values_of(metric: MetricComparison) -> tuple[str, str]:
    """The typical values of both sides."""
    return (
        quantity_of(metric.baseline.typical, metric.unit),
        quantity_of(metric.new.typical, metric.unit),
    )


def sentence_of(metric: MetricComparison, within: float) -> str:
    """What was found of a metric, with its interval, or why there is no verdict and what would lead to one."""
    parts = [f"{metric.label}: {verdict_of(metric, within)}"]
    if metric.change is not None:
        before, after = values_of(metric)
        parts.append(f"{change_of(metric.change)}, from {before} to {after}")
    if metric.low is not None and metric.confidence is not None:
        parts.append(f"{metric.confidence * 100:.3g} % interval {interval_of(metric)}")
    if metric.unreached is not None:
        change = metric.unreached
        parts.append(f"the share that reached it changed by {change.points * 100:+.1f} points")
    text = "; ".join(parts)
    if metric.reason:
        text += f" ({metric.reason})"
    return f"{text}. {_advice(metric, within)}".rstrip()


def guard_verdict(guard: GuardComparison) -> str:
    """Whether a share got worse."""
    if guard.certain:
        return "worse"
    return "worse by a point or more, and not certain" if guard.worse else "not worse by a point"


def guard_interval(guard: GuardComparison) -> str:
    """The interval of the change in points."""
    low, high = guard.change.low, guard.change.high
    return "–" if low is None or high is None else f"{low * 100:+.1f} to {high * 100:+.1f}"


def guard_values(guard: GuardComparison) -> tuple[str, str]:
    """The shares of both sides."""
    return share_of(guard.baseline), share_of(guard.new)


def _percent(change: float) -> str:
    """With a digit after the point where that may matter."""
    percent = change * 100
    return f"{percent:+.1f}" if abs(percent) < 99.5 else f"{percent:+,.0f}"


def _advice(metric: MetricComparison, within: float) -> str:
    if metric.verdict is not ComparisonVerdict.TOO_LITTLE_DATA:
        return ""
    found = ""
    if metric.smallest_found is not None:
        found = (
            f"An increase of {metric.smallest_found * 100:.0f} % would have been found four times in five. "
        )
    if metric.executions_needed is None:
        return found
    return f"{found}A change of {within * 100:g} % needs {_executions(*metric.executions_needed)} a side."


def _executions(low: int | None, high: int | None) -> str:
    if low is None:
        return f"more than {MOST_EXECUTIONS:,} executions"
    if high is None:
        return f"{low:,} to more than {MOST_EXECUTIONS:,} executions"
    return f"{low:,} executions" if low == high else f"{low:,} to {high:,} executions"
