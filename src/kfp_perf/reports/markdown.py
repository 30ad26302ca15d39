"""The report in short, as a comment for a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kfp_perf.reports.story import NONE, story_of
from kfp_perf.reports.story.blocks import (
    Cell,
    Flag,
    Hyperlink,
    Items,
    Noted,
    Prose,
    Section,
    Spark,
    Table,
    Tone,
    major_rows,
    minor_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.reports.story import MakeSection
    from kfp_perf.reports.story.blocks import Story
    from kfp_perf.result.reader import TestResult

_SIGNS = {Tone.GOOD: "✅", Tone.BAD: "❌", Tone.WARNING: "⚠️", Tone.PLAIN: ""}
#: Sections that are drawn, and whether they are folded away.
_SECTIONS = {
    "thresholds": False,
    "scenarios": True,
    "failures": False,
    "keeping-up": False,
    "durations": False,
    "phases": True,
    "api": True,
}
# GitHub takes 65,536 characters.
_MOST_CHARACTERS = 60_000
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#!])")


def draw_markdown(result: TestResult, sections: Mapping[str, MakeSection] = NONE) -> dict[str, bytes]:
    """Verdict, figures, and the tables that a reviewer needs; at most 60,000 characters."""
    return {"report.md": markdown_of(story_of(result, sections), _SECTIONS)}


def markdown_of(story: Story, sections: Mapping[str, bool]) -> bytes:
    """A story as Markdown; of its sections those named, with whether they are folded away."""
    verdict = story.verdict
    lines = [
        f"### {_SIGNS[verdict.tone]} {_escaped(story.title)}: {verdict.word.lower()}",
        "",
        _escaped(verdict.sentence),
        *(f"- {_escaped(reason)}" for reason in verdict.reasons),
        *(f"\n> {_escaped(caveat)}" for caveat in verdict.caveats),
        "",
    ]
    if story.tiles:
        lines += [
            " | ".join(["", *(_escaped(tile.name) for tile in story.tiles), ""]).strip(),
            "|" + "---|" * len(story.tiles),
            " | ".join(["", *(f"**{_escaped(tile.value)}**" for tile in story.tiles), ""]).strip(),
            "",
        ]
    lines += [f"{name}: {_cell(value)}  " for name, value in story.facts.pairs]
    text = "\n".join(lines) + "\n"
    for section in story.sections:
        if section.id in sections:
            drawn = "\n".join(_section(section, folded=sections[section.id]))
            if len(text) + len(drawn) < _MOST_CHARACTERS:
                text += drawn + "\n"
    return text.encode(errors="replace")


def _section(section: Section, *, folded: bool) -> Iterator[str]:
    yield ""
    if folded:
        yield f"<details><summary>{_escaped(section.title)}</summary>"
        yield ""
    else:
        yield f"#### {_escaped(section.title)}"
    yield _escaped(section.lead)
    for block in section.blocks:
        if isinstance(block, Table):
            yield from _tables(block)
        elif isinstance(block, Prose):
            yield f"\n{_SIGNS[block.tone]} {_escaped(block.text)}".rstrip()
        elif isinstance(block, Items):
            yield ""
            yield from (f"- {_escaped(text)}" for text in block.texts)
    if folded:
        yield "\n</details>"


def _tables(table: Table) -> Iterator[str]:
    """The table; its minor rows folded away."""
    if (major := major_rows(table)).rows:
        yield from _table(major)
    if table.minor:
        yield f"\n<details><summary>{_escaped(table.minor_title)}</summary>"
        yield from _table(minor_rows(table), titled=False)
        yield "\n</details>"


def _table(table: Table, *, titled: bool = True) -> Iterator[str]:
    kept = [
        place
        for place in range(len(table.columns))
        if not any(isinstance(row[place], Spark) for row in table.rows)
    ]
    yield ""
    if titled:
        yield f"**{_escaped(table.caption)}**"
        yield ""
    yield "| " + " | ".join(_escaped(table.columns[place].title) for place in kept) + " |"
    yield "|" + "".join("---:|" if table.columns[place].is_number else "---|" for place in kept)
    for place, row in enumerate(table.rows):
        if place in table.groups:
            yield f"| **{_escaped(table.groups[place])}** |" + " |" * (len(kept) - 1)
        yield "| " + " | ".join(_cell(row[column]) for column in kept) + " |"


def _cell(cell: Cell) -> str:
    match cell:
        case Hyperlink(text, url):
            return f"[{_escaped(text)}]({url})"
        case Flag(text, tone):
            return f"{_SIGNS[tone]} {_escaped(text)}"
        case Noted(text, note):
            return f"{_escaped(text)} ({_escaped(note)})"
        case Spark():
            return ""
        case _:
            return _escaped(cell)


def _escaped(text: str) -> str:
    """Text that stays text: no markup, no tags, and no mention of anybody by a name that begins with @."""
    flat = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", flat).replace("@", "@\u200b")
