"""What a report is made of, whatever it is written in: sections of figures, tables and words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from kfp_perf.reports.charts import Chart


class Tone(StrEnum):
    """How something is to be taken; each is drawn with a sign of its own as well as a colour."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Hyperlink:
    """A text that leads somewhere."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A text with a tone."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Spark:
    """A line the size of a word, and what it shows in words."""

    values: Sequence[float | None]
    alt: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A text with a smaller one below."""

    text: str
    note: str


Cell = str | Hyperlink | Flag | Noted | Spark


def count_cell(number: int, tone: Tone) -> Cell:
    """A number; with a tone unless it is 0."""
    return Flag(f"{number:,}", tone) if number else "0"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; numbers are aligned to the right."""

    title: str
    is_number: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers; the first cell of a row names it. `groups`: the row from which a title applies.

    `minor`: the places of rows that are folded away, and left out on a terminal; `minor_title` says what they are,
    such as "12 default thresholds, all kept".
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    groups: Mapping[int, str] = field(default_factory=dict)
    minor: Collection[int] = ()
    minor_title: str = ""


def major_rows(table: Table) -> Table:
    """The table without its minor rows."""
    return _with_rows(table, [place for place in range(len(table.rows)) if place not in table.minor])


def minor_rows(table: Table) -> Table:
    """A table of the minor rows alone, whose title says what they are."""
    only = _with_rows(table, [place for place in range(len(table.rows)) if place in table.minor])
    return replace(only, caption=table.minor_title)


def _with_rows(table: Table, places: Sequence[int]) -> Table:
    groups = {places.index(place): title for place, title in table.groups.items() if place in places}
    return replace(table, rows=[table.rows[place] for place in places], groups=groups, minor=())


def without_zeros(table: Table, *titles: str) -> Table:
    """The table without those of the columns that say nothing: zeros, dashes or nothing in every row."""
    kept = [
        place
        for place, column in enumerate(table.columns)
        if column.title not in titles or any(row[place] not in {"0", "0 %", "–", ""} for row in table.rows)
    ]
    return replace(
        table,
        columns=[table.columns[place] for place in kept],
        rows=[[row[place] for place in kept] for row in table.rows],
    )


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, and what is to be known to read it."""

    chart: Chart
    note: str = ""


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    texts: Sequence[str]
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they are."""

    pairs: Sequence[tuple[str, Cell]]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Text as it was given, folded away where that can be."""

    title: str
    text: str


Block = Table | Figure | Prose | Items | Facts | Verbatim


@dataclass(frozen=True, slots=True)
class Section:
    """One question and its answer; `lead` is the answer in a sentence."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class VerdictBlock:
    """How the test came out: one word, and why in a sentence; what else bears on it."""

    word: str
    sentence: str
    tone: Tone
    reasons: Sequence[str] = ()
    caveats: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure to be seen first: its value, what it is, and what stands behind it."""

    value: str
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A whole report."""

    title: str
    verdict: VerdictBlock
    facts: Facts
    tiles: Sequence[Tile]
    sections: Sequence[Section]

    def charts(self) -> list[Chart]:
        """All charts, in order."""
        return [
            block.chart for section in self.sections for block in section.blocks if isinstance(block, Figure)
        ]
