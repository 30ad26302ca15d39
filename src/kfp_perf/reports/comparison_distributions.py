"""The distribution of run.visible on both sides of a comparison, over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.reports.charts import Line, seconds_axis, share_axis, stepped, xy_chart
from kfp_perf.reports.quantities import seconds_of
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kfp_perf.reports.charts import Chart

_MOST_STEPS = 300


@dataclass(frozen=True, slots=True)
class SideTimes:
    """The times from due to visible of the runs of a side that succeeded, sorted, and the number of the others."""

    name: str
    seconds: tuple[float, ...]
    above: int


def read_times(name: str, folders: Iterable[Path]) -> SideTimes:
    """Read the runs of all executions of a side."""
    seconds: list[float] = []
    above = 0
    for folder in folders:
        for run in TestResult(folder).runs():
            if run.warmup or run.outcome is Outcome.CUT_OFF:
                continue
            if run.outcome is Outcome.SUCCEEDED and run.seen_finished is not None:
                seconds.append(run.seen_finished - run.due)
            else:
                above += 1
    return SideTimes(name, tuple(sorted(seconds)), above)


def distributions(sides: Sequence[SideTimes]) -> Chart | None:
    """The share of runs whose success was visible within a time; None where a side has none."""
    if not all(side.seconds for side in sides):
        return None
    longest = max(side.seconds[-1] for side in sides)
    layers = [Line(side.name, stepped(_curve(side, longest)), style) for style, side in enumerate(sides)]
    text = "; ".join(f"{side.name}: half within {_median(side)}" for side in sides)
    return xy_chart(
        "comparison-distributions",
        "Share of runs whose success was visible within a time",
        f"{text}.",
        seconds_axis(longest * 1.02, "time from due to visible"),
        share_axis("share of runs due, %"),
        layers,
        height=300,
    )


def _curve(side: SideTimes, longest: float) -> list[tuple[float, float]]:
    """From no run at 0 to the share that succeeded; thinned to what can be seen."""
    count = len(side.seconds)
    places = np.unique(np.linspace(0, count - 1, min(count, _MOST_STEPS)).astype(int))
    points = [(side.seconds[place], (place + 1) / (count + side.above)) for place in places]
    return [(0.0, 0.0), *points, (longest, points[-1][1])]


def _median(side: SideTimes) -> str:
    rank = (len(side.seconds) + side.above + 1) // 2
    return seconds_of(side.seconds[rank - 1]) if rank <= len(side.seconds) else "no known time"
