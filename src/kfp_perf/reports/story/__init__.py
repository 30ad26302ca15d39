"""The content of a report: the verdict, then questions and their answers. SECTIONS is the table of them.

HTML, Markdown and pictures are drawn from this content, so that they agree.
"""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING

from kfp_perf.reports.story.api import operations
from kfp_perf.reports.story.blocks import Prose, Section, Story, Tone
from kfp_perf.reports.story.components import components
from kfp_perf.reports.story.conditions import cleanup, conditions
from kfp_perf.reports.story.course import course
from kfp_perf.reports.story.durations import durations
from kfp_perf.reports.story.failures import failures
from kfp_perf.reports.story.generator import generator
from kfp_perf.reports.story.keeping_up import server_keeping_up
from kfp_perf.reports.story.overview import facts_of, scenarios, tiles_of
from kfp_perf.reports.story.own_metrics import own_metrics
from kfp_perf.reports.story.phases import phases
from kfp_perf.reports.story.pods import pods
from kfp_perf.reports.story.report_data import read_material
from kfp_perf.reports.story.schedules import schedules
from kfp_perf.reports.story.slowest import slowest
from kfp_perf.reports.story.thresholds import thresholds
from kfp_perf.reports.story.verdict import verdict_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kfp_perf.reports.story.report_data import Material
    from kfp_perf.result.reader import TestResult

    MakeSection = Callable[[Material], Section | None]

log = logging.getLogger(__name__)

#: No sections of the user's own.
NONE: Mapping[str, MakeSection] = MappingProxyType({})

#: Each section, in order; None where the test has nothing for it.
SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    thresholds,
    scenarios,
    failures,
    server_keeping_up,
    durations,
    phases,
    pods,
    course,
    slowest,
    operations,
    components,
    schedules,
    own_metrics,
    generator,
    cleanup,
    conditions,
)


def story_of(result: TestResult, own: Mapping[str, MakeSection] = NONE) -> Story:
    """Return the content of the report on a result. What the result does not hold is left out, and named.

    `own` are the user's sections by name; they are at the end, and in place of one that fails is its error.
    """
    material = read_material(result)
    return Story(
        title=str(material.document["name"]),
        verdict=verdict_of(material.document, material.missing),
        facts=facts_of(material),
        tiles=tiles_of(material),
        sections=[
            *(section for make in SECTIONS if (section := make(material)) is not None),
            *_own_sections(own, material),
        ],
    )


def _own_sections(own: Mapping[str, MakeSection], material: Material) -> Iterator[Section]:
    for name, make in own.items():
        try:
            section = make(material)
            if not isinstance(section, Section | None):
                raise TypeError(f"it returned {type(section).__name__}, not a Section")
        except Exception as error:
            log.exception("The section %s of the report failed", name)
            why = f"{type(error).__name__}: {error}"
            section = Section(name, name, "", [Prose(f"This section failed: {why}", Tone.WARNING)])
        if section is not None:
            yield section
