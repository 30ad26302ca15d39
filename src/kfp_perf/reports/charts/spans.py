"""Spans of time, a row each: the scenarios of a test, the tasks of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.reports.charts.chart import FONT, STYLES, Chart, clipped, legend, text_width
from kfp_perf.reports.charts.markup import element, joined, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from kfp_perf.reports.charts.axes import Axis

_BOTTOM = 44


_ROW_HEIGHT = 24


@dataclass(frozen=True, slots=True)
class Span:
    """From begin to end on the axis; `style` selects the hatching, None is pale; `text` is what a pointer shows."""

    begin: float
    end: float
    style: int | None = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A name, its spans, and a text behind the last of them. `strong`: it stands out."""

    name: str
    spans: Sequence[Span]
    text: str = ""
    strong: bool = False
    indent: int = 0


def span_chart(
    name: str,
    title: str,
    alt: str,
    x: Axis,
    rows: Sequence[Row],
    *,
    keys: Sequence[tuple[int | None, str]] = (),
) -> Chart:
    """Rows of spans over a common axis. `keys` say what the styles mean."""

    def draw(width: int) -> tuple[Markup, int]:
        samples = [(_box(0.0, 26.0, 0, 11, style), text) for style, text in keys]
        key_marks, top = legend(samples, width, 0)
        longest = max((text_width(row.name) + 12 * row.indent for row in rows), default=0.0)
        left = min(longest + 14, width * (0.36 if width < 600 else 0.3))
        right = width - 14.0
        bottom = top + 6.0 + _ROW_HEIGHT * len(rows)
        parts: list[Markup] = [key_marks]
        for tick in x.ticks(x.low, x.high, max(2, (width - int(left)) // 100)):
            place = x.place(tick, left, right)
            text = x.text(tick)
            anchor = "end" if place + text_width(text) / 2 > right + 12 else "middle"
            parts += [
                element("path", d=f"M{number(place)} {top}V{number(bottom)}", class_="grid"),
                element("text", text, x=place, y=bottom + FONT + 5, text_anchor=anchor),
            ]
        parts.append(element("path", d=f"M{number(left)} {number(bottom)}H{number(right)}", class_="axis"))
        for place, row in enumerate(rows):
            parts.append(_row(row, x, left, right, top + 4 + place * _ROW_HEIGHT, _ROW_HEIGHT))
        label = element("text", x.label, x=right, y=bottom + 2 * FONT + 10, text_anchor="end", class_="label")
        return joined([*parts, label]), int(bottom) + _BOTTOM

    return Chart(name, title, alt, draw)


def _row(row: Row, x: Axis, left: float, right: float, top: int, height: int) -> Markup:
    indent = 12 * row.indent
    class_ = "head" if row.strong else None
    middle = top + height / 2 + 3
    drawn = [element("text", clipped(row.name, left - indent - 10), x=indent, y=middle, class_=class_)]
    end = left
    for span in row.spans:
        begin, end = x.place(span.begin, left, right), x.place(span.end, left, right)
        drawn.append(_box(begin, max(end - begin, 2.0), top + 3, height - 8, span.style, span.text))
    needs = text_width(row.text) + 6
    if row.text and end + needs < right + 10:
        drawn.append(element("text", row.text, x=end + 6, y=middle, class_="label"))
    elif row.text and row.spans:
        begin = x.place(row.spans[0].begin, left, right)
        if begin - needs > left:
            drawn.append(element("text", row.text, x=begin - 6, y=middle, text_anchor="end", class_="label"))
    return joined(drawn)


def _box(begin: float, width: float, top: int, height: int, style: int | None, text: str = "") -> Markup:
    title = [element("title", text)] if text else []
    return element(
        "rect",
        *title,
        x=begin,
        y=top,
        width=width,
        height=height,
        rx=2,
        **(
            {"class_": "pale"}
            if style is None
            else {"class_": "part", "fill": f"url(#hatch{style % STYLES})"}
        ),
    )
