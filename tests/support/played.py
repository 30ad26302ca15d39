"""A scenario played in virtual time, against a fake of the server."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from typing import TYPE_CHECKING, Any

from fake_kfp import FakeKfp
from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_perf.config import TestConfig
from kfp_perf.errors import RunnerError, TargetError
from kfp_perf.metrics import Recorder
from kfp_perf.runners import RUNNERS
from kfp_perf.scenario.model import TestScenario
from kfp_perf.scenario.modes import TestMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.journal import Journal
    from kfp_perf.result.records import RunRecord, Sample


def recorder_for(collector: Any) -> Recorder:
    """A recorder that writes nothing, and hands everything to a collector."""
    return Recorder(None, (collector,))


async def _done(returned: object) -> None:
    """Wait for what a runner's method returned, which may be no coroutine."""
    if inspect.isawaitable(returned):
        await returned


class Played:
    """What came of a scenario; `error` is what its runner raised on purpose, `told` its reports.

    `server` makes the fake, `meanwhile` is called when the work begins; both may plan what happens later with `at`.
    """

    def __init__(
        self,
        fields: dict[str, Any],
        *,
        server: Callable[[VirtualClock], FakeKfp] = FakeKfp,
        meanwhile: Callable[[Played], None] = lambda _played: None,
        journal: Journal | None = None,
        clean_up: bool = True,
        **config: Any,
    ) -> None:
        own = {name for name in RUNNERS if name not in TestMode.__members__}
        self.scenario = TestScenario.model_validate(
            {"runTime": "60s", "name": "t", **fields}, context={"extra_modes": own}
        )
        self.config = TestConfig.from_environment(**config)
        self.journal = journal
        self.clean_up = clean_up
        self.records: list[RunRecord] = []
        self.samples: list[Sample] = []
        self.error: Exception | None = None
        run_virtually(lambda: self._play(server, meanwhile))

    async def _play(
        self, server: Callable[[VirtualClock], FakeKfp], meanwhile: Callable[[Played], None]
    ) -> None:
        clock = VirtualClock()
        self.kfp = server(clock)
        given: dict[str, Any] = {"recorder": recorder_for(self), "journal": self.journal, "t0": EPOCH}
        kind: Any = RUNNERS[self.scenario.mode_name]
        self.runner = kind(self.scenario, config=self.config, client=self.kfp, clock=clock, **given)
        self.kfp.record = self.runner.record_sample
        try:
            await _done(self.runner.prepare())
            self.runner.t0 = clock.now()
            self.runner.calculate_timing()
            meanwhile(self)
            try:
                await _done(self.runner.run())
            finally:
                self.told, self.remarks = self.runner.reports(), list(self.runner.remarks())
        except (RunnerError, TargetError) as error:
            self.error = error
        self.ended = clock.now() - self.runner.start_at
        if self.clean_up:
            await _done(self.runner.stop())

    def on_sample(self, sample: Sample) -> None:
        self.samples.append(sample)

    def measure_from(self, moment: float) -> None:
        pass

    def on_run(self, record: RunRecord) -> None:
        self.records.append(record)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(record.outcome.value for record in self.records)


def at(seconds: float, what: Callable[[], object]) -> None:
    """Call a function this many seconds from now."""
    asyncio.get_running_loop().call_later(seconds, what)
