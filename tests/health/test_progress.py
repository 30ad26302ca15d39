"""Scenarios that make no progress are named before their end."""

from __future__ import annotations

from typing import Any

import pytest
from made_samples import made_sample

from kfp_perf.health.progress import ProgressWatch, patience_seconds
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.result.records import Outcome, Purpose, RunRecord


def answer(runner: Any, error: str = "", purpose: Purpose = Purpose.LOAD) -> None:
    runner.progress.on_sample(
        made_sample("CreateRun", 0.0, 0.0, 0.1, 500 if error else 200, error, purpose=purpose)
    )


def end(runner: Any, outcome: Outcome = Outcome.SUCCEEDED, seconds: float = 10.0) -> None:
    runner.progress.on_run(
        RunRecord(scenario="a", name="r", due=0.0, outcome=outcome, duration_seconds=seconds), seconds
    )


def look_for(watch: ProgressWatch, runner: Any, begin: int, end: int) -> list[float]:
    """When a stall was found, looking each second."""
    return [now for now in range(begin, end) if watch.look(runner.counters(), float(now)) is not None]


def test_one_that_gets_on_is_not_named(stand_in: Any) -> None:
    runner = stand_in()
    watch = ProgressWatch([runner.scenario])
    for now in range(600):
        if now % 50 == 0:
            answer(runner)
        if now % 55 == 0:
            end(runner)
        assert watch.look(runner.counters(), float(now)) is None
    assert watch.stalls == []


@pytest.mark.parametrize("run_time", ["20s", "2min", "8h"])
def test_one_that_does_not_is_named_once_and_before_its_end(stand_in: Any, run_time: str) -> None:
    runner = stand_in(runTime=run_time)
    watch = ProgressWatch([runner.scenario])
    found = look_for(watch, runner, 0, 1000)
    assert len(found) == 1
    assert found[0] < runner.scenario.run_seconds
    assert watch.stalled() == ["a"]
    assert "no progress" in watch.stalls[0].text
    assert watch.stalls[0].document()["until"] is None


def test_one_for_which_nothing_is_due_is_not_named(stand_in: Any) -> None:
    runner = stand_in()
    watch = ProgressWatch([runner.scenario])
    runner.resting = True
    assert look_for(watch, runner, 0, 1000) == []
    runner.resting = False
    assert look_for(watch, runner, 1000, 2000) == [
        1000 + patience_seconds(runner.counters(), runner.scenario.run_seconds) - 1
    ]


def test_failures_and_observing_are_no_progress(stand_in: Any) -> None:
    runner = stand_in()
    watch = ProgressWatch([runner.scenario])
    for now in range(100):
        answer(runner, "500")
        answer(runner, purpose=Purpose.OBSERVE)
        end(runner, Outcome.REFUSED)
        watch.look(runner.counters(), float(now))
    assert [stall.since for stall in watch.stalls] == [0.0]
    assert "100 errors" not in watch.stalls[0].text  # it was named long before


def test_a_generator_that_stood_still_does_not_blame_its_scenarios(stand_in: Any) -> None:
    runner = stand_in()
    watch = ProgressWatch([runner.scenario])
    watch.look(runner.counters(), 0.0)
    assert watch.look(runner.counters(), 500.0) is None
    assert look_for(watch, runner, 501, 600) == [558]
    assert "no progress for 60 s" in watch.stalls[0].text


def test_runs_that_take_long_are_waited_for(stand_in: Any) -> None:
    runner = stand_in(runTime="10h")
    watch = ProgressWatch([runner.scenario])
    end(runner, seconds=300.0)
    watch.look(runner.counters(), 0.0)
    assert patience_seconds(runner.counters(), runner.scenario.run_seconds) == 900.0
    assert look_for(watch, runner, 1, 1000) == [900.0]


def test_its_end_is_noted_when_it_gets_on_again(stand_in: Any) -> None:
    runner = stand_in()
    watch = ProgressWatch([runner.scenario])
    look_for(watch, runner, 0, 200)
    answer(runner)
    watch.look(runner.counters(), 200.0)
    assert watch.stalled() == []
    assert watch.stalls[0].until == 200.0


def test_waiting_for_its_start_is_no_stall_but_preparing_without_a_request_is(stand_in: Any) -> None:
    runner = stand_in()
    watch = ProgressWatch([runner.scenario])
    runner.phase = ScenarioPhase.WAITING
    assert look_for(watch, runner, 0, 1000) == []
    runner.phase = ScenarioPhase.PREPARING
    for now in range(1000, 1100):
        answer(runner, purpose=Purpose.SETUP)
        assert watch.look(runner.counters(), float(now)) is None
    assert len(look_for(watch, runner, 1100, 1200)) == 1
