"""The report of a repetition: how far its executions vary, and what that allows to find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.compare import RepeatedMetric, Side, read_side, repeated_metrics
from kfp_perf.compare.comparability import differences_within
from kfp_perf.errors import ExitCode, InputError
from kfp_perf.metrics.metric import Unit
from kfp_perf.reports.charts import Axis, Line, Marks, seconds_axis, xy_chart
from kfp_perf.reports.charts.axes import even_ticks
from kfp_perf.reports.quantities import count_of, quantity_of, rate_of
from kfp_perf.reports.story.blocks import (
    Column,
    Figure,
    Section,
    Story,
    Table,
    Tile,
    VerdictBlock,
    without_zeros,
)
from kfp_perf.reports.study_executions import (
    executions_section,
    failed_thresholds,
    study_ended,
    study_facts,
    study_verdict,
    thresholds_section,
)
from kfp_perf.statistics.variation import smallest_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.charts import Chart
    from kfp_perf.result.study import Study

#: Metrics that a terminal shows beside the primary ones.
_MAIN = ("run.", "phase.", "api.CreateRun.")
#: Numbers of executions a side for which the smallest change that would be found is given.
SIDES = (3, 5, 10, 20)


def study_document(study: Study) -> dict[str, Any]:
    """The plain values: `metrics`, a `RepeatedMetric` each."""
    return {"metrics": msgspec.to_builtins(_metrics(_side(study)))}


def study_story(study: Study) -> Story:
    """The whole report."""
    side = _side(study)
    metrics = _metrics(side)
    primary = [one for one in metrics if one.primary]
    word, tone = study_verdict(study)
    return Story(
        title=f"{study.record.name}, repeated",
        verdict=VerdictBlock(
            word=word,
            sentence=_sentence(study, primary),
            tone=tone,
            reasons=failed_thresholds(study),
            caveats=[*study_ended(study), *_caveats(study, side, primary)],
        ),
        facts=study_facts(study),
        tiles=[
            Tile(_typical(one), one.label, _precision(one)) for one in primary if one.variation is not None
        ],
        sections=list(_sections(study, side, metrics)),
    )


def _side(study: Study) -> Side:
    try:
        return read_side([study.path])
    except InputError:
        # Nothing but a warm-up, or executions that ended early: the list of executions shows them.
        return Side(str(study.path), ())


def _metrics(side: Side) -> tuple[RepeatedMetric, ...]:
    try:
        return repeated_metrics(side) if side.executions else ()
    except InputError:  # there are no values
        return ()


def _sentence(study: Study, primary: list[RepeatedMetric]) -> str:
    counted = len(primary[0].values) if primary else len(study.record.counted)
    parts = [
        f"{one.label} is {_typical(one)} ({_precision(one)})" for one in primary if one.variation is not None
    ]
    if not parts:
        return f"{count_of(counted, 'execution')}; no primary metric has a value in each of them."
    return f"In {count_of(counted, 'execution')}, {'; '.join(parts)}."


def _caveats(study: Study, side: Side, primary: list[RepeatedMetric]) -> Iterator[str]:
    yield from (f"Left out: {one}." for one in side.left_out)
    if side.executions:
        yield from (f"{one[:1].upper()}{one[1:]}." for one in differences_within(side))
    wanted = study.record.settings.get("until_stable")
    if wanted is not None and not study.record.answer.get("stable"):
        yield f"The primary metrics were not known to within {wanted * 100:g} % when the study ended."
    spreads = [one.variation.spread for one in primary if one.variation is not None]
    if spreads and all(spread is not None and spread < 1e-6 for spread in spreads):
        yield "The executions do not differ at all: values in whole seconds, or one emulator seed, hide variation."
    invalid = [one.number for one in study.record.counted if one.exit_code == ExitCode.INVALID]
    if invalid:
        yield f"Invalid, and still among the values: execution {', '.join(map(str, invalid))}."


def _sections(study: Study, side: Side, metrics: tuple[RepeatedMetric, ...]) -> Iterator[Section]:
    primary = [one for one in metrics if one.primary]
    yield from thresholds_section(
        study, "Those relative to the baseline are judged by all executions together."
    )
    if metrics:
        yield Section(
            "variation",
            "How far do executions vary?",
            _LEAD if any(one.within_known for one in metrics) else _LEAD_BETWEEN,
            [_table(metrics), *(Figure(_chart(one), _note(one)) for one in primary if _is_drawn(one))],
        )
    found = [one for one in primary if one.variation is not None and one.variation.spread]
    if found:
        yield Section(
            "power",
            "Which change could be found?",
            "The smallest change of a primary metric that a comparison finds four times in five, if both sides "
            "vary as these executions do.",
            [_power(found)],
        )
    yield executions_section(study, primary, [one.path.name for one in side.executions])


_LEAD_BETWEEN = (
    "The interval is that of the mean of executions like these. "
    "Between: the standard deviation of one execution."
)
_LEAD = f"{_LEAD_BETWEEN} Within: half the interval inside one execution, which says nothing of the next one."


def _note(metric: RepeatedMetric) -> str:
    whiskers = (
        " The vertical line through it is the interval within that execution." if metric.within_known else ""
    )
    return (
        f"A dot is an execution.{whiskers} The horizontal lines are the mean of all executions and its 95 % "
        "interval. The axis does not begin at zero."
    )


def _table(metrics: tuple[RepeatedMetric, ...]) -> Table:
    columns = [
        Column("Metric (* primary)", is_number=False),
        Column("Mean"),
        Column("95 % interval"),
        Column("±"),
        Column("Between"),
        Column("Within"),
    ]
    minor = [
        place for place, one in enumerate(metrics) if not one.primary and not one.label.startswith(_MAIN)
    ]
    table = Table(
        "Variation of each metric",
        columns,
        [_row(one) for one in metrics],
        minor=minor,
        minor_title=count_of(len(minor), "more metric"),
    )
    return without_zeros(table, "Within")


def _row(metric: RepeatedMetric) -> list[str]:
    label = f"{metric.label}{' *' if metric.primary else ''}"
    found = metric.variation
    if found is None:
        known = [value for value in metric.values if value is not None]
        if missing := len(metric.values) - len(known):
            return [label, f"not reached in {missing} of {len(metric.values)}", *["–"] * 4]
        # One of them is 0, and has no logarithm.
        return [label, quantity_of(sum(known) / len(known), metric.unit), *["–"] * 4]
    interval = (
        "–"
        if found.low is None or found.high is None
        else f"{quantity_of(found.low, metric.unit)} to {quantity_of(found.high, metric.unit)}"
    )
    return [
        label,
        quantity_of(found.mean, metric.unit),
        interval,
        _percent(found.half_width),
        _percent(found.spread),
        _percent(_within(metric)),
    ]


def _within(metric: RepeatedMetric) -> float | None:
    """Half the mean width of the intervals within executions, as a share of the value; None without any."""
    found = [
        (high - low) / 2 / value
        for value, interval in zip(metric.values, metric.within, strict=True)
        if value and interval is not None
        for low, high in [interval]
    ]
    return sum(found) / len(found) if found else None


def _power(metrics: list[RepeatedMetric]) -> Table:
    columns = [
        Column("Data", is_number=False),
        *(Column(one.label) for one in metrics),
    ]
    changes = [
        smallest_changes(one.variation.spread or 0.0, SIDES, metrics=len(metrics))
        for one in metrics
        if one.variation is not None
    ]
    rows = [
        [f"{side} executions a side", *(f"{found[place] * 100:.2g} %" for found in changes)]
        for place, side in enumerate(SIDES)
    ]
    return Table("Smallest change that is found with a power of 80 %", columns, rows)


def _is_drawn(metric: RepeatedMetric) -> bool:
    return metric.variation is not None and len(metric.values) > 1


def _chart(metric: RepeatedMetric) -> Chart:
    found = metric.variation
    values = [(place + 1.0, value) for place, value in enumerate(metric.values) if value is not None]
    whiskers = [
        Line("within one execution" if first else "", [(place, low), (place, high)], 1)
        for first, (place, (low, high)) in enumerate(
            (place + 1.0, interval) for place, interval in enumerate(metric.within) if interval is not None
        )
    ]
    whole = (0.5, len(metric.values) + 0.5)
    lines = []
    if found is not None:
        lines = [Line("mean", [(x, found.mean) for x in whole], 0)]
        lines += [
            Line("its 95 % interval" if place == 0 else "", [(x, end) for x in whole], 2)
            for place, end in enumerate((found.low, found.high))
            if end is not None
        ]
    drawn = [value for _, value in values] + [end for one in metric.within if one is not None for end in one]
    if found is not None:
        drawn += [end for end in (found.low, found.high) if end is not None]
    margin = (max(drawn) - min(drawn)) * 0.1 or max(drawn) * 0.1
    # Not from zero: what is shown is how far the values differ.
    low, high = max(0.0, min(drawn) - margin), max(drawn) + margin
    axis = (
        seconds_axis(high, metric.label, low)
        if metric.unit is Unit.SECONDS
        else Axis(f"{metric.label}, /s", low, high, ticks=even_ticks, text=rate_of)
    )
    text = ", ".join(quantity_of(value, metric.unit) for _, value in values)
    return xy_chart(
        f"variation-{metric.label.replace(': ', '-').replace('.', '-')}",
        f"{metric.label} of each execution",
        f"Values of the executions: {text}.",
        Axis("execution", *whole, ticks=_whole_ticks, text=lambda value: f"{value:.0f}"),
        axis,
        [*lines, *whiskers, Marks("execution", values, "point")],
        height=260,
    )


def _whole_ticks(low: float, high: float, count: int) -> list[float]:
    return [tick for tick in even_ticks(low, high, count) if tick == int(tick)]


def _typical(metric: RepeatedMetric) -> str:
    return "–" if metric.variation is None else quantity_of(metric.variation.mean, metric.unit)


def _precision(metric: RepeatedMetric) -> str:
    found = metric.variation
    if found is None or found.low is None or found.high is None:
        return "one execution, so its variation is not known"
    low, high = quantity_of(found.low, metric.unit), quantity_of(found.high, metric.unit)
    return f"95 % interval {low} to {high}, ±{_percent(found.half_width)}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.2g} %" if share < 0.1 else f"{share * 100:.0f} %"
