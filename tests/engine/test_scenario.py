"""One scenario in the hands of an engine, with runners that somebody else wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.engine import Plugins, ScenarioContext, StartGate, run_scenario
from kfp_perf.errors import ExitCode, GeneratorSaturated
from kfp_perf.pacing import RealClock
from kfp_perf.runners import BaseRunner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from kfp_perf.result.model import ScenarioResult


class Mine(BaseRunner):
    """Does nothing, and remembers what was called."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.called: list[str] = []

    def run(self) -> dict[str, Any] | None:
        self.called.append("run")
        return {"mine": 1}

    def stop(self) -> None:
        self.called.append("stop")


def play(
    kind: type[BaseRunner], gate: StartGate | None = None, *, stop: bool = False
) -> tuple[ScenarioResult, BaseRunner]:
    scenario = TestScenario.model_validate(
        {"name": "s", "mode": "MINE", "runTime": "1s"}, context={"extra_modes": {"MINE"}}
    )
    made: list[BaseRunner] = []

    def announce(runner: BaseRunner) -> None:
        made.append(runner)
        if stop:
            runner.request_stop()

    context = ScenarioContext(plugins=Plugins(runners={"MINE": kind}), gate=gate, announce=announce)
    result = run_scenario(scenario, TestConfig.from_environment(), RealClock().now(), context)
    return result, made[0]


def opened(seconds_ago: float) -> StartGate:
    gate = StartGate(1, lambda: RealClock().now() - seconds_ago)
    gate.release()
    return gate


def test_what_a_runner_returns_joins_the_metrics() -> None:
    result, runner = play(Mine, opened(0.0))
    assert (result.error, result.metrics) == ("", {"mine": 1})
    assert runner.called == ["run", "stop"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("returned", "error"), [({"a": "\udcff"}, "UnicodeEncodeError"), ([1], "ValidationError")]
)
def test_metrics_that_json_cannot_hold_are_that_runner_s_failure(returned: Any, error: str) -> None:
    class Odd(Mine):
        def run(self) -> Any:
            return returned

    result, runner = play(Odd, opened(0.0))
    assert result.exit_code == ExitCode.FAILED
    assert result.error.startswith(error)
    assert result.metrics == {}
    assert runner.called == ["stop"]  # type: ignore[attr-defined]


def test_keys_and_values_of_other_kinds_become_text() -> None:
    class Odd(Mine):
        def run(self) -> Any:
            return {("a", 1): {2: ExitCode}}

    result, _ = play(Odd, opened(0.0))
    assert (result.error, result.metrics) == ("", {"('a', 1)": {"2": str(ExitCode)}})


def test_a_scenario_that_no_thread_was_free_for_in_time_does_not_start_and_makes_the_test_invalid() -> None:
    result, runner = play(Mine, opened(58.0))
    assert isinstance(result.failure, GeneratorSaturated)
    assert result.exit_code == ExitCode.INVALID
    assert "58 s after its startTime" in result.error
    assert "KFP_PERF_POOL_SIZE" in result.error
    assert runner.called == ["stop"]  # type: ignore[attr-defined]


def test_one_that_was_asked_to_stop_is_not_late() -> None:
    result, _runner = play(Mine, opened(58.0), stop=True)
    assert result.error == ""
