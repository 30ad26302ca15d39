"""One scenario in the hands of an engine, with runners that somebody else wrote."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.engine import Plugins, ScenarioContext, StartGate, run_scenario
from kfp_perf.errors import ExitCode, GeneratorSaturated, TargetError
from kfp_perf.pacing import RealClock
from kfp_perf.runners import BaseRunner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from kfp_perf.result.records import ScenarioResult


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
) -> tuple[ScenarioResult, Any]:
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
    return result, made[0] if made else None


def opened(seconds_ago: float) -> StartGate:
    gate = StartGate(1, lambda: RealClock().now() - seconds_ago)
    gate.release()
    return gate


def test_what_a_runner_returns_joins_the_metrics() -> None:
    result, runner = play(Mine, opened(0.0))
    assert (result.error, result.metrics) == ("", {"mine": 1})
    assert runner.called == ["run", "stop"]


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
    assert runner.called == ["stop"]


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
    assert runner.called == ["stop"]


def test_one_that_was_asked_to_stop_is_not_late() -> None:
    result, _runner = play(Mine, opened(58.0), stop=True)
    assert result.error == ""


class Exits(Mine):
    def run(self) -> dict[str, Any] | None:
        raise SystemExit(3)


class ExitsInTheLoop(Mine):
    async def run(self) -> dict[str, Any] | None:  # type: ignore[override]
        await asyncio.sleep(0)
        raise SystemExit(3)


class IsCancelled(Mine):
    async def run(self) -> dict[str, Any] | None:  # type: ignore[override]
        raise asyncio.CancelledError


class ExitsAtTheEnd(Mine):
    async def stop(self) -> None:  # type: ignore[override]
        raise SystemExit(3)


class CannotClose(Mine):
    async def stop(self) -> None:  # type: ignore[override]
        async def aclose() -> None:
            raise OSError("cannot be closed")

        self.client.aclose = aclose  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Exits, "SystemExit: 3"),
        (ExitsInTheLoop, "SystemExit: 3"),
        (IsCancelled, "CancelledError"),
        (CannotClose, "cannot be closed"),
    ],
)
def test_whatever_a_runner_raises_ends_its_scenario_only_and_what_it_measured_is_kept(
    kind: type[BaseRunner], words: str
) -> None:
    result, runner = play(kind, opened(0.0))
    assert words in result.error
    assert result.exit_code == ExitCode.FAILED
    assert isinstance(result.failure, Exception)
    assert result.collector is runner.collector


def test_a_clean_up_that_exits_is_a_warning() -> None:
    result, runner = play(ExitsAtTheEnd)
    assert result.warnings == ["Cleaning up failed: SystemExit: 3"]
    assert result.collector is runner.collector


def test_a_constructor_that_exits_does_not_keep_the_others_waiting() -> None:
    class ExitsAtOnce(Mine):
        def __init__(self, *_given: Any, **_named: Any) -> None:
            raise SystemExit(3)

    gate = StartGate(1, lambda: 100.0)
    result, _ = play(ExitsAtOnce, gate)
    assert result.error == "SystemExit: 3"
    assert gate.t0 == 100.0


class Reports(Mine):
    def run(self) -> dict[str, Any] | None:
        raise TargetError("It stayed away.")

    def reports(self) -> dict[str, Any]:
        return {"made": 3}

    def remarks(self) -> list[str]:
        return ["three were made"]


def test_what_a_failed_scenario_has_to_report_is_kept() -> None:
    result, _ = play(Reports)
    assert result.error == "It stayed away."
    assert result.metrics == {"made": 3}
    assert result.warnings == ["three were made"]
