"""The live page's parts: the state of a test as HTML, with the charts of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import escape

from kfp_perf.live.snapshot import (
    ordered_thresholds,
    threshold_state,
    threshold_value,
    visible_text,
    waits_of,
)
from kfp_perf.reports.charts import (
    Band,
    Chart,
    Line,
    Row,
    Span,
    clock_axis,
    count_axis,
    log_seconds_axis,
    span_chart,
    stepped,
    xy_chart,
)
from kfp_perf.reports.charts.markup import element, joined
from kfp_perf.reports.quantities import clock_of, count_of, rate_of, seconds_of
from kfp_perf.reports.story.blocks import Column, Figure, Flag, Noted, Table, Tile, Tone
from kfp_perf.reports.story.report_data import letter_of
from kfp_perf.reports.webpage import block_of, tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from kfp_perf.live.history import History, Point
    from kfp_perf.live.snapshot import Finish, ScenarioState, Snapshot
    from kfp_perf.reports.story.blocks import Cell


def parts_of(
    snapshot: Snapshot | None, history: History, finish: Finish | None, *, fed: bool
) -> dict[str, Markup]:
    """The parts of the page by their ids; `fed`: the feed is still open."""
    if snapshot is None:
        return {
            "state": element("p", "The test is being prepared." if fed else "The test ended before it began.")
        }
    return {
        "name": escape(snapshot.name),
        "state": _state(snapshot, finish, fed=fed),
        "tiles": tiles(list(_tiles(snapshot))),
        "timeline": block_of(Figure(_timeline(snapshot))),
        "scenarios": block_of(_table(snapshot)),
        "thresholds": _thresholds(snapshot),
        "errors": joined([_errors(snapshot), *_evidence(snapshot)]),
        "charts": joined(block_of(Figure(chart)) for chart in _charts(snapshot, history.points)),
    }


def _state(snapshot: Snapshot, finish: Finish | None, *, fed: bool) -> Markup:
    where = "the emulator" if snapshot.emulator else snapshot.target
    clock = f"{clock_of(snapshot.elapsed_seconds)} of {clock_of(snapshot.planned_seconds)} min, on {where}"
    if finish is not None:
        good = finish.verdict == "passed"
        word = [
            element("strong", f"{'✓' if good else '✗'} Over: {finish.verdict}"),
            f" after {clock_of(snapshot.elapsed_seconds)} min, on {where}. ",
        ]
        link = (
            [element("a", "Open the report", href="report.html")] if finish.report else ["It has no report."]
        )
        why = [element("p", finish.why)] if finish.why else []
        return element("div", element("p", *word, *link), *why, class_=f"verdict {'good' if good else 'bad'}")
    if not fed:
        return element(
            "div",
            element("p", element("strong", "! Ended without a result"), f" {clock}"),
            class_="verdict bad",
        )
    waits = waits_of(snapshot.scenarios, snapshot.elapsed_seconds)
    doing = "Stopping" if snapshot.stopping else "Measuring" if _measuring(snapshot) else "Finishing"
    away = " The target does not answer." if any(one.away for one in snapshot.scenarios) else ""
    return element(
        "div",
        element("p", element("strong", doing), f" {clock}.{away}"),
        *(element("p", f"{line}.") for line in waits),
        class_=f"verdict {'warning' if away or snapshot.stopping else 'plain'}",
    )


def _measuring(snapshot: Snapshot) -> bool:
    return any(one.phase in {"queued", "preparing", "waiting", "running"} for one in snapshot.scenarios)


def _tiles(snapshot: Snapshot) -> Iterator[Tile]:
    scenarios = snapshot.scenarios
    if snapshot.runs_due:
        yield Tile(
            visible_text(snapshot),
            "median from due to visible success",
            f"of {snapshot.runs_due:,} runs due until now",
        )
    yield Tile(f"{sum(one.in_flight for one in scenarios):,}", "in flight", "runs, reads and uploads")
    bad = sum(one.failed + one.lost for one in scenarios)
    yield Tile(f"{sum(one.succeeded for one in scenarios):,}", "runs succeeded", f"{bad:,} failed or lost")
    yield Tile(f"{snapshot.runs_per_minute:,.1f}", "runs a minute", "that succeeded, over the last minute")
    yield Tile(rate_of(snapshot.requests_per_second), "requests a second", "over the last seconds")
    yield Tile(
        seconds_of(snapshot.latency_p99),
        "p99 latency",
        f"median {seconds_of(snapshot.latency_p50)}, of the last seconds",
    )
    yield Tile(seconds_of(snapshot.lateness_p99), "p99 lateness", "what the generator adds")


def _bands(snapshot: Snapshot) -> list[Band]:
    return [
        Band(letter_of(place), one.start_seconds, one.end_seconds)
        for place, one in enumerate(snapshot.scenarios)
    ]


def _seconds(snapshot: Snapshot) -> float:
    return max(snapshot.planned_seconds, snapshot.elapsed_seconds)


def _timeline(snapshot: Snapshot) -> Chart:
    rows = []
    now = snapshot.elapsed_seconds
    for place, one in enumerate(snapshot.scenarios):
        done = min(max(now, one.start_seconds), one.end_seconds)
        spans = [Span(one.start_seconds, done, place)] if done > one.start_seconds else []
        if done < one.end_seconds:
            spans.append(Span(done, one.end_seconds, None))
        rows.append(Row(f"{letter_of(place)}  {one.name}", spans, _left(one, now)))
    return span_chart(
        "timeline",
        "Where the test is",
        "; ".join(f"{one.name}: {_left(one, now)}" for one in snapshot.scenarios),
        clock_axis(_seconds(snapshot)),
        rows,
        keys=[(None, "still to come")]
        if any(span.style is None for row in rows for span in row.spans)
        else [],
    )


def _left(one: ScenarioState, now: float) -> str:
    if one.away:
        return "no answer"
    if one.to_clean_up and one.cleaned_up < one.to_clean_up:
        return f"deleting, {one.cleaned_up * 100 // one.to_clean_up} %"
    if one.phase == "running" and now < one.end_seconds:
        return f"{clock_of(one.end_seconds - now)} left"
    if one.phase == "waiting" and now < one.start_seconds:
        return f"starts in {clock_of(one.start_seconds - now)}"
    return one.phase


def _table(snapshot: Snapshot) -> Table:
    columns = [
        Column("Scenario", is_number=False),
        Column("State", is_number=False),
        Column("In flight"),
        Column("Succeeded"),
        Column("Failed"),
        Column("Lost"),
        Column("Requests"),
    ]
    rows: list[list[Cell]] = [
        [
            f"{letter_of(place)}  {one.name}",
            _left(one, snapshot.elapsed_seconds),
            f"{one.in_flight:,}",
            f"{one.succeeded:,}",
            Flag(f"{one.failed:,}", Tone.BAD) if one.failed else "0",
            Flag(f"{one.lost:,}", Tone.WARNING) if one.lost else "0",
            f"{one.requests:,}",
        ]
        for place, one in enumerate(snapshot.scenarios)
    ]
    return Table("Scenarios", columns, rows)


_TONES = {"kept": Tone.GOOD, "not kept": Tone.BAD}


def _thresholds(snapshot: Snapshot) -> Markup:
    """The thresholds that can be judged meanwhile, and how many are judged at the end."""
    found = ordered_thresholds(snapshot)
    parts = []
    if found:
        columns = [
            Column("Metric", is_number=False),
            Column("Condition", is_number=False),
            Column("Value so far"),
            Column("State", is_number=False),
        ]
        rows: list[list[Cell]] = [
            [
                Noted(one.metric, f"{one.scenario or 'the whole test'}{', default' if one.default else ''}"),
                one.condition,
                threshold_value(one) or "–",
                Flag(threshold_state(one), _TONES[one.state])
                if one.state in _TONES
                else threshold_state(one),
            ]
            for one in found
        ]
        parts.append(block_of(Table("Thresholds so far; those that are not kept first", columns, rows)))
    if later := len(snapshot.thresholds) - len(found):
        are = "is" if later == 1 else "are"
        parts.append(element("p", f"{count_of(later, 'threshold')} {are} judged at the end.", class_="note"))
    return joined(parts)


def _errors(snapshot: Snapshot) -> Markup:
    if not snapshot.errors:
        return element("p", "No request failed.", class_="note")
    worst = sorted(snapshot.errors.items(), key=lambda item: -item[1])
    rows: list[list[Cell]] = [[kind, f"{count:,}"] for kind, count in worst]
    return block_of(Table("Requests that failed", [Column("Kind", is_number=False), Column("Times")], rows))


def _evidence(snapshot: Snapshot) -> Iterator[Markup]:
    """How the sources of evidence stand."""
    if snapshot.evidence:
        yield element("p", f"Components: {'; '.join(snapshot.evidence)}.", class_="note")


def _charts(snapshot: Snapshot, points: list[Point]) -> Iterator[Chart]:
    if len(points) < 2:
        return
    x, bands = clock_axis(_seconds(snapshot)), _bands(snapshot)
    rates = [(point.at, point.requests_per_second) for point in points]
    yield xy_chart(
        "requests",
        "Requests a second",
        f"Now {rate_of(snapshot.requests_per_second)}.",
        x,
        count_axis(max(rate for _, rate in rates), "requests a second"),
        [Line("requests", rates)],
        bands=bands,
        height=170,
    )
    known = [
        value for point in points for value in (point.latency_p50, point.latency_p99) if value is not None
    ]
    if known:
        yield xy_chart(
            "latency",
            "Latency",
            f"Now {seconds_of(snapshot.latency_p50)} in the median, {seconds_of(snapshot.latency_p99)} at p99.",
            x,
            log_seconds_axis(min(known), max(known), "latency, from when a request was due (logarithmic)"),
            [
                Line("p99", [(point.at, point.latency_p99) for point in points], 1),
                Line("median", [(point.at, point.latency_p50) for point in points], 0),
            ],
            bands=bands,
            height=190,
        )
    flight = [(point.at, float(point.in_flight)) for point in points]
    yield xy_chart(
        "in-flight",
        "Runs in flight",
        f"Now {int(flight[-1][1]):,}.",
        x,
        count_axis(max(count for _, count in flight), "runs"),
        [Line("in flight", stepped(flight))],
        bands=bands,
        height=170,
    )
    ended = [(point.at, float(point.ended)) for point in points]
    errors = [(point.at, float(point.errors)) for point in points]
    yield xy_chart(
        "ended",
        "Runs that ended, and requests that failed, so far",
        f"{int(ended[-1][1]):,} runs ended, {int(errors[-1][1]):,} requests failed.",
        x,
        count_axis(max(count for _, count in [*ended, *errors]), "runs and requests so far"),
        [Line("runs that ended", ended, 2), Line("requests that failed", errors, 1)],
        bands=bands,
        height=170,
    )
