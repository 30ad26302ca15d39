"""Every chart of the report as a file of its own, in light colours on white."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.reports import needs
from kfp_perf.reports.story import NONE, story_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.reports.story import MakeSection
    from kfp_perf.result.reader import TestResult


def draw_svg(result: TestResult, sections: Mapping[str, MakeSection] = NONE) -> dict[str, bytes]:
    """A file a chart, complete in itself."""
    return {
        f"{chart.name}.svg": chart.standalone().encode(errors="replace")
        for chart in story_of(result, sections).charts()
    }


def draw_png(result: TestResult, sections: Mapping[str, MakeSection] = NONE) -> dict[str, bytes]:
    """A picture a chart, with two pixels for each of the drawing's. Raises `InputError` without vl-convert."""
    try:
        from vl_convert import svg_to_png
    except ImportError:
        raise needs("vl-convert-python", "images") from None
    charts = story_of(result, sections).charts()
    return {f"{chart.name}.png": svg_to_png(chart.standalone(), scale=2) for chart in charts}
