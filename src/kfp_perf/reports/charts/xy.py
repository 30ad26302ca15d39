"""Values over an axis: lines, areas, single marks, and bands of time behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.reports.charts.chart import BOLD, FONT, STYLES, Chart, legend, path_of, runs_of, text_width
from kfp_perf.reports.charts.markup import element, joined, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markupsafe import Markup

    from kfp_perf.reports.charts.axes import Axis

_TOP = 10
_BOTTOM = 44
_LETTERS = 12
_EDGE = 14.0
_SHAPES = {
    "dot": "h0",
    "point": "h0",
    "ring": "m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0",
    "tick": "m0-5v10",
    "cross": "m-3-3l6 6m0-6l-6 6",
    "up": "m-3.5 3l3.5-7l3.5 7z",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A named line through points (x, y); where y is None it is interrupted. Lines without a name are unlisted."""

    name: str
    points: Sequence[tuple[float, float | None]]
    style: int = 0


@dataclass(frozen=True, slots=True)
class Area:
    """What lies between two lines: points (x, low, high)."""

    name: str
    points: Sequence[tuple[float, float, float]]
    style: int = 0


@dataclass(frozen=True, slots=True)
class Marks:
    """Single points (x, y) of one shape: dot, point (a larger dot, for a few), ring, tick, cross, up."""

    name: str
    points: Sequence[tuple[float, float]]
    shape: str = "dot"
    style: int = 0


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the x axis with a letter above its beginning."""

    letter: str
    begin: float
    end: float


def stepped(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points between which a value stays, until it jumps."""
    steps: list[tuple[float, float]] = []
    for x, y in points:
        if steps:
            steps.append((x, steps[-1][1]))
        steps.append((x, y))
    return steps


def xy_chart(
    name: str,
    title: str,
    alt: str,
    x: Axis,
    y: Axis,
    layers: Sequence[Line | Area | Marks],
    *,
    bands: Sequence[Band] = (),
    hints: Sequence[tuple[float, float, str]] = (),
    moments: Sequence[tuple[float, str]] = (),
    height: int = 210,
) -> Chart:
    """A chart of values over x.

    `hints` are texts (begin, end, text) that a pointer over the chart shows, `moments` (x, text) are marked by a
    line across the chart with the text beside it.
    """

    def draw(width: int) -> tuple[Markup, int]:
        ticks = y.ticks(y.low, y.high, max(4, height // 45))
        # At least so wide that charts one below the other have a common time axis.
        left = max(60.0, *(text_width(y.text(tick)) + 14 for tick in ticks))
        entries = [(_sample(layer), layer.name) for layer in layers if layer.name]
        # A single line is what the title says; marks are not.
        named = entries if len(entries) > 1 or any(isinstance(layer, Marks) for layer in layers) else []
        keys, keys_height = legend(named, width, 0)
        # Letters have a row of their own, where no line crosses them.
        top = keys_height + FONT + _TOP + (_LETTERS if bands else 0)
        box = _Box(left, float(top), width - _EDGE, float(top + height - _BOTTOM), x, y)
        parts = [
            keys,
            element("text", y.label, x=0, y=keys_height + FONT - 1, class_="label"),
            *_bands(box, bands),
            *_grid(box, ticks, width),
            *(_layer(box, layer) for layer in layers),
            *(_moment(box, place, *moment) for place, moment in enumerate(sorted(moments))),
            *(_hint(box, *hint) for hint in hints),
            element(
                "text",
                x.label,
                x=width - _EDGE,
                y=box.bottom + 2 * FONT + 12,
                text_anchor="end",
                class_="label",
            ),
        ]
        return joined(parts), int(box.bottom) + _BOTTOM

    return Chart(name, title, alt, draw)


@dataclass(frozen=True, slots=True)
class _Box:
    """The rectangle in which values are drawn."""

    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.x.place(x, self.left, self.right), self.y.place(y, self.bottom, self.top)


def _grid(box: _Box, ticks: Sequence[float], width: int) -> Iterable[Markup]:
    for tick in ticks:
        place = box.y.place(tick, box.bottom, box.top)
        yield element("path", d=f"M{number(box.left)} {number(place)}H{number(box.right)}", class_="grid")
        yield element("text", box.y.text(tick), x=box.left - 6, y=place + 4.5, text_anchor="end")
    across = box.x.ticks(box.x.low, box.x.high, max(2, (width - int(box.left)) // 90))
    for tick in across:
        place = box.x.place(tick, box.left, box.right)
        label = box.x.text(tick)
        half = text_width(label) / 2
        anchor = "end" if place + half > box.right + 12 else "middle"
        yield element("path", d=f"M{number(place)} {number(box.bottom)}v5", class_="axis")
        yield element("text", label, x=place, y=box.bottom + FONT + 6, text_anchor=anchor)
    yield element("path", d=f"M{number(box.left)} {number(box.bottom)}H{number(box.right)}", class_="axis")


def _bands(box: _Box, bands: Sequence[Band]) -> Iterable[Markup]:
    letter = 0.0
    # However many lie over each other, lines and grid stay visible in front of them.
    opacity = min(0.07, 0.15 / max(_most_at_once(bands), 1))
    for band in sorted(bands, key=lambda band: band.begin):
        left, right = (box.x.place(edge, box.left, box.right) for edge in (band.begin, band.end))
        # Scenarios that begin together have their letters side by side.
        letter = max(letter, left)
        needs = BOLD * text_width(band.letter) + 2
        yield element(
            "g",
            element(
                "rect",
                x=left,
                y=box.top,
                width=max(right - left, 1.0),
                height=box.bottom - box.top,
                fill_opacity=f"{opacity:.3f}",
            ),
            element("path", d=f"M{number(left)} {number(box.top)}V{number(box.bottom)}"),
            # What has no room is named in the chart of the scenarios.
            *(
                [element("text", band.letter, x=letter, y=box.top - 4)]
                if letter + needs < _EDGE + box.right
                else ()
            ),
            class_="band",
        )
        letter += needs


def _most_at_once(bands: Sequence[Band]) -> int:
    return max((sum(one.begin <= band.begin < one.end for one in bands) for band in bands), default=0)


def _layer(box: _Box, layer: Line | Area | Marks) -> Markup:
    style = layer.style % STYLES
    if isinstance(layer, Line):
        paths = (path_of(box.at(*point) for point in run) for run in runs_of(layer.points))
        return element("path", d="".join(paths), class_=f"line line{style}")
    if isinstance(layer, Area):
        low = [box.at(x, below) for x, below, _ in layer.points]
        high = [box.at(x, above) for x, _, above in layer.points]
        return element("path", d=path_of([*low, *reversed(high)]) + "z", class_=f"area fill{style}")
    # Marks that would cover each other to the pixel are drawn once: 10,000 runs must not make a page heavy.
    places = sorted({(round(px), round(py)) for px, py in (box.at(*point) for point in layer.points)})
    shape = _SHAPES[layer.shape]
    return element(
        "path",
        d="".join(f"M{px} {py}{shape}" for px, py in places),
        class_=f"mark {layer.shape} line{style}",
    )


def _sample(layer: Line | Area | Marks) -> Markup:
    style = layer.style % STYLES
    if isinstance(layer, Line):
        return element("path", d="M0 5H26", class_=f"line line{style}")
    if isinstance(layer, Area):
        return element("rect", width=26, height=10, class_=f"area fill{style}")
    return element("path", d=f"M13 5{_SHAPES[layer.shape]}", class_=f"mark {layer.shape} line{style}")


def _moment(box: _Box, row: int, x: float, text: str) -> Markup:
    """A line across the chart, and its text on the side where there is space, each in a row of its own."""
    place = box.x.place(x, box.left, box.right)
    needs = BOLD * text_width(text) + 12
    before = place + needs > box.right and place - needs > box.left
    left = place - needs if before else place + 4
    top = box.top + 18 + 20 * row
    return element(
        "g",
        element("path", d=f"M{number(place)} {number(box.top)}V{number(box.bottom)}"),
        element("rect", x=left, y=top, width=needs - 4, height=18, rx=3, class_="plate"),
        element("text", text, x=left + 4, y=top + FONT),
        class_="moment",
    )


def _hint(box: _Box, begin: float, end: float, text: str) -> Markup:
    left, right = (box.x.place(edge, box.left, box.right) for edge in (begin, end))
    return element(
        "rect",
        element("title", text),
        x=left,
        y=box.top,
        width=max(right - left, 0.5),
        height=box.bottom - box.top,
        class_="hint",
    )
