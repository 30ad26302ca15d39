"""The formats of a comparison: FORMATS is the table of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kfp_perf.compare import ComparisonVerdict
from kfp_perf.reports.comparison_distributions import read_times
from kfp_perf.reports.comparison_story import comparison_story
from kfp_perf.reports.comparison_words import (
    TONES,
    change_of,
    guard_values,
    guard_verdict,
    interval_of,
    overall,
    sentence_of,
    shown_metrics,
    values_of,
    verdict_of,
)
from kfp_perf.reports.markdown import markdown_of
from kfp_perf.reports.plain_text import plain_text, print_to
from kfp_perf.reports.quantities import count_of
from kfp_perf.reports.story.blocks import Tone
from kfp_perf.reports.story_console import STYLES
from kfp_perf.reports.webpage import page_of
from kfp_perf.result.whole_file import indented_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from rich.console import RenderableType

    from kfp_perf.compare import Comparison, MetricComparison

SCHEMA_VERSION = 1
#: Sections of the Markdown, and whether they are folded away.
_SECTIONS = {"primary": False, "guards": False, "further": True, "executions": True}


def print_comparison(comparison: Comparison, file: TextIO) -> None:
    """Print it in colours, as wide as the terminal."""
    print_to(file, Group(*_parts(comparison)))


def draw_console(comparison: Comparison) -> bytes:
    """Plain text, 100 columns wide."""
    return plain_text(Group(*_parts(comparison)))


def draw_markdown(comparison: Comparison) -> bytes:
    """A comment for a pull request."""
    return markdown_of(comparison_story(comparison), _SECTIONS)


def draw_json(comparison: Comparison) -> bytes:
    """The whole `Comparison`, with its `schema_version` and the `verdict` of the primary metrics together."""
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "verdict": overall(comparison),
        **msgspec.to_builtins(comparison),
    }
    return indented_json(document)


def draw_html(comparison: Comparison) -> bytes:
    """A web page with the distributions of runs, which are read from the result folders."""
    times = [
        read_times(name, map(Path, side.executions))
        for name, side in (("Baseline", comparison.baseline), ("New", comparison.new))
    ]
    return page_of(comparison_story(comparison, times))


FORMATS: dict[str, Callable[[Comparison], bytes]] = {
    "console": draw_console,
    "markdown": draw_markdown,
    "json": draw_json,
    "html": draw_html,
}


def _parts(comparison: Comparison) -> Iterator[RenderableType]:
    outcome = overall(comparison)
    yield Text()
    yield Text(str(outcome).upper(), style=STYLES[TONES[outcome]])
    for one in comparison.primary:
        yield Text(sentence_of(one, comparison.within))
    yield Text()
    for name, side in (("Baseline", comparison.baseline), ("New     ", comparison.new)):
        yield Text(f"{name}  {side.name} ({count_of(len(side.executions), 'execution')})")
    yield Text()
    yield _table(comparison)
    if comparison.guards:
        yield Text()
        yield _guards(comparison)
    if comparison.warnings:
        yield Text()
    for warning in comparison.warnings:
        yield Padding(Text(f"! {warning}", style="yellow"), (0, 0))


def _table(comparison: Comparison) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("metric (* primary)", no_wrap=True)
    for title in ("baseline", "new", "change", "interval"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict")
    for one in shown_metrics(comparison):
        table.add_row(*_row(one, comparison.within))
    return table


def _row(metric: MetricComparison, within: float) -> Iterator[Text]:
    yield Text(f"{metric.label}{' *' if metric.primary else ''}")
    yield from map(Text, values_of(metric))
    yield Text(change_of(metric.change))
    yield Text(interval_of(metric))
    if metric.primary:
        yield Text(verdict_of(metric, within), style=STYLES[TONES[metric.verdict]])
    else:
        undecided = metric.verdict is ComparisonVerdict.TOO_LITTLE_DATA
        yield Text("" if undecided else verdict_of(metric, within))


def _guards(comparison: Comparison) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("share", no_wrap=True)
    for title in ("baseline", "new", "points"):
        table.add_column(title, justify="right")
    table.add_column("")
    for one in comparison.guards:
        style = STYLES[Tone.BAD if one.worse else Tone.PLAIN]
        table.add_row(
            one.label,
            *guard_values(one),
            f"{one.change.points * 100:+.1f}",
            Text(guard_verdict(one), style=style),
        )
    return table
