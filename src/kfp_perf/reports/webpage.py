"""The report as one page of HTML: no script, nothing from outside, readable on a screen, a phone and paper."""

from __future__ import annotations

import re
from functools import singledispatch
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from kfp_perf._version import __version__
from kfp_perf.reports.charts.chart import NARROW, WIDE, hatchings, style_sheet
from kfp_perf.reports.charts.markup import element, joined
from kfp_perf.reports.charts.spark import sparkline
from kfp_perf.reports.story import NONE, story_of
from kfp_perf.reports.story.blocks import (
    Block,
    Cell,
    Facts,
    Figure,
    Flag,
    Hyperlink,
    Items,
    Noted,
    Prose,
    Section,
    Spark,
    Story,
    Table,
    Tone,
    Verbatim,
    VerdictBlock,
    major_rows,
    minor_rows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kfp_perf.reports.story import MakeSection
    from kfp_perf.reports.story.blocks import Tile
    from kfp_perf.result.reader import TestResult

# Whatever text is in the page, the browser runs no script and requests nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
#: From how many characters on the value of a tile is drawn smaller.
_LONG = 9
#: The space between a number and its unit, where no line may end.
_UNIT = re.compile(r"(?<=\d) (?=(?:%|us|ms|s|min|h)(?!\w))")
_SIGNS = {Tone.GOOD: "✓", Tone.BAD: "✗", Tone.WARNING: "!", Tone.PLAIN: ""}


def draw_webpage(result: TestResult, sections: Mapping[str, MakeSection] = NONE) -> dict[str, bytes]:
    """The page for a result."""
    return {"report.html": page_of(story_of(result, sections))}


def page_of(story: Story) -> bytes:
    """The page for a story."""
    text = page(f"{story.title}: {story.verdict.word.lower()} – kfp-perf", body_of(story))
    # A name in JSON may hold half of a surrogate pair, which no file can.
    return text.encode(errors="replace")


def page(title: str, body: Markup, script: Markup | None = None, policy: str = _POLICY) -> str:
    """A whole page with the style of reports around a body."""
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", title),
        element("style", Markup(style_sheet() + style)),  # noqa: S704  our own files
    ]
    defs = element("svg", hatchings(), class_="chart defs", width=0, height=0, aria_hidden="true")
    whole = element("html", element("head", *head), element("body", defs, body, script or ""), lang="en")
    return f"<!doctype html>\n{whole}\n"


def body_of(story: Story) -> Markup:
    """The report itself, without the page around it."""
    links = [element("li", element("a", section.title, href=f"#{section.id}")) for section in story.sections]
    return joined(
        [
            element(
                "header",
                element("p", "kfp-perf report", class_="kind"),
                element("h1", story.title),
                _verdict(story.verdict),
                block_of(story.facts),
            ),
            element(
                "main",
                *([tiles(story.tiles)] if story.tiles else []),
                element("nav", element("ol", *links), aria_label="Contents"),
                *(_section(section) for section in story.sections),
            ),
            element("footer", element("p", f"Drawn by kfp-perf {__version__}.")),
        ]
    )


def _verdict(verdict: VerdictBlock) -> Markup:
    lines = [element("p", element("strong", f"{_SIGNS[verdict.tone]} {verdict.word}"), " ", verdict.sentence)]
    if verdict.reasons:
        lines.append(element("ul", *(element("li", reason) for reason in verdict.reasons)))
    lines += [element("p", caveat, class_="caveat") for caveat in verdict.caveats]
    return element("div", *lines, class_=f"verdict {verdict.tone}")


def tiles(shown: Sequence[Tile]) -> Markup:
    """Figures side by side."""
    return element(
        "dl",
        *(
            element(
                "div",
                element("dt", tile.name),
                element("dd", tile.value, class_="value long" if len(tile.value) > _LONG else "value"),
                *([element("dd", _UNIT.sub("\u00a0", tile.detail))] if tile.detail else []),
            )
            for tile in shown
        ),
        class_="tiles",
    )


def _section(section: Section) -> Markup:
    return element(
        "section",
        element("h2", section.title, id=section.id),
        *([element("p", section.lead, class_="lead")] if section.lead else []),
        *(block_of(block) for block in section.blocks),
        aria_labelledby=section.id,
    )


@singledispatch
def block_of(block: Block) -> Markup:
    """A block as HTML."""
    raise TypeError(block)


@block_of.register
def _(block: Figure) -> Markup:
    note = [element("p", block.note, class_="note")] if block.note else []
    return element(
        "figure",
        element("figcaption", block.chart.title),
        block.chart.svg(WIDE, "wide"),
        block.chart.svg(NARROW, "narrow"),
        *note,
    )


@block_of.register
def _(block: Table) -> Markup:
    if not block.minor:
        return _table(block)
    major = major_rows(block)
    folded = element(
        "details", element("summary", block.minor_title), _table(minor_rows(block), titled=False)
    )
    return joined([*([_table(major)] if major.rows else []), folded])


def _table(block: Table, *, titled: bool = True) -> Markup:
    aligned = ["number" if column.is_number else None for column in block.columns]
    head = [
        element("th", column.title, scope="col", class_=side)
        for column, side in zip(block.columns, aligned, strict=True)
    ]
    body: list[Markup] = []
    for place, row in enumerate(block.rows):
        if place in block.groups:
            title = element("th", block.groups[place], scope="rowgroup", colspan=len(block.columns))
            body.append(element("tr", title, class_="group"))
        cells = [
            element("th", cell_of(row[0]), scope="row"),
            *(
                element("td", cell_of(cell), class_=side, data_label=column.title)
                for cell, column, side in zip(row[1:], block.columns[1:], aligned[1:], strict=True)
            ),
        ]
        body.append(element("tr", *cells))
    return element(
        "div",
        element(
            "table",
            *([element("caption", element("span", block.caption))] if titled else []),
            element("thead", element("tr", *head)),
            element("tbody", *body),
        ),
        class_="table",
        tabindex=0,
        role="region",
        aria_label=block.caption,
    )


@block_of.register
def _(block: Prose) -> Markup:
    return element(
        "p", *_signed(block.text, block.tone), class_=None if block.tone is Tone.PLAIN else block.tone
    )


@block_of.register
def _(block: Items) -> Markup:
    return element(
        "ul",
        *(element("li", *_signed(text, block.tone)) for text in block.texts),
        class_=f"items {block.tone}",
    )


@block_of.register
def _(block: Facts) -> Markup:
    pairs = [
        element("div", element("dt", name), element("dd", cell_of(value))) for name, value in block.pairs
    ]
    return element("dl", *pairs, class_="facts")


@block_of.register
def _(block: Verbatim) -> Markup:
    return element("details", element("summary", block.title), element("pre", block.text, tabindex=0))


def cell_of(cell: Cell) -> Markup | str:
    """What stands in a cell."""
    match cell:
        case Hyperlink(text, url):
            return element("a", text, href=url)
        case Flag(text, tone):
            return element("span", *_signed(text, tone), class_=tone)
        case Noted(text, note):
            return joined([element("span", text), element("small", note)])
        case Spark(values, alt):
            return sparkline(values, alt)
        case _:
            return cell


def _signed(text: str, tone: Tone) -> list[object]:
    sign = _SIGNS[tone]
    return [element("span", sign, class_="sign"), " ", text] if sign else [text]
