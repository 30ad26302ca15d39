"""Sparklines: a shape the size of a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.reports.charts.chart import path_of, runs_of
from kfp_perf.reports.charts.markup import element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_WIDTH, _HEIGHT = 120, 24


def sparkline(values: Sequence[float | None], alt: str) -> Markup:
    """A line from zero to the largest value; None interrupts it."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = (_WIDTH - 4) / max(len(values) - 1, 1)
    points = [
        (2 + place * step, None if value is None else _HEIGHT - 2 - value / top * (_HEIGHT - 4))
        for place, value in enumerate(values)
    ]
    path = "".join(path_of(run) for run in runs_of(points))
    return element(
        "svg",
        element("path", d=path, class_="line line0"),
        class_="chart spark",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        width=_WIDTH,
        height=_HEIGHT,
        role="img",
        aria_label=alt,
    )
