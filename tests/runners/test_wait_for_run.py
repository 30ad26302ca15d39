"""`wait_for_run_to_finish(run_id)`, as a user's own runner calls it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fake_kfp import FakeKfp
from played import recorder_for
from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_perf.catalog import PIPELINES
from kfp_perf.client.messages import RunSpec
from kfp_perf.config import TestConfig
from kfp_perf.pipelines.package import read_pipeline
from kfp_perf.result.records import Outcome, RunRecord
from kfp_perf.runners import PipelineRunner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample


class Played:
    """A runner that ran in virtual time."""

    def __init__(self, kind: type[PipelineRunner], *, package: bool = False, **fields: Any) -> None:
        self.records: list[RunRecord] = []
        self.samples: list[Sample] = []
        self.scenario = TestScenario.model_validate(
            {
                "mode": "PIPELINE_RUN",
                "runTime": "60s",
                "pipelineFileName": "hello.yaml",
                "name": "t",
                **fields,
            }
        )
        self.package = read_pipeline(PIPELINES / "hello.yaml") if package else None
        run_virtually(lambda: self._main(kind))

    async def _main(self, kind: type[PipelineRunner]) -> None:
        clock = VirtualClock()
        self.kfp = FakeKfp(clock)
        self.runner = kind(
            self.scenario,
            config=TestConfig.from_environment(),
            client=self.kfp,
            clock=clock,
            recorder=recorder_for(self),
            package=self.package,
            t0=EPOCH,
        )
        await self.runner.prepare()
        self.kfp.record = self.runner.record_sample
        self.runner.t0 = clock.now()
        self.runner.calculate_timing()
        await self.runner.run()
        await self.runner.stop()

    def on_sample(self, sample: Sample) -> None:
        self.samples.append(sample)

    def on_run(self, record: RunRecord) -> None:
        self.records.append(record)

    def measure_from(self, moment: float) -> None:
        pass


class OneOfItsOwn(PipelineRunner):
    """Creates a run without the drive, and waits for it."""

    async def run(self) -> None:
        self.start()
        async with self.alongside(self.observer.run(), close=self.observer.aclose):
            spec = RunSpec(name="mine", experiment_id=self.experiment_id, pipeline_id=self.pipeline_id)
            run = await self.client.create_run(spec)
            self.seen = await self.wait_for_run_to_finish(run.run_id)


class OneOfTheLoad(PipelineRunner):
    """Waits for a run that its load has started."""

    async def run(self) -> None:
        load = asyncio.ensure_future(super().run())
        await self.clock.sleep_until(self.clock.now() + 1.0)
        (tracked, *_) = self._followed
        self.seen = await self.wait_for_run_to_finish(tracked.run_id)
        await load


def test_a_run_that_a_subclass_has_created_is_followed_and_recorded() -> None:
    played = Played(OneOfItsOwn)
    runner = played.runner
    assert isinstance(runner, OneOfItsOwn)
    assert runner.seen.outcome is Outcome.SUCCEEDED
    assert [record.run_id for record in played.records] == [runner.seen.run_id]
    assert runner.progress.in_flight == 0


def test_a_run_of_the_load_is_waited_for_and_recorded_once() -> None:
    played = Played(OneOfTheLoad, numTimes=2)
    runner = played.runner
    assert isinstance(runner, OneOfTheLoad)
    assert runner.seen.outcome is Outcome.SUCCEEDED
    ids = [record.run_id for record in played.records]
    assert len(set(ids)) == len(ids)
    assert runner.seen.run_id in ids


class OneThatHasEnded(PipelineRunner):
    """Waits for a run of its load that has just ended."""

    async def run_once(self, index: int, due: float) -> bool:
        good = await super().run_once(index, due)
        if index == 0:
            (run_id,) = self.client.runs  # type: ignore[attr-defined]
            self.seen = await self.wait_for_run_to_finish(run_id)
        return good


def test_a_run_of_the_load_that_has_just_ended_is_recorded_once() -> None:
    played = Played(OneThatHasEnded, numTimes=1)
    runner = played.runner
    assert isinstance(runner, OneThatHasEnded)
    assert runner.seen.outcome is Outcome.SUCCEEDED
    ids = [record.run_id for record in played.records]
    assert ids.count(runner.seen.run_id) == 1
    assert sum(runner.progress.outcomes.values()) == len(ids)


class TwiceOneOfItsOwn(OneOfItsOwn):
    """Waits for its run a second time."""

    async def wait_for_run_to_finish(self, run_id: str) -> RunRecord:
        first = await super().wait_for_run_to_finish(run_id)
        assert await super().wait_for_run_to_finish(run_id) == first
        return first


def test_a_run_that_is_waited_for_twice_is_recorded_once() -> None:
    played = Played(TwiceOneOfItsOwn)
    assert [record.outcome for record in played.records] == [Outcome.SUCCEEDED]
    assert played.runner.progress.outcomes == {"succeeded": 1}


class GivesUp(OneOfItsOwn):
    """Stops following at once."""

    async def wait_for_run_to_finish(self, run_id: str) -> RunRecord:
        self.give_up()
        return await super().wait_for_run_to_finish(run_id)


def test_a_run_that_is_not_followed_any_more_is_terminated_and_unfinished() -> None:
    played = Played(GivesUp)
    (record,) = played.records
    assert record.outcome is Outcome.UNFINISHED
    assert played.kfp.count("TerminateRun") == 1


def test_the_pipeline_of_the_plan_is_used_and_no_file_is_read() -> None:
    played = Played(OneOfItsOwn, package=True, pipelineFileName="not-there.yaml")
    assert played.kfp.count("UploadPipeline") == 1
