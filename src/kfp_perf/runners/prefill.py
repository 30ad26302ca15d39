"""Rows that a scenario needs on the server: created before the common start, journaled, counted separately."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kfp_perf.catalog import PIPELINES
from kfp_perf.client.messages import RunSpec
from kfp_perf.errors import ApiError, RunnerError
from kfp_perf.observe import Observer, TrackedRun
from kfp_perf.pipelines.package import read_pipeline
from kfp_perf.result.journal import ObjectKind
from kfp_perf.result.records import Purpose, Sample
from kfp_perf.runners.reports import PrefillReport

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Experiment, Pipeline
    from kfp_perf.pacing import Clock, StopSignal
    from kfp_perf.scenario.model import Prefill

Created = TypeVar("Created")

PARALLEL = 8
"""How many rows are created at a time: the API server creates only about five runs a second."""

FAILURES_IN_A_ROW = 10
"""The number of failures that ends the preparation: a test of a smaller database would be of no use."""

PATIENCE_SECONDS = 120.0
PATIENCE_SECONDS_PER_RUN = 1.0
"""How long the runs are waited for before the test starts without their end, at the rate of a slow server."""

PIPELINE = "hello.yaml"


class PrefillingRunner(Protocol):
    """The interface of the runner that a prefill is for: that of a `JournaledRunner`."""

    name: str
    prefix: str
    namespace: str
    clock: Clock
    stop_signal: StopSignal
    client: KfpClient
    log: logging.Logger

    def making(
        self, kind: ObjectKind, name: str, *, parent: str = ""
    ) -> AbstractContextManager[Callable[[str], None]]:
        """Enclose the call that creates an object; see `JournaledRunner`."""
        ...

    async def create_or_adopt(
        self,
        create: Callable[[], Awaitable[Created]],
        find: Callable[[], Awaitable[Created | None]],
        *,
        repeats: int | None = None,
    ) -> Created:
        """Create an object of a unique name, or find it; see `JournaledRunner`."""
        ...

    async def create_experiment(self, client: KfpClient, name: str) -> Experiment:
        """Create an experiment of a unique name; see `JournaledRunner`."""
        ...

    async def create_pipeline(self, client: KfpClient, name: str, content: bytes) -> Pipeline:
        """Upload a pipeline under a unique name; see `JournaledRunner`."""
        ...


async def prefill(runner: PrefillingRunner, wanted: Prefill) -> PrefillReport:
    """Create the rows, wait until the runs among them have ended, and return the report.

    Pipelines, versions and runs are of the smallest built-in pipeline. Versions and runs are spread evenly over
    the pipelines and experiments of the prefill; where it has none, one is created to hold them. Ends early
    when the runner is to stop. Raises `RunnerError` after repeated refusals.
    """
    return await _Prefill(runner).make(wanted)


class _Prefill:
    """A prefill under way."""

    def __init__(self, runner: PrefillingRunner) -> None:
        self.runner = runner
        self.client = runner.client.for_purpose(Purpose.SETUP)
        self.content = read_pipeline(PIPELINES / PIPELINE).content(None)
        self.report = PrefillReport()
        self.experiments: list[str] = []
        self.pipelines: list[str] = []
        self.runs: list[TrackedRun] = []

    async def make(self, wanted: Prefill) -> PrefillReport:
        began = self.runner.clock.now()
        experiments = wanted.experiments or int(wanted.runs > 0)
        pipelines = wanted.pipelines or int(wanted.runs + wanted.versions > 0)
        await self._many("experiments", experiments, self._experiment)
        await self._many("pipelines", pipelines, self._pipeline)
        await self._many("versions", wanted.versions, self._version)
        await self._many("runs", wanted.runs, self._run)
        await self._wait_for_runs()
        self.report.seconds = self.runner.clock.now() - began
        self.runner.log.info("%s: made beforehand: %s", self.runner.name, self.report.format())
        return self.report

    async def _many(self, kind: str, count: int, make: Callable[[int], Awaitable[None]]) -> None:
        """Create `count` rows of a kind, several at a time."""
        numbers = iter(range(count))
        made = failed = in_a_row = 0
        last: ApiError | None = None

        async def work() -> None:
            nonlocal made, failed, in_a_row, last
            for number in numbers:
                if self.runner.stop_signal.is_set() or in_a_row >= FAILURES_IN_A_ROW:
                    return
                try:
                    await make(number)
                except ApiError as error:
                    last = error
                    failed += 1
                    in_a_row += 1
                else:
                    made += 1
                    in_a_row = 0

        await asyncio.gather(*(work() for _ in range(min(PARALLEL, count))))
        setattr(self.report, kind, made)
        self.report.failed += failed
        if last is not None and (not made or in_a_row >= FAILURES_IN_A_ROW):
            raise RunnerError(f"The {kind} of the prefill could not be made: {last}") from last

    def _name(self, number: int) -> str:
        return f"{self.runner.prefix}-prefill-{number}"

    async def _experiment(self, number: int) -> None:
        experiment = await self.runner.create_experiment(self.client, self._name(number))
        self.experiments.append(experiment.experiment_id)

    async def _pipeline(self, number: int) -> None:
        pipeline = await self.runner.create_pipeline(self.client, self._name(number), self.content)
        self.pipelines.append(pipeline.pipeline_id)

    async def _version(self, number: int) -> None:
        pipeline_id = self.pipelines[number % len(self.pipelines)]
        # Not journaled: versions go with their pipeline.
        name = f"{self._name(number)}-version"
        await self.client.upload_pipeline_version(self.content, pipeline_id=pipeline_id, name=name)

    async def _run(self, number: int) -> None:
        tracked = TrackedRun(scenario=self.runner.name, name=self._name(number), due=self.runner.clock.now())
        experiment_id = self.experiments[number % len(self.experiments)]
        pipeline_id = self.pipelines[number % len(self.pipelines)]
        spec = RunSpec(name=tracked.name, experiment_id=experiment_id, pipeline_id=pipeline_id)
        samples: list[Sample] = []
        with self.runner.making(ObjectKind.RUN, tracked.name, parent=experiment_id) as made:
            run = await self.runner.create_or_adopt(
                lambda: self.client.create_run(spec, on_sample=samples.append),
                lambda: self.client.find_run(tracked.name, experiment_id=experiment_id),
                repeats=0,  # the server allows several runs of a name
            )
            made(run.run_id)
        tracked.run_id, tracked.created_at = run.run_id, run.created_at
        tracked.sent, tracked.ended = samples[-1].sent, samples[-1].ended
        self.runs.append(tracked)

    async def _wait_for_runs(self) -> None:
        """Wait until the runs have ended, so that they do not disturb the measurement."""
        if not self.runs:
            return
        clock, stop = self.runner.clock, self.runner.stop_signal
        observer = Observer(self.client, clock, namespace=self.runner.namespace)
        observing = asyncio.ensure_future(observer.run())
        ended = asyncio.gather(*map(observer.watch, self.runs), return_exceptions=True)
        patience = PATIENCE_SECONDS + PATIENCE_SECONDS_PER_RUN * len(self.runs)
        pausing = asyncio.ensure_future(clock.sleep_until(clock.now() + patience, stop))
        waits: set[asyncio.Future[Any]] = {ended, pausing, observing}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self.report.unfinished_runs = observer.in_flight()
        pausing.cancel()
        await observer.aclose()
        await asyncio.gather(ended, observing)
