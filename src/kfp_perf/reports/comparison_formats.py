"""The formats of a comparison: FORMATS is the table of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.reports.comparison_distributions import read_times
from kfp_perf.reports.comparison_story import comparison_story
from kfp_perf.reports.comparison_words import overall
from kfp_perf.reports.markdown import markdown_of
from kfp_perf.reports.plain_text import plain_text, print_to
from kfp_perf.reports.story_console import parts_of
from kfp_perf.reports.webpage import page_of
from kfp_perf.result.whole_file import indented_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from rich.console import RenderableType

    from kfp_perf.compare import Comparison

SCHEMA_VERSION = 1
#: Sections of the Markdown, and whether they are folded away.
_SECTIONS = {"primary": False, "guards": False, "further": True, "executions": True}


def print_comparison(comparison: Comparison, file: TextIO) -> None:
    """Print it in colours, as wide as the terminal."""
    print_to(file, _parts(comparison))


def draw_console(comparison: Comparison) -> bytes:
    """Plain text, 100 columns wide."""
    return plain_text(_parts(comparison))


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


def _parts(comparison: Comparison) -> RenderableType:
    """What is printed: without the executions one by one, which the other formats list."""
    story = comparison_story(comparison)
    return parts_of(replace(story, sections=[one for one in story.sections if one.id != "executions"]))
