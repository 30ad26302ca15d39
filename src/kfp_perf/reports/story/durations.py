"""How long runs took: the whole distribution, with what did not come to its end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kfp_perf.reports.charts import Area, Line, Marks, seconds_axis, share_axis, stepped, xy_chart
from kfp_perf.reports.document import dig
from kfp_perf.reports.operations import statistic_of
from kfp_perf.reports.quantities import brief_of, count_of, range_of, seconds_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Column,
    Figure,
    Noted,
    Prose,
    Section,
    Table,
    Tone,
    without_zeros,
)
from kfp_perf.reports.story.report_data import letter_of
from kfp_perf.statistics.quantiles import QUANTILES
from kfp_perf.statistics.survival import kaplan_meier

if TYPE_CHECKING:
    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.digest import ScenarioRuns
    from kfp_perf.reports.story.report_data import Material
    from kfp_perf.statistics.survival import Survival

_MOST_CURVES = 6
_MOST_STEPS = 400


def durations(material: Material) -> Section | None:
    """The distribution of run durations, by scenario."""
    found = [
        (letter_of(place), one["name"], runs)
        for place, one in enumerate(material.scenarios)
        if (runs := material.runs.scenarios.get(one["name"])) is not None
        and (runs.durations or runs.censored)
    ]
    total = dig(material.total, "runs", "duration_seconds") or {}
    if not found and not total.get("n"):
        return None
    blocks: list[Block] = []
    if found:
        blocks.append(Figure(_curves(found), _NOTE))
    rows = [
        _row(f"{letter_of(place)}  {one['name']}", dig(one, "metrics", "runs") or {})
        for place, one in enumerate(material.scenarios)
        if dig(one, "metrics", "runs", "duration_seconds")
    ]
    if len(rows) != 1 and total:
        rows.append(_row("All runs", material.total["runs"]))
    table = Table("Run durations, from creation to finish (below: 95 % confidence interval)", _COLUMNS, rows)
    blocks.append(without_zeros(table, "Not ended"))
    blocks += _remarks(material)
    return Section("durations", "How long did runs take?", _lead(total, material.total["runs"]), blocks)


_NOTE = (
    "How to read it: which share of runs (left) had ended within how long (below). The further left a curve, the "
    "quicker. Shaded: 95 % confidence. Ticks on a curve: runs that were still in flight when the test stopped "
    "looking at them; each counts as longer than that (Kaplan-Meier), not as failed and not as nothing."
)
_COLUMNS = [
    Column("Scenario", is_number=False),
    Column("Runs"),
    Column("Not ended"),
    Column("p50"),
    Column("p90"),
    Column("p95"),
    Column("p99"),
    Column("Longest that ended"),
    Column("Mean"),
]


def _curves(found: list[tuple[str, str, ScenarioRuns]]) -> Chart:
    layers: list[Line | Area | Marks] = []
    ticks: list[tuple[float, float]] = []
    longest = 0.0
    told = []
    for style, (letter, name, runs) in enumerate(found[:_MOST_CURVES]):
        estimate = kaplan_meier(runs.durations, runs.censored)
        if estimate is None:
            continue
        end = max([*runs.durations, *runs.censored])
        longest = max(longest, end)
        curve = _curve(estimate, end)
        if len(found) <= 2:
            layers.append(Area("", _band(estimate, end), style))
        layers.append(Line(f"{letter} {name}", stepped(curve), style))
        ticks += [(time, _at(curve, time)) for time in runs.censored]
        told.append(f"{letter} {name}: median {_or_not_reached(estimate.quantile(0.5))}")
    if ticks:
        layers.append(Marks(f"{len(ticks):,} still in flight", ticks, "tick", 7))
    more = (
        f" {len(found) - _MOST_CURVES} more scenarios are in the table." if len(found) > _MOST_CURVES else ""
    )
    return xy_chart(
        "durations",
        "Share of runs that had ended within a time",
        "; ".join(told) + "." + more,
        seconds_axis(longest * 1.02, "duration, from creation to finish"),
        share_axis("share of runs that had ended, %"),
        layers,
        height=300,
    )


def _curve(estimate: Survival, end: float) -> list[tuple[float, float]]:
    """The share that had ended, from none at 0 to what is known at the end; thinned to what can be seen."""
    times, values = estimate.curve.times, estimate.curve.values
    every = max(1, len(times) // _MOST_STEPS)
    kept = range(0, len(times), every)
    points = [(float(times[place]), 1.0 - float(values[place])) for place in kept]
    last = 1.0 - float(values[-1]) if len(values) else 0.0
    return [(0.0, 0.0), *points, (end, last)]


def _band(estimate: Survival, end: float) -> list[tuple[float, float, float]]:
    low, high = estimate.low, estimate.high
    every = max(1, len(low.times) // _MOST_STEPS)
    points: list[tuple[float, float, float]] = []
    for place in range(0, len(low.times), every):
        below, above = 1.0 - float(high.values[place]), 1.0 - float(low.values[place])
        if not (math.isnan(below) or math.isnan(above)):
            time = float(low.times[place])
            if points:
                points.append((time, *points[-1][1:]))
            points.append((time, below, above))
    if points:
        points.append((end, *points[-1][1:]))
    return points


def _at(curve: list[tuple[float, float]], time: float) -> float:
    return max((share for when, share in curve if when <= time), default=0.0)


def _row(name: str, runs: dict[str, Any]) -> list[Cell]:
    duration = dig(runs, "duration_seconds") or {}
    intervals = duration.get("intervals") or {}
    quantiles = [
        _quantile(duration.get(key), intervals.get(key), bool(duration.get("n"))) for key in QUANTILES
    ]
    return [
        name,
        f"{duration.get('n', 0):,}",
        f"{runs.get('unfinished', 0):,}",
        *quantiles,
        brief_of(duration.get("longest_answered")),
        brief_of(duration.get("mean")),
    ]


def _quantile(value: float | None, interval: list[float | None] | None, known: bool) -> Cell:
    if value is None:
        return "not reached" if known else "–"
    low, high = interval or (None, None)
    if low is None and high is None:
        return brief_of(value)
    if high is None:
        return Noted(brief_of(value), f"{brief_of(low)} or more")
    return Noted(brief_of(value), range_of(low or 0.0, high))


def _or_not_reached(value: float | None) -> str:
    return "not reached" if value is None else seconds_of(value)


def _lead(total: dict[str, Any], runs: dict[str, Any]) -> str:
    if not total.get("n"):
        return "No run that executed came to a good end."
    lead = f"Half of the runs took no longer than {_or_not_reached(total.get('p50'))}; "
    high = total.get("p95")
    lead += (
        f"95 % took no longer than {seconds_of(high)}."
        if high is not None
        else "the 95th percentile was not reached."
    )
    if runs.get("unfinished"):
        left = count_of(runs["unfinished"], "run")
        lead += f" {left} had not ended when the test did, and rank above all that had."
    error = runs.get("duration_error_seconds")
    if error:
        lead += f" KFP tells whole seconds, so each duration is within {seconds_of(error)} of the truth."
    return lead


def _remarks(material: Material) -> list[Block]:
    remarks: list[Block] = []
    for key, what in (
        ("failed_duration_seconds", "failed"),
        ("cached_duration_seconds", "took everything from the cache"),
    ):
        found = dig(material.total, "runs", key) or {}
        if found.get("n"):
            remarks.append(
                Prose(
                    f"{count_of(found['n'], 'run')} that {what} are not among them: half of those took no longer "
                    f"than {seconds_of(found['p50'])}, the longest {seconds_of(found['max'])}."
                )
            )
    visible = dig(material.total, "runs", "visible_seconds") or {}
    if visible.get("n"):
        median, high = (statistic_of(visible, key, seconds_of) for key in ("p50", "p95"))
        remarks.append(
            Prose(
                "From when a run was due until a client could see that it had succeeded: median "
                f"{median}, 95th percentile {high}. All runs due are in it; those that did not succeed rank above "
                "all that did."
            )
        )
    trend = dig(material.total, "runs", "duration_trend")
    if isinstance(trend, dict) and trend.get("drifts"):
        remarks.append(
            Prose(
                f"Durations changed by {seconds_of(trend.get('change_seconds'))} from the beginning of the test to "
                "its end (Theil-Sen), which is more than chance explains.",
                Tone.WARNING,
            )
        )
    return remarks
