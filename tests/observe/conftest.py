from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fake_kfp import FakeKfp
from virtual_time import VirtualClock, run_virtually

from kfp_perf.client.messages import RunSpec
from kfp_perf.errors import ApiError
from kfp_perf.observe import Observer, TrackedRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kfp_perf.result.records import RunRecord, Sample


class World:
    """A fake server, an observer of it, and the calls that a runner would make."""

    def __init__(self, given: dict[str, Any], **fake: Any) -> None:
        self.clock = VirtualClock()
        self.kfp = FakeKfp(self.clock, **fake)
        self.records: list[RunRecord] = []
        self.written = asyncio.Event()
        self.observer = Observer(
            self.kfp, self.clock, experiment_id="experiment-1", on_record=self._record, **given
        )

    def _record(self, record: RunRecord) -> None:
        self.records.append(record)
        self.written.set()

    async def start(
        self, name: str = "run", *, warmup: bool = False, **changes: Any
    ) -> asyncio.Future[TrackedRun]:
        """Create a run and have it watched; `changes` are made to the fake's run."""
        tracked = TrackedRun(scenario="s", name=name, due=self.clock.now(), warmup=warmup)
        samples: list[Sample] = []
        try:
            run = await self.kfp.create_run(
                RunSpec(name=name, experiment_id="experiment-1"), due=tracked.due, on_sample=samples.append
            )
        except ApiError as error:
            tracked.error = str(error)
        else:
            tracked.run_id, tracked.created_at = run.run_id, run.created_at
            for field, value in changes.items():
                setattr(self.kfp.runs[run.run_id], field, value)
        sample = samples[-1]
        tracked.sent, tracked.ended, tracked.attempts = sample.sent, sample.ended, len(sample.attempts)
        return self.observer.watch(tracked)


@pytest.fixture
def observe() -> Callable[..., Any]:
    """Run a scene, in virtual time, in a world of its own."""

    def run(
        scene: Callable[[World], Awaitable[Any]], observer: dict[str, Any] | None = None, **fake: Any
    ) -> Any:
        async def main() -> Any:
            world = World(observer or {}, **fake)
            observing = asyncio.ensure_future(world.observer.run())
            playing = asyncio.ensure_future(scene(world))
            await asyncio.wait({observing, playing}, return_when=asyncio.FIRST_COMPLETED)
            await world.observer.aclose()
            await observing
            return await playing

        return run_virtually(main)

    return run
