"""What was run against what, and the figures to be seen first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kfp_perf.reports.charts import Row, Span, clock_axis, span_chart
from kfp_perf.reports.document import dig, target_of
from kfp_perf.reports.few_runs import has_enough, most_of, statistic_of
from kfp_perf.reports.operations import operations_of, unanswered_of
from kfp_perf.reports.quantities import brief_of, clock_of, count_of, rate_of, seconds_of, share_of, span_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Facts,
    Figure,
    Items,
    Noted,
    Prose,
    Section,
    Table,
    Tile,
    Tone,
    count_cell,
    without_zeros,
)
from kfp_perf.reports.story.report_data import letter_of
from kfp_perf.scenario.modes import TestMode, mode_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.story.report_data import Material


def facts_of(material: Material) -> Facts:
    """What was run against what, when, and by what."""
    document = material.document
    target, environment = document["target"], document["environment"]
    version = f"KFP {target['version']}" if target["version"] else "KFP of unknown version"
    where = target_of(document)
    users = ", multi-user" if target["multi_user"] else ""
    began = datetime.fromtimestamp(material.started, UTC).strftime("%-d %B %Y, %H:%M:%S UTC")
    count = len(material.scenarios)
    modes = sorted({_mode_words(one["mode"]) for one in material.scenarios})
    pairs: list[tuple[str, Cell]] = [
        ("Target", f"{where} ({version}{users})"),
        ("Load", f"{count_of(count, 'scenario')}: {', '.join(modes)}" if count else "none"),
        ("Started", f"{began}; lasted {span_of(document['elapsed_seconds'])}"),
    ]
    if environment:
        program = f"kfp-perf {environment.get('kfp_perf', '?')} on Python {environment.get('python', '?')}"
        machine = f"{environment.get('cpus', '?')} CPUs, {environment.get('system', 'unknown system')}"
        pairs.append(("Measured with", f"{program}, {machine}"))
    return Facts(pairs)


def tiles_of(material: Material) -> list[Tile]:
    """The figures to be seen first."""
    return [*_run_tiles(material.total["runs"]), *_api_tiles(material.total["api"])]


def _run_tiles(runs: dict[str, Any]) -> Iterator[Tile]:
    """The time that a user waits comes first; each tile names the runs that it is of."""
    due, succeeded = runs.get("due") or 0, runs.get("succeeded") or 0
    if not (due or runs.get("created")):
        return
    visible = dig(runs, "visible_seconds") or {}
    if visible.get("n"):
        yield _median(
            visible,
            brief_of,
            "from due to visible success",
            f"of all {due:,} due; {most_of(visible, 'p95', brief_of)}",
            "of the only run due",
        )
    if due:
        yield Tile(share_of(runs.get("success_rate")), "of runs succeeded", f"{succeeded:,} of {due:,} due")
    without_end = (runs.get("unfinished") or 0) + (runs.get("cut_off") or 0)
    if without_end:
        yield Tile(f"{without_end:,}", "runs without an end", "in flight when the test ended")
    throughput = runs.get("throughput_per_second")
    if throughput is not None:
        yield Tile(rate_of(throughput * 60), "runs a minute", "that succeeded")
    duration = dig(runs, "duration_seconds") or {}
    if duration.get("n") and runs.get("unfinished_runs") != "excluded":
        beside = " and unfinished" if runs.get("unfinished") else ""
        yield _median(
            duration,
            brief_of,
            "run.duration",
            f"of executed{beside} runs; {most_of(duration, 'p95', brief_of)}",
            "of the only executed run",
        )


def _median(found: dict[str, Any], written: Any, what: str, detail: str, of_one: str) -> Tile:
    """The median of a distribution; of a single value that itself."""
    if has_enough(found, "p50"):
        return Tile(statistic_of(found, "p50", written), f"median {what}", detail)
    return Tile(statistic_of(found, "max", written), what, of_one)


def _api_tiles(api: dict[str, Any]) -> Iterator[Tile]:
    load = operations_of(api, "load")
    if not load:
        return
    count = sum(one.get("count", 0) for one in load.values())
    unanswered = sum(unanswered_of(one) for one in load.values())
    yield Tile(
        f"{count:,}",
        "operations of the load",
        f"{unanswered:,} not answered ({share_of(unanswered / count)})" if count else "",
    )
    name, busiest = max(load.items(), key=lambda item: item[1].get("count", 0))
    latency = busiest.get("latency_seconds") or {}
    if latency.get("n"):
        yield _median(latency, seconds_of, name, most_of(latency, "p99", seconds_of), "of the only one")


def scenarios(material: Material) -> Section | None:
    """What each scenario did, and when."""
    if not material.scenarios:
        return None
    rows: list[Row] = []
    for place, one in enumerate(material.scenarios):
        band = next((band for band in material.bands if band.letter == letter_of(place)), None)
        spans = (
            [Span(band.begin, band.end, place, _span_text(one["name"], band.begin, band.end))] if band else []
        )
        rows.append(Row(f"{letter_of(place)}  {one['name']}", spans))
    chart = span_chart(
        "scenarios",
        "When each scenario ran",
        "; ".join(
            f"{band.letter}: from {clock_of(band.begin)} to {clock_of(band.end)}" for band in material.bands
        ),
        clock_axis(material.seconds),
        rows,
    )
    columns = [
        Column("Scenario", is_number=False),
        Column("Runs created"),
        Column("Succeeded"),
        Column("Failed"),
        Column("Unfinished"),
        Column("Lost"),
        Column("Never started"),
        Column("Cut off"),
        Column("Runs a minute"),
        Column("Operations"),
    ]
    table = Table(
        "What each scenario did",
        columns,
        [_scenario_row(place, one) for place, one in enumerate(material.scenarios)],
    )
    warnings = [
        f"{one['name']}: {text}"
        for one in material.scenarios
        for text in [*one["warnings"], *([one["error"]] if one["error"] else [])]
    ] + [str(text) for text in material.document["warnings"]]
    blocks: list[Block] = [
        Figure(chart),
        without_zeros(table, "Failed", "Unfinished", "Lost", "Never started", "Cut off"),
    ]
    blocks += _legend_of_losses(material.total["runs"])
    if warnings:
        blocks.append(Items(warnings, Tone.WARNING))
    lead = "Letters mark the scenarios in the charts below. Each lasts until its last run was followed to its end."
    return Section("scenarios", "Scenarios", lead, blocks)


def _legend_of_losses(runs: dict[str, Any]) -> list[Block]:
    texts = []
    if runs.get("unfinished"):
        texts.append("Unfinished: still in flight at the end, and given up.")
    if runs.get("cut_off"):
        texts.append("Cut off: in flight when the test was cut short; they count in no rate.")
    if runs.get("never_started"):
        texts.append("Never started: due, and held back by maxInFlight until the end of the load.")
    if runs.get("lost") or runs.get("refused"):
        texts.append("Lost: the server refused them, or never showed them after a request without an answer.")
    return [Prose(" ".join(texts))] if texts else []


def _span_text(name: str, begin: float, end: float) -> str:
    return f"{name}: {clock_of(begin)} to {clock_of(end)} min"


def _scenario_row(place: int, one: dict[str, Any]) -> list[Cell]:
    runs = dig(one, "metrics", "runs") or {}
    load = operations_of(dig(one, "metrics", "api"), "load")
    failed, unfinished = runs.get("failed", 0), runs.get("unfinished", 0)
    lost = runs.get("lost", 0) + runs.get("refused", 0)
    never_started, cut_off = runs.get("never_started", 0), runs.get("cut_off", 0)
    throughput = runs.get("throughput_per_second")
    return [
        Noted(f"{letter_of(place)}  {one['name']}", _mode_words(one["mode"])),
        f"{runs.get('created', 0):,}",
        f"{runs.get('succeeded', 0):,}",
        count_cell(failed, Tone.BAD),
        count_cell(unfinished, Tone.WARNING),
        count_cell(lost, Tone.WARNING),
        count_cell(never_started, Tone.WARNING),
        count_cell(cut_off, Tone.WARNING),
        rate_of(throughput * 60) if throughput is not None else "–",
        f"{sum(call.get('count', 0) for call in load.values()):,}",
    ]


def _mode_words(name: str) -> str:
    """Return what a mode does in a few words; a mode of a plug-in is called by its name."""
    return mode_of(name).summary if name in TestMode.__members__ else name
