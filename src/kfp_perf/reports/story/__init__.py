"""The story that a report tells: the verdict, then questions and their answers. SECTIONS is the table of them.

Whoever writes a report, in HTML or Markdown, tells this story, so that all tell the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.reports.story.api import operations
from kfp_perf.reports.story.blocks import Story
from kfp_perf.reports.story.conditions import cleanup, conditions
from kfp_perf.reports.story.course import course
from kfp_perf.reports.story.durations import durations
from kfp_perf.reports.story.failures import failures
from kfp_perf.reports.story.generator import generator
from kfp_perf.reports.story.keeping_up import server_keeping_up
from kfp_perf.reports.story.overview import facts_of, scenarios, tiles_of
from kfp_perf.reports.story.phases import phases
from kfp_perf.reports.story.report_data import read_material
from kfp_perf.reports.story.schedules import schedules
from kfp_perf.reports.story.slowest import slowest
from kfp_perf.reports.story.thresholds import thresholds
from kfp_perf.reports.story.verdict import verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.reports.story.blocks import Section
    from kfp_perf.reports.story.report_data import Material
    from kfp_perf.result.reader import TestResult

#: Each section, in order; it returns None where the test has nothing to tell of it.
SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    thresholds,
    scenarios,
    failures,
    server_keeping_up,
    durations,
    phases,
    course,
    slowest,
    operations,
    schedules,
    generator,
    cleanup,
    conditions,
)


def tell(result: TestResult) -> Story:
    """Make the story of a result. What the result does not hold is left out, and said."""
    material = read_material(result)
    return Story(
        title=str(material.document["name"]),
        verdict=verdict_of(material.document, material.missing),
        facts=facts_of(material),
        tiles=tiles_of(material),
        sections=[section for make in SECTIONS if (section := make(material)) is not None],
    )
