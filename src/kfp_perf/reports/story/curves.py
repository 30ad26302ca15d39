"""The distributions of times of runs as curves, a scenario each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.reports.charts import Area, Line, Marks, seconds_axis, share_axis, stepped, xy_chart
from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import seconds_of
from kfp_perf.reports.story.report_data import letter_of
from kfp_perf.statistics.survival import Unfinished, survival

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.digest import ScenarioRuns
    from kfp_perf.reports.story.report_data import Material
    from kfp_perf.statistics.survival import Survival

_MOST_CURVES = 6
_MOST_STEPS = 400


def _named(material: Material) -> Iterator[tuple[str, ScenarioRuns, Unfinished]]:
    """The scenarios that had runs: letter and name, their runs, and how those without an end are treated."""
    for place, one in enumerate(material.scenarios):
        runs = material.runs.scenarios.get(one["name"])
        if runs is not None:
            how = str(dig(one, "metrics", "runs", "unfinished_runs") or "rank_last").upper()
            treated = Unfinished[how] if how in Unfinished.__members__ else Unfinished.RANK_LAST
            yield f"{letter_of(place)} {one['name']}", runs, treated


def visible_curves(material: Material) -> Chart | None:
    """The share of all runs due that had been seen to succeed within a time."""
    found = [(name, runs) for name, runs, _ in _named(material) if runs.due and runs.visible]
    if not found:
        return None
    longest = max(max(runs.visible) for _, runs in found)
    lines, texts = [], []
    for style, (name, runs) in enumerate(found[:_MOST_CURVES]):
        times = np.sort(np.asarray(runs.visible))
        kept = range(0, times.size, max(1, times.size // _MOST_STEPS))
        points = [(float(times[place]), (place + 1) / runs.due) for place in kept]
        share = times.size / runs.due
        lines.append(Line(name, stepped([(0.0, 0.0), *points, (longest, share)]), style))
        texts.append(f"{name}: {share * 100:.0f} % of {runs.due:,} runs due")
    return xy_chart(
        "visible",
        "Share of all runs due that were seen to succeed within a time",
        f"{'; '.join(texts)}.{_more(len(found))}",
        seconds_axis(longest * 1.02, "from due to visible success"),
        share_axis("share of the runs due, %"),
        lines,
        height=280,
    )


def _more(count: int) -> str:
    return f" {count - _MOST_CURVES} more scenarios are in the table." if count > _MOST_CURVES else ""


def duration_curves(material: Material) -> Chart | None:
    """The share of runs that had ended within a time, of scenarios of which that is known."""
    found: list[tuple[str, Survival, list[float]]] = []
    for name, runs, how in _named(material):
        without = {Unfinished.RANK_LAST: runs.unfinished, Unfinished.CENSORED: runs.cut_off}.get(how, ())
        estimate = survival(runs.durations, without, how) if runs.durations else None
        if estimate is not None:
            found.append((name, estimate, [*without] if how is Unfinished.CENSORED else []))
    if not found:
        return None
    layers: list[Line | Area | Marks] = []
    ticks: list[tuple[float, float]] = []
    texts = []
    longest = max(max(estimate.longest or 0.0, *censored, 0.0) for _, estimate, censored in found)
    for style, (name, estimate, censored) in enumerate(found[:_MOST_CURVES]):
        curve = _curve(estimate, longest)
        if len(found) <= 2:
            layers.append(Area("", _band(estimate, longest), style))
        layers.append(Line(name, stepped(curve), style))
        ticks += [(time, _at(curve, time)) for time in censored]
        median = estimate.quantile(0.5)
        texts.append(f"{name}: median {'not reached' if median is None else seconds_of(median)}")
    if ticks:
        layers.append(Marks(f"{len(ticks):,} cut off", ticks, "tick", 7))
    return xy_chart(
        "durations",
        "Share of runs that had finished within a time of their creation",
        f"{'; '.join(texts)}.{_more(len(found))}",
        seconds_axis(longest * 1.02, "duration, from creation to finish"),
        share_axis("share of runs, %"),
        layers,
        height=280,
    )


def _curve(estimate: Survival, end: float) -> list[tuple[float, float]]:
    """The share that had ended, from none at 0 to what is known at the end; thinned to what can be seen."""
    times, values = estimate.curve.times, estimate.curve.values
    known = times <= end
    times, values = times[known], values[known]
    every = max(1, len(times) // _MOST_STEPS)
    points = [(float(times[place]), 1.0 - float(values[place])) for place in range(0, len(times), every)]
    last = 1.0 - float(values[-1]) if len(values) else 0.0
    return [(0.0, 0.0), *points, (end, last)]


def _band(estimate: Survival, end: float) -> list[tuple[float, float, float]]:
    low, high = estimate.low, estimate.high
    every = max(1, len(low.times) // _MOST_STEPS)
    points: list[tuple[float, float, float]] = []
    for place in range(0, len(low.times), every):
        below, above = 1.0 - float(high.values[place]), 1.0 - float(low.values[place])
        if not (math.isnan(below) or math.isnan(above)) and low.times[place] <= end:
            time = float(low.times[place])
            if points:
                points.append((time, *points[-1][1:]))
            points.append((time, below, above))
    if points:
        points.append((end, *points[-1][1:]))
    return points


def _at(curve: list[tuple[float, float]], time: float) -> float:
    return max((share for when, share in curve if when <= time), default=0.0)
