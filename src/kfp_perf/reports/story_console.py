"""A story on a terminal: its verdict, figures and tables; charts are left to the other formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from kfp_perf.reports.story.blocks import Cell, Facts, Flag, Hyperlink, Items, Noted, Prose, Table, Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from kfp_perf.reports.story.blocks import Block, Section, Story

STYLES = {Tone.GOOD: "bold green", Tone.BAD: "bold red", Tone.WARNING: "bold yellow", Tone.PLAIN: ""}


def parts_of(story: Story) -> RenderableType:
    """What is printed of a story."""
    return Group(*_parts(story))


def _parts(story: Story) -> Iterator[RenderableType]:
    verdict = story.verdict
    yield Text()
    yield Text.assemble((verdict.word.upper(), STYLES[verdict.tone]), f"  {story.title}")
    yield Text(verdict.sentence)
    yield from (Text(f"- {reason}") for reason in verdict.reasons)
    yield from (Text(f"! {caveat}", style="yellow") for caveat in verdict.caveats)
    yield Text()
    yield _facts(story.facts)
    for section in story.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[RenderableType]:
    blocks = [shown for block in section.blocks for shown in _block(block)]
    if not blocks:
        return
    yield Text()
    yield Text(section.title, style="bold")
    if section.lead:
        yield Text(section.lead)
    yield from blocks


def _block(block: Block) -> Iterator[RenderableType]:
    match block:
        case Table():
            yield _table(block)
        case Prose():
            yield Text(block.text, style=STYLES[block.tone])
        case Items():
            yield from (Text(f"- {text}", style=STYLES[block.tone]) for text in block.texts)
        case Facts():
            yield _facts(block)
        case _:
            return


def _facts(facts: Facts) -> RenderableType:
    wide = max((len(name) for name, _ in facts.pairs), default=0)
    return Group(*(Text.assemble(f"{name.ljust(wide)}  ", _cell(value)) for name, value in facts.pairs))


def _table(table: Table) -> RenderableType:
    drawn = RichTable(box=None, padding=(0, 1, 0, 0))
    for column in table.columns:
        # Numbers are read in one piece; texts may be folded.
        drawn.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            header_style="dim",
            overflow="fold",
            no_wrap=column.is_number,
        )
    for row in table.rows:
        drawn.add_row(*map(_cell, row))
    return drawn


def _cell(cell: Cell) -> Text:
    match cell:
        case Flag():
            return Text(cell.text, style=STYLES[cell.tone])
        case Hyperlink():
            return Text(cell.text)
        case Noted():
            return Text(f"{cell.text} ({cell.note})" if cell.note else cell.text)
        case str():
            return Text(cell)
        case _:
            return Text(cell.alt)
