from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.health.generator import GeneratorWatch
from kfp_perf.health.machine import Reading, Space
from kfp_perf.pacing import Lateness
from kfp_perf.result.counters import ScenarioCounters, ScenarioPhase
from kfp_perf.result.tally import Tally
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable


class StandIn:
    """The parts of a scenario's counters."""

    def __init__(self, name: str = "a", **fields: Any) -> None:
        given = {
            "name": name,
            "mode": "PIPELINE_RUN",
            "runTime": "10min",
            "pipelineFileName": "hello.yaml",
            **fields,
        }
        if given["mode"] == "RANDOM_GETS":
            del given["pipelineFileName"]
        self.name = name
        self.scenario = TestScenario.model_validate(given)
        self.phase = ScenarioPhase.RUNNING
        self.lateness = Lateness()
        self.lateness.is_measured = True
        self.progress = Tally()
        self.resting = False
        self.at = 0.0
        self.requested = 0
        self.waited = 0
        self.decode_seconds = 0.0
        self.local_failures = 0

    def counters(self) -> ScenarioCounters:
        fields: dict[str, Any] = {
            **self.progress.fields(),
            **self.lateness.fields(),
            "local_failures": self.local_failures,
        }
        return ScenarioCounters(
            scenario=self.name,
            at=self.at,
            phase=self.phase,
            resting=self.resting,
            connections_limit=10,
            connections_requested=self.requested,
            connections_waited=self.waited,
            decode_seconds=self.decode_seconds,
            **fields,
        )


class Test:
    """A generator watch over a machine and scenarios whose every figure is set by hand."""

    __test__ = False

    def __init__(self, *runners: StandIn) -> None:
        self.time = 100.0
        self.suspended = 0.0
        self.runners = runners or (StandIn(),)
        self.reading = Reading(0.0, 0.0, 0.0, 0.0, 0.0)
        self.space = Space(10**11, 10**10, 10, 0.01, 10**8)
        self.watch = GeneratorWatch(
            Path(),
            now=lambda: self.time,
            read=lambda _pauses: self.reading,
            space=lambda _folder: self.space,
            scenarios=[runner.scenario for runner in self.runners],
        )

    @property
    def counters(self) -> dict[str, ScenarioCounters]:
        return {runner.name: runner.counters() for runner in self.runners}

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
        local_failures: int = 0,
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
            self.suspended,
        )
        for runner in self.runners:
            hit = only is None or runner is only
            runner.lateness.moments += moments
            runner.lateness.late_moments += late_moments * hit
            runner.lateness.starts += starts
            runner.lateness.late_starts += late_starts * hit
            runner.at = self.time
            runner.requested += requests
            runner.waited += waited * hit
            runner.decode_seconds += decoding
            runner.local_failures += local_failures * hit
            others(runner)
        self.watch.look(self.counters)

    def seconds(self, count: int, **used: Any) -> None:
        for _ in range(count):
            self.second(**used)

    @property
    def exceeded(self) -> list[tuple[str, str]]:
        return [(one.resource, one.scenario) for one in self.watch.saturations()]


@pytest.fixture
def make_test() -> type[Test]:
    return Test


@pytest.fixture
def stand_in() -> type[StandIn]:
    return StandIn
