"""Which sources of evidence there are, before a test: a look at each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.evidence import SOURCES
from kfp_perf.evidence.source import SourceFinding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.config import TestConfig
    from kfp_perf.evidence.source import Source

#: A source that takes longer is called missing.
LOOK_SECONDS = 3.0


class Surveyed(NamedTuple):
    """One part of a source, in words, and what was found of it."""

    title: str
    finding: SourceFinding

    def __str__(self) -> str:
        found = self.finding
        if found.found:
            return f"{self.title}, {found.found}"
        return ". ".join(filter(None, (f"no {self.title}: {found.missing}", found.remedy)))


async def survey(config: TestConfig, sources: Sequence[Source] = SOURCES) -> list[Surveyed]:
    """Look at all sources at the same time, for `LOOK_SECONDS` at most; empty where evidence is switched off."""
    if not config.evidence:
        return []
    parts = [(source, part, title) for source in sources for part, title in source.parts(config)]
    findings = await asyncio.gather(*(_look(source, config, part) for source, part, _ in parts))
    return [Surveyed(title, finding) for (_, _, title), finding in zip(parts, findings, strict=True)]


async def _look(source: Source, config: TestConfig, part: str) -> SourceFinding:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await source.look(config, part)
    except TimeoutError:
        return SourceFinding(missing=f"it was not found within {LOOK_SECONDS:g} s")
