from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from kfp_perf.health.generator import GeneratorWatch
from kfp_perf.health.machine import Reading, Space
from kfp_perf.pacing import Punctuality
from kfp_perf.runners import Phase
from kfp_perf.runners.progress import Progress
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.runners import BaseRunner


@dataclass
class Burden:
    attempts: int = 0
    waited: int = 0
    decode_seconds: float = 0.0
    limit: int = 10
    most_requests: int = 0
    waited_seconds: float = 0.0


@dataclass
class Client:
    burden: Burden = field(default_factory=Burden)


class StandIn:
    """What the health checks see of a runner."""

    def __init__(self, name: str = "a", **fields: Any) -> None:
        given = {"mode": "PIPELINE_RUN", "runTime": "10min", "pipelineFileName": "hello.yaml", **fields}
        if given["mode"] == "RANDOM_GETS":
            del given["pipelineFileName"]
        self.name = name
        self.scenario = TestScenario.model_validate(given)
        self.phase = Phase.RUNNING
        self.punctuality = Punctuality()
        self.punctuality.felt = True
        self.progress = Progress()
        self.client = Client()
        self.resting = False

    def as_runner(self) -> BaseRunner:
        return cast("BaseRunner", self)


class Test:
    """A generator watch over a machine and scenarios whose every figure is set by hand."""

    __test__ = False

    def __init__(self, *runners: StandIn) -> None:
        self.time = 100.0
        self.runners = runners or (StandIn(),)
        self.reading = Reading(0.0, 0.0, 0.0, 0.0, 0.0)
        self.space = Space(10**11, 10**10, 10, 0.01, 10**8)
        self.watch = GeneratorWatch(
            Path(),
            now=lambda: self.time,
            read=lambda _pauses: self.reading,
            space=lambda _folder: self.space,
        )

    def second(
        self,
        *,
        cpu: float = 0.1,
        machine: float = 0.5,
        throttled: float = 0.0,
        collecting: float = 0.0,
        moments: int = 20,
        late_moments: int = 0,
        starts: int = 10,
        late_starts: int = 0,
        requests: int = 100,
        waited: int = 0,
        decoding: float = 0.01,
        only: StandIn | None = None,
        others: Callable[[StandIn], None] = lambda _runner: None,
    ) -> None:
        """Let a second pass in which so much is used."""
        before = self.reading
        self.time += 1.0
        self.reading = Reading(
            before.process_cpu_seconds + cpu,
            (before.machine_busy_seconds or 0.0) + 2 * machine,
            (before.machine_seconds or 0.0) + 2,
            (before.throttled_seconds or 0.0) + throttled,
            before.collecting_seconds + collecting,
        )
        for runner in self.runners:
            hit = only is None or runner is only
            runner.punctuality.moments += moments
            runner.punctuality.late_moments += late_moments * hit
            runner.punctuality.starts += starts
            runner.punctuality.late_starts += late_starts * hit
            runner.client.burden.attempts += requests
            runner.client.burden.waited += waited * hit
            runner.client.burden.decode_seconds += decoding
            others(runner)
        self.watch.look([runner.as_runner() for runner in self.runners])

    def seconds(self, count: int, **used: Any) -> None:
        for _ in range(count):
            self.second(**used)

    @property
    def gave_way(self) -> list[tuple[str, str]]:
        return [(one.resource, one.scenario) for one in self.watch.findings()]


@pytest.fixture
def make_test() -> type[Test]:
    return Test


@pytest.fixture
def stand_in() -> type[StandIn]:
    return StandIn
