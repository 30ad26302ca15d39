"""Charts as SVG, drawn by pure functions: no script, no font, nothing from outside.

A `Chart` draws itself at any width, because a chart that is only scaled cannot be read on a phone. Series differ
by dash and hatching as well as by colour.
"""

from kfp_perf.reports.charts.axes import (
    Axis,
    clock_axis,
    count_axis,
    log_seconds_axis,
    seconds_axis,
    share_axis,
)
from kfp_perf.reports.charts.bars import Bar, Segment, bar_chart
from kfp_perf.reports.charts.chart import Chart
from kfp_perf.reports.charts.spans import Row, Span, span_chart
from kfp_perf.reports.charts.spark import sparkline
from kfp_perf.reports.charts.xy import Area, Band, Line, Marks, stepped, xy_chart

__all__ = [
    "Area",
    "Axis",
    "Band",
    "Bar",
    "Chart",
    "Line",
    "Marks",
    "Row",
    "Segment",
    "Span",
    "bar_chart",
    "clock_axis",
    "count_axis",
    "log_seconds_axis",
    "seconds_axis",
    "share_axis",
    "span_chart",
    "sparkline",
    "stepped",
    "xy_chart",
]
