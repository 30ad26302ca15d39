"""Charts of what was collected, on the time axis of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.reports.charts import Line, clock_axis, count_axis, xy_chart
from kfp_perf.reports.quantities import rate_of
from kfp_perf.reports.story.blocks import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kfp_perf.reports.charts import Chart
    from kfp_perf.reports.story.blocks import Block
    from kfp_perf.reports.story.report_data import Material

    #: Times in seconds since the Unix epoch, and a value at each.
    TimedValues = Sequence[tuple[float, float]]


def chart_over_time(
    material: Material,
    name: str,
    title: str,
    unit: str,
    lines: Mapping[str, TimedValues],
    moments: Sequence[tuple[float, str]] = (),
) -> Iterator[Block]:
    """A chart of lines over the time of the test; nothing where no line has two points, or all are 0.

    `moments` are marked beside those of the test, in seconds since the Unix epoch.
    """
    drawn = {
        key: [(_place(material, at), value) for at, value in points]
        for key, points in lines.items()
        if len(points) > 1
    }
    most = max((value for points in drawn.values() for _, value in points), default=0.0)
    if most <= 0.0:
        return
    chart: Chart = xy_chart(
        f"component-{name}",
        title,
        "; ".join(
            f"{key}: at most {rate_of(max(value for _, value in points))} {unit}"
            for key, points in drawn.items()
        )
        + ".",
        clock_axis(material.seconds),
        count_axis(most, unit),
        [Line(key, points, style) for style, (key, points) in enumerate(drawn.items())],
        bands=material.bands,
        moments=[*material.moments, *((_place(material, at), text) for at, text in moments)],
        height=170,
    )
    yield Figure(chart)


def _place(material: Material, at: float) -> float:
    return min(max(at - material.started, 0.0), material.seconds)
