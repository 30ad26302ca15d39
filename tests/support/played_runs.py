"""A scenario of runs, played in virtual time with a journal of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from fake_kfp import FakeKfp
from played import recorder_for
from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_perf.config import TestConfig
from kfp_perf.errors import RunnerError, TargetError
from kfp_perf.metrics.runs import RunMetrics
from kfp_perf.runners import BaseRunner, create_runner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.journal import Journal
    from kfp_perf.result.records import RunRecord, Sample


class Test:
    """A scenario that ran in virtual time, and all that came of it."""

    __test__ = False

    def __init__(self, fields: dict[str, Any], journal: Journal | None = None, **config: Any) -> None:
        self.scenario = TestScenario.model_validate(
            {
                "mode": "PIPELINE_RUN",
                "runTime": "60s",
                "pipelineFileName": "hello.yaml",
                "name": "t",
                **fields,
            }
        )
        self.config = TestConfig.from_environment(**config)
        self.journal = journal
        self.records: list[RunRecord] = []
        self.samples: list[Sample] = []
        self.error: Exception | None = None
        self.ended = 0.0

    def run(
        self,
        server: Callable[[VirtualClock], FakeKfp] = FakeKfp,
        meanwhile: Callable[[Test, BaseRunner], None] = lambda _test, _runner: None,
    ) -> Test:
        async def main() -> None:
            clock = VirtualClock()
            self.kfp = server(clock)
            self.runner = create_runner(
                self.scenario,
                config=self.config,
                client=self.kfp,
                clock=clock,
                journal=self.journal,
                recorder=recorder_for(self),
                t0=EPOCH,
            )
            self.kfp.record = self.runner.record_sample
            await self.runner.prepare()  # type: ignore[misc]
            self.runner.start()
            self.runner.t0 = clock.now()
            self.runner.calculate_timing()
            meanwhile(self, self.runner)
            try:
                await self.runner.run()  # type: ignore[misc]
            except (RunnerError, TargetError) as error:
                self.error = error
            self.ended = clock.now() - self.runner.start_at
            self.told = self.runner.reports()
            await self.runner.stop()  # type: ignore[misc]

        run_virtually(main)
        return self

    def on_sample(self, sample: Sample) -> None:
        self.samples.append(sample)

    def on_run(self, record: RunRecord) -> None:
        self.records.append(record)

    def measure_from(self, moment: float) -> None:
        pass

    def run_metrics(self) -> dict[str, Any]:
        """The figures of the runs."""
        family = RunMetrics()
        for record in self.records:
            family.on_run(record)
        return family.result()

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(record.outcome.value for record in self.records)


def at(seconds: float, what: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, what)
