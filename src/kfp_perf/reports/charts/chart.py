"""What a chart is, and the SVG around it."""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from kfp_perf.reports.charts.markup import element, joined, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WIDE = 960
NARROW = 380
FONT = 13
#: How many series differ by dash and hatching alone.
STYLES = 8
#: How much wider letters are where they are bold.
BOLD = 1.15
_EDGE = 10


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: `draw(width)` returns its inner SVG and its height in pixels.

    `name` is a word for files, `title` a line above it, `alt` a description in a sentence or two.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[int], tuple[Markup, int]]

    def svg(self, width: int, class_: str = "") -> Markup:
        """The SVG to be put into a page that has the style sheet and the hatchings."""
        inner, height = self.draw(width)
        return element(
            "svg",
            inner,
            class_=f"chart {class_}".rstrip(),
            viewBox=f"0 0 {width} {height}",
            role="img",
            aria_label=f"{self.title}. {self.alt}",
        )

    def standalone(self, width: int = WIDE) -> str:
        """A whole SVG file, in light colours on white."""
        inner, height = self.draw(width)
        head = 30
        return str(
            element(
                "svg",
                element("title", self.title),
                element("desc", self.alt),
                element("style", Markup(_flattened(style_sheet()))),  # noqa: S704  our own file
                hatchings(),
                element("rect", width=width + 2 * _EDGE, height=height + head, fill="#fff"),
                element("text", self.title, x=_EDGE, y=20, class_="head"),
                element("g", inner, transform=f"translate({_EDGE} {head})"),
                xmlns="http://www.w3.org/2000/svg",
                class_="chart",
                width=width + 2 * _EDGE,
                height=height + head,
                viewBox=f"0 0 {width + 2 * _EDGE} {height + head}",
            )
        )


@cache
def style_sheet() -> str:
    """The style of charts, in which colours are variables: light, and dark where the reader's screen is."""
    return files(__package__).joinpath("charts.css").read_text("utf-8")


def _flattened(css: str) -> str:
    """The light colours in place of the variables, for programs that know none."""
    variables = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", css.split("@media")[0]))
    rules = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^}]*\})*[^}]*\}", "", css)
    rules = re.sub(r":root\s*\{[^}]*\}", "", rules)
    return re.sub(r"var\((--[\w-]+)\)", lambda found: variables.get(found[1], "#000"), rules)


def hatchings() -> Markup:
    """The patterns `url(#hatch0)` and so on: hatchings that differ in black and white too."""
    lines = (
        "",
        "M-2 2L2-2M0 8L8 0M6 10L10 6",
        "M0 4H8",
        "M4 0V8",
        "M-2 6L2 10M0 0L8 8M6-2L10 2",
        "M0 4H8M4 0V8",
        "M2 2h.01M6 6h.01",
        "M0 8L8 0M0 0L8 8",
    )
    patterns = [
        element(
            "pattern",
            element("rect", width=8, height=8, class_=f"fill{place}"),
            *([element("path", d=path, class_="hatch")] if path else []),
            id=f"hatch{place}",
            width=8,
            height=8,
            patternUnits="userSpaceOnUse",
        )
        for place, path in enumerate(lines)
    ]
    return element("defs", *patterns)


def text_width(text: str) -> float:
    """How wide a text is drawn at most: by the letters of DejaVu Sans, which are wider than those of most fonts."""
    return FONT * sum(map(_advance, text))


@cache
def _advance(letter: str) -> float:
    """The width of a letter as a share of the font size."""
    for letters, share in _ADVANCES.items():
        if letter in letters:
            return share
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.05
    return 0.73 if letter.isupper() else 0.64


_ADVANCES = {
    "ijl'IJ ": 0.32,
    "ft.,:;|!()[]/-": 0.42,
    "r–`": 0.5,
    "kszcvxy": 0.6,
    "GOQDHNU&": 0.79,
    "#+=<>~^×w": 0.85,
    "mMW@%…—→": 1.0,
}


def clipped(text: str, pixels: float) -> str:
    """The text, cut to fit, with an ellipsis."""
    if text_width(text) <= pixels:
        return text
    room = pixels - text_width("…")
    widths = itertools.accumulate(map(text_width, text))
    return f"{text[: max(1, sum(width <= room for width in widths))]}…"


def path_of(points: Iterable[tuple[float, float]]) -> str:
    """The path through points."""
    words = [f"{number(x)} {number(y)}" for x, y in points]
    if not words:
        return ""
    if len(words) == 1:
        # A single point has no length to be seen by, so it is drawn as a small ring.
        return f"M{words[0]}m-1.5 0a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0"
    return f"M{words[0]}L{' '.join(words[1:])}"


def legend(entries: Sequence[tuple[Markup, str]], width: int, left: float) -> tuple[Markup, int]:
    """Samples and names in rows; returns the height they need. A sample is drawn in a box of 26 by 10 pixels."""
    drawn: list[Markup] = []
    x, y = left, 0
    for sample, name in entries:
        shown = clipped(name, width - left - 40)
        needs = 34 + text_width(shown) + 10
        if x > left and x + needs > width:
            x, y = left, y + 20
        drawn.append(
            element(
                "g",
                sample,
                element("text", shown, x=33, y=9.5),
                transform=f"translate({number(x)} {y + 4})",
            )
        )
        x += needs
    return joined(drawn), (y + 24 if entries else 0)


def runs_of(values: Iterable[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Points cut where a value is missing."""
    grouped = itertools.groupby(values, key=lambda point: point[1] is None)
    return [[(x, y) for x, y in group if y is not None] for missing, group in grouped if not missing]
