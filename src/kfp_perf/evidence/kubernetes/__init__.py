"""What Kubernetes shows of a test: pods of runs, and KFP's components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.evidence.source import Source, SourceFinding

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from kfp_perf.config import TestConfig
    from kfp_perf.evidence.source import Sink

#: A line a pod must never be left out, and is bounded by the load; all else is 1 MB an hour at most.
_BYTES_AN_HOUR = 64 * 2**20


# What does the work is imported when it is needed: the table of sources must cost nothing.


def _parts(config: TestConfig) -> Sequence[tuple[str, str]]:
    from kfp_perf.evidence.kubernetes import source

    return source.parts(config)


async def _look(config: TestConfig, part: str) -> SourceFinding:
    from kfp_perf.evidence.kubernetes import source

    return await source.look(config, part)


async def _collect(config: TestConfig, sink: Sink, stop: asyncio.Event) -> None:
    from kfp_perf.evidence.kubernetes import source

    await source.collect(config, sink, stop)


KUBERNETES = Source("kubernetes", "Kubernetes", _parts, _look, _collect, _BYTES_AN_HOUR)
