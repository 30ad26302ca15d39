"""A story on a terminal: its verdict, figures and tables; charts are left to the other formats."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from kfp_perf.reports.story.blocks import (
    Cell,
    Facts,
    Flag,
    Hyperlink,
    Items,
    Noted,
    Prose,
    Table,
    Tone,
    major_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult

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
    blocks = [shown for block in section.blocks for shown in parts_of_block(block)]
    if not blocks:
        return
    yield Text()
    yield Text(section.title, style="bold")
    if section.lead:
        yield Text(section.lead)
    yield from blocks


def parts_of_block(block: Block) -> Iterator[RenderableType]:
    """What is printed of a block; nothing of charts."""
    match block:
        case Table():
            yield from _table(block)
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
    return Group(*(_fact(name.ljust(wide), _cell(value)) for name, value in facts.pairs))


def _fact(name: str, value: Text) -> Text:
    """A line; a value of one word, such as a path, stays in one piece, to be copied."""
    line = Text.assemble(f"{name}  ", value)
    if " " not in value.plain:
        line.no_wrap, line.overflow = True, "ignore"
    return line


def _table(table: Table) -> Iterator[RenderableType]:
    """The rows that are not minor, and what the others are."""
    if (major := major_rows(table)).rows:
        yield _FittedTable(major)
    if table.minor:
        yield Text(f"{table.minor_title}: see the page (--format html)", style="dim")


@dataclass(frozen=True, slots=True)
class _FittedTable:
    """A table as wide as the terminal at most: what does not fit is folded, and no letter is lost."""

    table: Table

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        drawn = RichTable(box=None, padding=(0, 1, 0, 0))
        widths = _widths(self.table, options.max_width - len(self.table.columns))
        for column, width in zip(self.table.columns, widths, strict=True):
            justify: JustifyMethod = "right" if column.is_number else "left"
            drawn.add_column(column.title, justify=justify, header_style="dim", overflow="fold", width=width)
        for row in self.table.rows:
            drawn.add_row(*map(_folded, map(_cell, row), widths))
        yield drawn


def _widths(table: Table, available: int) -> list[int]:
    """The width of each column: of its widest cell, or less where they do not fit.

    Titles and texts are folded between words first, then in names such as `api.CreateRun.latency`; numbers stay
    whole as long as that is enough.
    """
    widths: list[int] = []
    by_word, by_part = [], []
    for place, column in enumerate(table.columns):
        texts = [_cell(row[place]).plain for row in table.rows]
        widths.append(max(map(cell_len, [column.title, *texts])))
        numbers, words = (texts, ()) if column.is_number else ((), " ".join(texts).split())
        whole = [*column.title.split(), *numbers]
        by_word.append(_widest([*whole, *words]))
        by_part.append(_widest([*whole, *(part for word in words for part in _PARTS.findall(word))]))
    for limits in (by_word, by_part, [1] * len(widths)):
        while sum(widths) > available and any(map(operator.gt, widths, limits)):
            _, widest = max((width, place) for place, width in enumerate(widths) if width > limits[place])
            widths[widest] -= 1
    return widths


#: What may stand at the end of a line: a word, or a part of a name such as `api.CreateRun.latency`.
_PARTS = re.compile(r"[^\s./_-]*(?:[\s./_-]+|$)")


def _widest(pieces: Iterable[str]) -> int:
    return max(map(cell_len, pieces), default=1)


def _folded(text: Text, width: int) -> Text:
    """The text with line breaks where a name would be cut in the middle of a part."""
    if all(cell_len(word) <= width for word in text.plain.split()):
        return text
    lines = [""]
    for part in _PARTS.findall(text.plain):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return Text("\n".join(line.rstrip() for line in lines), style=text.style)


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
