"""The report of a search for the capacity: the answer, the curve, and what gave way first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.errors import ExitCode, InputError
from kfp_perf.reports.capacity_words import (
    WHY,
    caveats,
    in_unit,
    load_words,
    number_of,
    rate_words,
    sentence,
    setting_of,
    unit_words,
)
from kfp_perf.reports.charts import Line, Marks, count_axis, log_seconds_axis, xy_chart
from kfp_perf.reports.csv_records import csv_of
from kfp_perf.reports.quantities import quantity_of, seconds_of, share_of, span_of
from kfp_perf.reports.story.blocks import (
    Column,
    Figure,
    Flag,
    Items,
    Prose,
    Section,
    Story,
    Table,
    Tile,
    Tone,
    VerdictBlock,
    without_zeros,
)
from kfp_perf.reports.study_executions import executions_section, study_ended, study_facts, study_verdict
from kfp_perf.result.capacity import PlateauRecord, capacity_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.blocks import Block, Cell
    from kfp_perf.result.capacity import CapacityRecord
    from kfp_perf.result.study import Study

_PHASES = {"create": "CreateRun", "queue": "queue, without CreateRun"}
_LIGHT = "light load"
"""It is too short to fill, so its growth has no meaning."""
_FEWEST_GROWTH = 0.005
"""Phases that grew by less, in seconds a second, are not shown."""


def study_document(study: Study) -> dict[str, Any]:
    """The plain values: `capacity`, a `CapacityRecord`, and `sentence`; null without a plateau."""
    try:
        record = capacity_of(study)
    except InputError:
        return {"capacity": None, "sentence": None}
    return {"capacity": msgspec.to_builtins(record), "sentence": sentence(record)}


def study_table(study: Study) -> bytes:
    """The plateaus as CSV: a row each, rates in operations a second. Raises `InputError` without a plateau."""
    return csv_of(PlateauRecord, capacity_of(study).plateaus)


def study_story(study: Study) -> Story:
    """The whole report."""
    try:
        record = capacity_of(study)
    except InputError as error:
        word, tone = study_verdict(study)
        return Story(
            title=f"{study.record.name}, capacity",
            verdict=VerdictBlock(word, str(error).splitlines()[0], tone, caveats=study_ended(study)),
            facts=study_facts(study),
            tiles=(),
            sections=[executions_section(study)],
        )
    word, tone = _verdict(study, record)
    return Story(
        title=f"{study.record.name}, capacity",
        verdict=VerdictBlock(
            word,
            sentence(record),
            tone,
            reasons=_bounds(record),
            caveats=[*study_ended(study), *caveats(record)],
        ),
        facts=study_facts(study),
        tiles=list(_tiles(record)),
        sections=[_curve(record), *_cause(record), executions_section(study)],
    )


def _verdict(study: Study, record: CapacityRecord) -> tuple[str, Tone]:
    """One word: whether the search found the capacity, unless a bound on it decides."""
    word, tone = study_verdict(study)
    if study.record.exit_code is None or study.record.exit_code != ExitCode.GOOD:
        return word, tone
    if record.bounds:
        return "Passed", Tone.GOOD
    if record.rate is not None:
        return "Found", Tone.GOOD
    return ("At least", Tone.GOOD) if record.status == "at least" else ("Not found", Tone.WARNING)


def _bounds(record: CapacityRecord) -> list[str]:
    words = {True: "is kept", False: "is not kept", None: "cannot be judged: the interval is open"}
    return [f"{one.name} {one.condition} {words[one.passed]}." for one in record.bounds]


def _tiles(record: CapacityRecord) -> Iterator[Tile]:
    """The two numbers, and the time to recover."""
    unit = unit_words(record)
    yield Tile(_interval(record, record.low, record.high), f"{unit} within the thresholds", _between(record))
    if not record.closed:
        yield Tile(
            _interval(record, record.backlog_held, record.backlog_failed),
            f"{unit} until the backlog grows",
            "the highest plateau at which it did not, and the lowest at which it did",
        )
    overloaded = [one for one in record.plateaus if not one.kept_up and one.recovery_seconds is not None]
    if overloaded:
        last = overloaded[-1]
        words = load_words(last.rate, record.operation, closed=record.closed)
        yield Tile(span_of(last.recovery_seconds or 0.0), "to recover", f"after {words}")


def _interval(record: CapacityRecord, low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{rate_words(low, record)} to {rate_words(high, record)}"
    if low is not None:
        return f"at least {rate_words(low, record)}"
    return "unknown" if high is None else f"less than {rate_words(high, record)}"


def _between(record: CapacityRecord) -> str:
    if record.held is None or record.failed is None:
        return "the search did not enclose it"
    widened = "" if record.closed else ", and 2 % on each side"
    return f"between plateaus at {rate_words(record.held, record)} and {rate_words(record.failed, record)}{widened}"


def _curve(record: CapacityRecord) -> Section:
    """Offered and completed load, and what runs or reads take, by plateau."""
    blocks: list[Block] = [_table(record)]
    if len(record.plateaus) > 1:
        if not record.closed:
            blocks.append(Figure(_completed(record), "Below the line, not all that was due was completed."))
        if any(one.visible_p90 for one in record.plateaus):
            blocks.append(Figure(_visible(record)))
    lead = (
        "Each plateau is a constant load, in the order of the search; its own report has all of its figures."
    )
    return Section("curve", "How does it behave under load?", lead, blocks)


def _table(record: CapacityRecord) -> Table:
    what = "visible" if record.operation == "run" else "latency"
    columns = [
        Column("Plateau", is_number=False),
        Column("Offered"),
        Column("Completed"),
        Column("Growth"),
        Column(f"{what} p50"),
        Column("p90"),
        Column("CreateRun p95" if record.operation == "run" else "p95"),
        Column("Success"),
        Column("Held", is_number=False),
    ]
    table = Table(
        f"Plateaus; loads in {unit_words(record)}", columns, [_row(one, record) for one in record.plateaus]
    )
    return without_zeros(table, "Growth")


def _row(one: PlateauRecord, record: CapacityRecord) -> list[Cell]:
    return [
        f"{one.execution}, {one.part}",
        rate_words(one.rate, record),
        _completed_words(one, record),
        "–" if one.growth is None or one.part == _LIGHT or record.closed else f"{one.growth * 100:.1f} %",
        *(
            "not reached" if one.visible_p90 is None and value is None else seconds_of(value)
            for value in _times(one)
        ),
        share_of(one.success_rate),
        _outcome(one),
    ]


def _completed_words(one: PlateauRecord, record: CapacityRecord) -> str:
    """What was completed, in the unit of what was offered; of a closed load that is a rate with its own unit."""
    if one.completed is None:
        return "–"
    if record.closed:
        value, unit = in_unit(one.completed, record.operation, closed=False)
        return f"{number_of(value)} {unit}"
    return rate_words(one.completed, record)


def _times(one: PlateauRecord) -> tuple[float | None, ...]:
    return one.visible_p50, one.visible_p90, one.latency_p95


def _outcome(one: PlateauRecord) -> Flag:
    if one.invalid:
        return Flag("invalid", Tone.WARNING)
    if one.held:
        return Flag("held", Tone.GOOD)
    why = "backlog grows" if not one.kept_up else one.broken[0] if one.broken else "ended early"
    return Flag(f"{why}, ended early" if one.stopped and not one.kept_up else why, Tone.BAD)


def _completed(record: CapacityRecord) -> Chart:
    """Completed over offered load."""
    valid = sorted((one for one in record.plateaus if not one.invalid), key=lambda one: one.rate)

    def number(rate: float) -> float:
        return in_unit(rate, record.operation, closed=False)[0]

    points = [(number(one.rate), number(one.completed or 0.0), one) for one in valid]
    highest = max(x for x, _, _ in points)
    text = "; ".join(f"{x:.3g} offered, {y:.3g} completed" for x, y, _ in points)
    return xy_chart(
        "capacity-completed",
        "Completed load by offered load",
        f"{unit_words(record)}: {text}.",
        count_axis(highest, f"offered, {unit_words(record)}"),
        count_axis(highest, "completed"),
        [
            Line("all that is offered", [(0.0, 0.0), (highest, highest)], 2),
            Marks("held", [(x, y) for x, y, one in points if one.held], "ring"),
            Marks("not held", [(x, y) for x, y, one in points if not one.held], "cross", 1),
        ],
        height=260,
    )


def _visible(record: CapacityRecord) -> Chart:
    """Times over offered load."""
    valid = sorted((one for one in record.plateaus if not one.invalid), key=lambda one: one.rate)

    def number(rate: float) -> float:
        return in_unit(rate, record.operation, closed=record.closed)[0]

    lines = [
        ("p50", [(number(one.rate), one.visible_p50) for one in valid if one.visible_p50]),
        ("p90", [(number(one.rate), one.visible_p90) for one in valid if one.visible_p90]),
    ]
    times = [seconds for _, points in lines for _, seconds in points if seconds]
    what = "From due to visible" if record.operation == "run" else "Latency"
    text = "; ".join(
        f"{name} " + ", ".join(f"{seconds_of(seconds)} at {rate:.3g}" for rate, seconds in points)
        for name, points in lines
    )
    return xy_chart(
        "capacity-visible",
        f"{what} by offered load",
        f"{text}.",
        count_axis(number(valid[-1].rate), f"offered, {unit_words(record)}"),
        log_seconds_axis(min(times), max(times), what.lower()),
        [Line(name, points, place) for place, (name, points) in enumerate(lines)],
        height=260,
    )


def _cause(record: CapacityRecord) -> Iterator[Section]:
    """What gave way first, and which setting governs it."""
    cause = record.cause
    if cause is None:
        return
    blocks: list[Block] = []
    if cause.thresholds:
        blocks.append(Items([f"Not kept: {one}." for one in cause.thresholds]))
    shown = [one for one in cause.phases if one.growth >= _FEWEST_GROWTH or one.phase == "create"]
    if shown:
        columns = [
            Column("Phase", is_number=False),
            Column("Light load, mean"),
            Column("At the limit, last third"),
            Column("Growth, s a minute"),
        ]
        rows: list[list[Cell]] = [
            [
                _PHASES.get(one.phase, one.phase),
                seconds_of(one.light_seconds),
                seconds_of(one.limit_seconds),
                f"{one.growth * 60.0:.2f}",
            ]
            for one in shown
        ]
        blocks.append(Table(f"Phases of execution {cause.execution}, which did not hold", columns, rows))
    if cause.evidence:
        evidence_rows: list[list[Cell]] = [
            [one.meaning, quantity_of(one.light, one.unit), quantity_of(one.limit, one.unit)]
            for one in cause.evidence
        ]
        columns = [Column("Evidence", is_number=False), Column("Light load"), Column("At the limit")]
        blocks.append(Table("What the components say of themselves", columns, evidence_rows))
    setting = setting_of(cause)
    if setting is not None:
        blocks.append(
            Prose(
                f"Look first at {setting.name} of {setting.component} (default: {setting.default}). "
                f"{setting.effect} docs/tuning.md lists the others."
            )
        )
    if cause.thresholds and not cause.phases:
        lead = "A threshold was not kept while the server still kept up."
    elif cause.component == "unknown":
        lead = "Unknown: no phase has most of the growth, or too few runs ended."
    else:
        words = WHY[cause.component]
        lead = f"{words[0].upper()}{words[1:]}."
    yield Section("cause", "What gave way first?", lead, blocks)
