"""One scenario in the hands of an engine, with runners that somebody else wrote."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from open_link import OpenLink

from kfp_perf.config import TestConfig
from kfp_perf.engine import Plugins, ScenarioWork, ThreadEngine, run_scenario
from kfp_perf.errors import ExitCode, GeneratorSaturated, TargetError
from kfp_perf.metrics import MetricsCollector
from kfp_perf.pacing import RealClock
from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.records import Purpose, Sample
from kfp_perf.runners import BaseRunner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kfp_perf.engine import ScenarioResult
    from kfp_perf.result.scenario_writer import ScenarioInfo

    Play = Callable[..., "Played"]


class Mine(BaseRunner):
    """Does nothing, and records its calls."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.called: list[str] = []

    def run(self) -> dict[str, Any] | None:
        self.called.append("run")
        return {"mine": 1}

    def stop(self) -> None:
        self.called.append("stop")


@dataclass
class Played:
    """The outcome of a scenario: its result, its runner, and its files."""

    result: ScenarioResult
    runner: Any
    info: ScenarioInfo


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def play(
        kind: type[BaseRunner], seconds_ago: float = 0.0, *, stop: bool = False, **plugins: Any
    ) -> Played:
        made: list[BaseRunner] = []

        class Remembered(kind):  # type: ignore[misc, valid-type]
            def __init__(self, *given: Any, **named: Any) -> None:
                super().__init__(*given, **named)
                made.append(self)

        scenario = TestScenario.model_validate(
            {"name": "s", "mode": "MINE", "runTime": "1s"}, context={"extra_modes": {"MINE"}}
        )
        link = OpenLink(seconds_ago)
        if stop:
            link.stop.set()
        folder = tmp_path / "s"
        config = TestConfig.from_environment()
        work = ScenarioWork(
            scenario, config, folder, RealClock().anchor, Plugins(runners={"MINE": Remembered}, **plugins)
        )
        result = run_scenario(work, link)
        return Played(result, made[0] if made else None, ScenarioFiles(folder).info)

    return play


def test_what_a_runner_returns_joins_the_metrics(play: Play) -> None:
    played = play(Mine)
    assert (played.info.error, played.info.custom) == ("", {"mine": 1})
    assert played.info.measured
    assert played.info.ended
    assert played.runner.called == ["run", "stop"]


@pytest.mark.parametrize(
    ("returned", "error"), [({"a": "\udcff"}, "UnicodeEncodeError"), ([1], "ValidationError")]
)
def test_metrics_that_json_cannot_hold_are_that_runner_s_failure(
    play: Play, returned: Any, error: str
) -> None:
    class Odd(Mine):
        def run(self) -> Any:
            return returned

    played = play(Odd)
    assert played.result.exit_code == played.info.exit_code == ExitCode.FAILED
    assert played.result.error == played.info.error
    assert played.result.error.startswith(error)
    assert played.info.custom == {}
    assert played.runner.called == ["stop"]


def test_keys_and_values_of_other_kinds_become_text(play: Play) -> None:
    class Odd(Mine):
        def run(self) -> Any:
            return {("a", 1): {2: ExitCode}}

    info = play(Odd).info
    assert (info.error, info.custom) == ("", {"('a', 1)": {"2": str(ExitCode)}})


def test_a_scenario_that_no_thread_was_free_for_in_time_does_not_start_and_makes_the_test_invalid(
    play: Play,
) -> None:
    played = play(Mine, 58.0)
    assert isinstance(played.result.failure, GeneratorSaturated)
    assert played.result.exit_code == ExitCode.INVALID
    assert "58 s after its startTime" in played.info.error
    assert "KFP_PERF_POOL_SIZE" in played.info.error
    assert played.runner.called == ["stop"]


def test_one_that_was_asked_to_stop_is_not_late(play: Play) -> None:
    assert play(Mine, 58.0, stop=True).result.error == ""


class Seen(MetricsCollector):
    def collect_custom_metrics(self) -> dict[str, Any]:
        return {"scenario": self.scenario_name}


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
    play: Play, kind: type[BaseRunner], words: str
) -> None:
    played = play(kind, collectors={"seen": Seen})
    assert words in played.result.error
    assert played.result.exit_code == ExitCode.FAILED
    assert isinstance(played.result.failure, Exception)
    assert [one.result() for one in played.result.collectors] == [{"scenario": "s"}]
    assert played.info.custom["seen"] == {"scenario": "s"}


class CannotCleanUp(Mine):
    def stop(self) -> None:
        raise TargetError("It stayed away.")


class FailsTwice(CannotCleanUp):
    def run(self) -> dict[str, Any] | None:
        raise ValueError("no run")


@pytest.mark.parametrize(
    ("kind", "words"), [(ExitsAtTheEnd, "SystemExit: 3"), (CannotCleanUp, "It stayed away.")]
)
def test_a_clean_up_that_fails_is_the_scenario_s_error_and_names_the_remedy(
    play: Play, kind: type[BaseRunner], words: str
) -> None:
    played = play(kind)
    assert played.info.error == played.result.error
    assert played.info.error.startswith(f"Cleaning up failed: {words}")
    assert "may be left on the server; `kfp-perf cleanup` deletes them" in played.info.error
    assert played.info.cleanup_failed
    assert played.info.exit_code == played.result.exit_code == ExitCode.FAILED
    assert isinstance(played.result.failure, Exception)
    assert played.info.ended


def test_a_clean_up_that_fails_after_the_run_did_is_a_warning_beside_its_error(play: Play) -> None:
    info = play(FailsTwice).info
    assert info.error == "ValueError: no run"
    (warning,) = info.warnings
    assert warning.startswith("Cleaning up failed: It stayed away.")


class CannotBeCounted(Mine):
    def waiting(self) -> tuple[str, float | None]:
        if "run" in self.called and "stop" not in self.called:
            raise ValueError("cannot be counted")
        return super().waiting()


class CannotTellOutage(Mine):
    def run(self) -> dict[str, Any] | None:
        def remarks(start: float) -> Iterator[str]:
            if "stop" not in self.called:
                raise ValueError("cannot be saved")
            return iter(())

        self.outage.remarks = remarks  # type: ignore[method-assign]
        return super().run()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (CannotBeCounted, "ValueError: cannot be counted"),
        (CannotTellOutage, "ValueError: cannot be saved"),
    ],
)
def test_a_scenario_that_cannot_be_saved_before_its_clean_up_cleans_up_all_the_same(
    play: Play, kind: type[BaseRunner], error: str
) -> None:
    played = play(kind)
    assert played.runner.called == ["run", "stop"]
    assert (played.info.error, played.info.exit_code) == (error, ExitCode.FAILED)
    assert played.info.ended


def test_a_constructor_that_exits_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    class ExitsAtOnce(Mine):
        def __init__(self, *_given: Any, **_named: Any) -> None:
            raise SystemExit(3)

    def work(name: str, kind: type[BaseRunner]) -> ScenarioWork:
        scenario = TestScenario.model_validate(
            {"name": name, "mode": "MINE", "runTime": "1s"}, context={"extra_modes": {"MINE"}}
        )
        plugins = Plugins(runners={"MINE": kind})
        return ScenarioWork(scenario, TestConfig(), tmp_path / name, RealClock().anchor, plugins)

    with ThreadEngine(RealClock().now) as engine:
        engine.start([work("exits", ExitsAtOnce), work("good", Mine)])
        ended = {one.name: one for one in engine.ended(60.0)}
    assert ended["exits"].error == "SystemExit: 3"
    assert ended["good"].error == ""
    info = ScenarioFiles(tmp_path / "exits").info
    assert (info.error, info.ended) == ("SystemExit: 3", True)


class Reports(Mine):
    def run(self) -> dict[str, Any] | None:
        raise TargetError("It stayed away.")

    def reports(self) -> dict[str, Any]:
        return {"made": 3}

    def remarks(self) -> list[str]:
        return ["three were made"]


def test_what_a_failed_scenario_has_to_report_is_kept(play: Play) -> None:
    info = play(Reports).info
    assert info.error == "It stayed away."
    assert info.custom == {"made": 3}
    assert info.warnings == ("three were made",)


class CannotReport(Mine):
    def reports(self) -> dict[str, Any]:
        raise ZeroDivisionError("no reports")

    def remarks(self) -> list[str]:
        raise ValueError("no remarks, \udcff")


def test_a_runner_that_cannot_report_cleans_up_all_the_same(play: Play) -> None:
    played = play(CannotReport)
    assert played.runner.called == ["run", "stop"]
    assert played.result.exit_code == ExitCode.FAILED
    assert played.info.error == "ZeroDivisionError: no reports"
    assert played.info.warnings == ("ValueError: no remarks, ?",)
    assert played.info.custom == {"mine": 1}
    assert played.info.ended


class ReportsOfItsRun(Mine):
    async def prepare(self) -> None:
        # Longer than it takes until counters are written beside it.
        await self.clock.sleep_until(self.clock.now() + 1.6)

    def run(self) -> dict[str, Any] | None:
        self.done = 1
        return None

    def reports(self) -> dict[str, Any]:
        return {"done": self.done}


def test_reports_are_not_asked_for_before_the_start(play: Play) -> None:
    info = play(ReportsOfItsRun).info
    assert (info.error, info.custom) == ("", {"done": 1})


class ReportsOfItsEnd(Mine):
    async def run(self) -> dict[str, Any] | None:  # type: ignore[override]
        self.asked = 0
        # Longer than it takes until counters are written beside it.
        await self.clock.sleep_until(self.clock.now() + 1.6)
        assert self.asked
        self.total = 42
        return None

    def reports(self) -> dict[str, Any]:
        self.asked += 1
        return {"total": self.total}


def test_reports_that_can_be_made_only_after_the_run_are_no_failure_while_it_is_under_way(play: Play) -> None:
    info = play(ReportsOfItsEnd).info
    assert (info.error, info.warnings, info.custom) == ("", (), {"total": 42})


class Counts(MetricsCollector):
    def __init__(self, scenario_name: str = "") -> None:
        super().__init__(scenario_name)
        self.asked = 0
        self.samples = 0

    def on_sample(self, sample: Sample) -> None:
        self.samples += 1

    def collect_custom_metrics(self) -> dict[str, Any]:
        self.asked += 1
        return {"asked": self.asked, "samples": self.samples}


class CallsAtTheEnd(Mine):
    def stop(self) -> None:
        super().stop()
        now = self.clock.now()
        self.record_sample(Sample("DeleteRun", now, now, (), purpose=Purpose.CLEANUP))


def test_a_collector_is_asked_once_and_after_the_last_sample(play: Play) -> None:
    played = play(CallsAtTheEnd, collectors={"counts": Counts})
    assert played.info.custom["counts"] == {"asked": 1, "samples": 1}
    assert played.result.collectors[0].result() == {"asked": 1, "samples": 1}
