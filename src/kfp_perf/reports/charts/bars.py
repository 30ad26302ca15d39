"""Stacked bars: what a whole is made of, a bar a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.reports.charts.chart import BOLD, FONT, STYLES, Chart, clipped, legend, text_width
from kfp_perf.reports.charts.markup import element, joined, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from kfp_perf.reports.charts.axes import Axis

_BAR = 26
_ROW = 56
_BOTTOM = 44


@dataclass(frozen=True, slots=True)
class Segment:
    """One part: its name, its value on the axis, the value in words, and a style that is the same in each bar."""

    name: str
    value: float
    text: str
    style: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One whole: what it is called, what is said at its right end, and its parts from left to right."""

    name: str
    text: str
    segments: Sequence[Segment]


def bar_chart(name: str, title: str, alt: str, x: Axis, bars: Sequence[Bar]) -> Chart:
    """Stacked bars with their parts named in them, where there is room, and below in a legend."""

    def draw(width: int) -> tuple[Markup, int]:
        styles = {segment.name: segment.style for bar in bars for segment in bar.segments}
        samples = [(_swatch(style), part) for part, style in sorted(styles.items(), key=lambda item: item[1])]
        keys, top = legend(samples, width, 0)
        right = width - 14.0
        parts: list[Markup] = [keys]
        bottom = top + _ROW * len(bars) + 8.0
        for tick in x.ticks(x.low, x.high, max(2, width // 110)):
            place = x.place(tick, 2.0, right)
            anchor = "start" if place < 20 else "end" if place + 30 > right else "middle"
            parts += [
                element("path", d=f"M{number(place)} {top + 4}V{number(bottom)}", class_="grid"),
                element("text", x.text(tick), x=place, y=bottom + FONT + 4, text_anchor=anchor),
            ]
        parts.append(element("path", d=f"M2 {number(bottom)}H{number(right)}", class_="axis"))
        for place, bar in enumerate(bars):
            parts.append(_bar(bar, x, right, top + 6 + place * _ROW))
        label = element("text", x.label, x=right, y=bottom + 2 * FONT + 10, text_anchor="end", class_="label")
        return joined([*parts, label]), int(bottom) + _BOTTOM

    return Chart(name, title, alt, draw)


def _swatch(style: int) -> Markup:
    return element("rect", width=26, height=11, class_="part", fill=f"url(#hatch{style % STYLES})")


def _bar(bar: Bar, x: Axis, right: float, top: int) -> Markup:
    room = (right - 14 - text_width(bar.text)) / BOLD
    drawn = [
        element("text", clipped(bar.name, room), x=2, y=top + FONT, class_="head"),
        element("text", bar.text, x=right, y=top + FONT, text_anchor="end"),
    ]
    edge = x.low
    for segment in bar.segments:
        if segment.value <= 0:
            continue  # a negative phase has no length; the table beside the chart has its figure
        begin, end = x.place(edge, 2.0, right), x.place(edge + segment.value, 2.0, right)
        edge += segment.value
        shape = element(
            "rect",
            element("title", f"{segment.name}: {segment.text}"),
            x=begin,
            y=top + FONT + 6,
            width=max(end - begin, 0.5),
            height=_BAR,
            class_="part",
            fill=f"url(#hatch{segment.style % STYLES})",
        )
        drawn.append(shape)
        said = next(
            (text for text in (segment.text, segment.name) if text_width(text) + 16 < end - begin), ""
        )
        if said:
            middle = (begin + end) / 2
            # A plate behind the words: hatching would make them hard to read.
            plate = text_width(said) + 8
            drawn += [
                element(
                    "rect",
                    x=middle - plate / 2,
                    y=top + FONT + 10,
                    width=plate,
                    height=18,
                    class_="plate",
                    rx=3,
                ),
                element("text", said, x=middle, y=top + FONT + 24, text_anchor="middle"),
            ]
    return joined(drawn)
