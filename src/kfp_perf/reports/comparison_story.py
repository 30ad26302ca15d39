"""A comparison as a `Story`, which is drawn as HTML and Markdown as reports of tests are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.compare import ComparisonVerdict
from kfp_perf.reports.charts import Bar, Segment, bar_chart, seconds_axis
from kfp_perf.reports.comparison_distributions import distributions
from kfp_perf.reports.comparison_words import (
    TONES,
    change_of,
    guard_interval,
    guard_values,
    guard_verdict,
    interval_of,
    overall,
    sentence_of,
    shown_metrics,
    side_of,
    values_of,
    verdict_of,
)
from kfp_perf.reports.quantities import count_of, seconds_of
from kfp_perf.reports.story.blocks import (
    Block,
    Column,
    Facts,
    Figure,
    Flag,
    Items,
    Section,
    Story,
    Table,
    Tile,
    Tone,
    VerdictBlock,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kfp_perf.compare import Comparison, MetricComparison, SideSummary
    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.comparison_distributions import SideTimes

METHOD = (
    "Each execution counts as one value. The change is the ratio of geometric means, and its interval is Welch's t "
    "interval of the logarithms (of pairs: Student's). The error of 5 % is divided among the primary metrics. "
    "Further metrics are each judged by themselves: of twenty that did not change, one is expected to differ."
)


def comparison_story(comparison: Comparison, times: Iterable[SideTimes] = ()) -> Story:
    """The story; `times` are those of single runs on each side, for their distributions."""
    outcome = overall(comparison)
    sides = (comparison.baseline, comparison.new)
    return Story(
        title="Comparison",
        verdict=VerdictBlock(
            word=str(outcome).capitalize(),
            sentence=sentence_of(
                next(one for one in comparison.primary if one.verdict is outcome), comparison.within
            ),
            tone=TONES[outcome],
            reasons=[sentence_of(one, comparison.within) for one in comparison.primary]
            if len(comparison.primary) > 1
            else (),
            caveats=comparison.warnings,
        ),
        facts=Facts([(name, side_of(side)) for name, side in zip(("Baseline", "New"), sides, strict=True)]),
        tiles=[
            Tile(change_of(one.change), one.label, verdict_of(one, comparison.within))
            for one in comparison.primary
        ],
        sections=list(_sections(comparison, list(times))),
    )


def _sections(comparison: Comparison, times: list[SideTimes]) -> Iterator[Section]:
    primary = comparison.primary
    further = [one for one in shown_metrics(comparison) if not one.primary]
    yield Section(
        "primary",
        "What changed?",
        f"The primary metrics decide; a change within {comparison.within * 100:g} % counts as the same.",
        [_table("Primary metrics", primary, comparison.within)],
    )
    if comparison.guards:
        yield Section("guards", "Did more fail?", _guards_lead(comparison), [_guards(comparison)])
    if times and (chart := distributions(times)) is not None:
        yield Section("distributions", "How long did runs take?", "", [Figure(chart, _NOTE)])
    if (phases := _phases(comparison)) is not None:
        yield Section("phases", "Which phase changed?", "", [Figure(phases)])
    if further:
        yield Section(
            "further",
            "What else was measured?",
            "Further metrics decide nothing; they show where to look.",
            [_table("Further metrics, each judged by itself", further, comparison.within)],
        )
    yield Section("executions", "What was compared?", METHOD, _executions(comparison))


_NOTE = (
    "All executions of a side together. The further left a curve, the quicker; runs that did not succeed count as "
    "longer than all that did."
)
_COLUMNS = (
    Column("Metric", is_number=False),
    Column("Baseline"),
    Column("New"),
    Column("Change"),
    Column("Interval"),
    Column("Verdict", is_number=False),
)


#: What a terminal shows of further metrics.
_FOUND = {ComparisonVerdict.SLOWER, ComparisonVerdict.FASTER, ComparisonVerdict.MORE_FAILURES}


def _table(caption: str, metrics: Sequence[MetricComparison], within: float) -> Table:
    minor = [place for place, one in enumerate(metrics) if not one.primary and one.verdict not in _FOUND]
    return Table(
        caption,
        _COLUMNS,
        [
            [
                one.label,
                *values_of(one),
                change_of(one.change),
                interval_of(one),
                _verdict(one, within),
            ]
            for one in metrics
        ],
        minor=minor,
        minor_title=f"{count_of(len(minor), 'metric')} without a clear change",
    )


def _verdict(metric: MetricComparison, within: float) -> Flag:
    """Of further metrics only what was found."""
    if metric.primary:
        return Flag(verdict_of(metric, within), TONES[metric.verdict])
    undecided = metric.verdict is ComparisonVerdict.TOO_LITTLE_DATA
    return Flag("" if undecided else verdict_of(metric, within), Tone.PLAIN)


def _guards_lead(comparison: Comparison) -> str:
    worse = [one.label for one in comparison.guards if one.worse]
    if not worse:
        return "No success or error rate got worse by a point."
    return f"Worse by a point or more: {', '.join(worse)}."


def _guards(comparison: Comparison) -> Table:
    columns = (
        Column("Share", is_number=False),
        Column("Baseline"),
        Column("New"),
        Column("Change in points"),
        Column("95 % interval"),
        Column("", is_number=False),
    )
    minor = [place for place, one in enumerate(comparison.guards) if not one.worse]
    return Table(
        "Success and error rates",
        columns,
        [
            [
                one.label,
                *guard_values(one),
                f"{one.change.points * 100:+.1f}",
                guard_interval(one),
                Flag(guard_verdict(one), Tone.BAD if one.worse else Tone.PLAIN),
            ]
            for one in comparison.guards
        ],
        minor=minor,
        minor_title=f"{count_of(len(minor), 'rate')} that did not get worse by a point",
    )


def _phases(comparison: Comparison) -> Chart | None:
    """The mean phases of both sides, as a bar each."""
    phases = [
        (one.name.split(".")[1], one)
        for one in comparison.metrics
        if one.name.startswith("phase.") and one.name.endswith(".mean") and one.scenario is None
    ]
    if not phases:
        return None
    bars, texts = [], []
    for name in ("baseline", "new"):
        values = [
            (phase, max(0.0, (one.baseline if name == "baseline" else one.new).typical or 0.0))
            for phase, one in phases
        ]
        whole = sum(value for _, value in values)
        segments = [
            Segment(phase, value, seconds_of(value), style) for style, (phase, value) in enumerate(values)
        ]
        bars.append(Bar(name.capitalize(), seconds_of(whole), segments))
        texts.append(f"{name}: " + ", ".join(f"{phase} {seconds_of(value)}" for phase, value in values))
    longest = max(sum(segment.value for segment in bar.segments) for bar in bars)
    axis = seconds_axis(longest * 1.02, "mean time of a run that succeeded")
    return bar_chart("comparison-phases", "Where the time of a run goes", "; ".join(texts) + ".", axis, bars)


def _executions(comparison: Comparison) -> list[Block]:
    blocks: list[Block] = []
    for side in (comparison.baseline, comparison.new):
        blocks.append(_side(comparison, side))
        if side.left_out:
            blocks.append(Items([f"left out: {one}" for one in side.left_out], Tone.WARNING))
    return blocks


def _side(comparison: Comparison, side: SideSummary) -> Table:
    is_new = side is comparison.new
    rows = []
    for place, path in enumerate(side.executions):
        values = [
            _value(one, (one.new if is_new else one.baseline).values[place]) for one in comparison.primary
        ]
        rows.append([path, *values])
    columns = [Column("Execution", is_number=False), *(Column(one.label) for one in comparison.primary)]
    return Table("New" if is_new else "Baseline", columns, rows)


def _value(metric: MetricComparison, value: float | None) -> str:
    if value is None and metric.verdict is not ComparisonVerdict.NOT_COMPARABLE:
        return "not reached"
    return seconds_of(value) if metric.lower_is_better else "–" if value is None else f"{value:.4g} /s"
