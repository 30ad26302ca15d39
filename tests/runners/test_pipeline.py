"""The life of runs in a scenario, in virtual time, against a fake of the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fake_kfp import FakeKfp
from virtual_time import EPOCH, VirtualClock

from kfp_perf.errors import ApiInterrupted, ApiStatusError, RunnerError
from kfp_perf.execution.snapshots import _runs_due
from kfp_perf.observe.reads import CLOSING_SECONDS
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.journal import Journal, ObjectKind, left_behind

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.runners import BaseRunner

from played_runs import Test, at


def test_runs_follow_each_other_and_each_is_seen_to_its_end() -> None:
    test = Test({"numTimes": 2}).run()
    assert test.error is None
    assert set(test.outcomes) == {"succeeded"}
    assert len(test.records) >= 2 * 5
    assert all(record.due < EPOCH + 61 for record in test.records)
    for record in test.records:
        assert record.created
        assert record.due <= record.sent < record.ended < (record.seen_finished or 0)
        assert record.duration_seconds == pytest.approx(6, abs=record.duration_error_seconds or 0)
    metrics = test.run_metrics()
    assert metrics["created"] == metrics["succeeded"] == len(test.records)
    assert metrics["success_rate"] == 1.0
    assert test.told["load"].started == len(test.records)


def test_tasks_that_are_shown_late_delay_neither_the_load_nor_its_end() -> None:
    """The end of a run frees its slot; only its record waits for the tasks."""
    prompt = Test({"numTimes": 2}).run()
    late = Test({"numTimes": 2}).run(lambda clock: FakeKfp(clock, tasks_lag_seconds=10))
    assert late.outcomes == prompt.outcomes
    assert late.ended - prompt.ended <= CLOSING_SECONDS + 0.1
    # Those that ended shortly before the scenario are given up.
    assert sum(not record.tasks_complete for record in late.records) == 2
    assert late.told["observer"].incomplete == 2
    never = Test({"numTimes": 2, "gracePeriod": "1s"}).run(
        lambda clock: FakeKfp(clock, tasks_lag_seconds=1e6)
    )
    assert never.ended <= 61 + CLOSING_SECONDS + 0.2
    assert never.outcomes["succeeded"] >= prompt.outcomes["succeeded"] - 2
    assert not any(record.tasks_complete for record in never.records)


def test_a_stop_does_not_wait_long_for_tasks() -> None:
    test = Test({"numTimes": 2}).run(
        lambda clock: FakeKfp(clock, tasks_lag_seconds=1e6),
        lambda _test, runner: at(20.0, runner.request_stop),
    )
    assert test.ended <= 20 + CLOSING_SECONDS + 0.5
    assert test.outcomes == {"succeeded": 6, "cut_off": 2}


def test_runs_in_flight_at_the_end_are_followed_through_the_grace_period() -> None:
    test = Test({"numTimes": 3, "gracePeriod": "90s"}).run(lambda clock: FakeKfp(clock, run_seconds=80))
    assert test.outcomes == {"succeeded": 3}
    assert 80 < test.ended < 100


def test_what_is_still_in_flight_after_it_is_terminated_and_counts_as_unfinished() -> None:
    test = Test({"numTimes": 3, "gracePeriod": "30s"}).run(lambda clock: FakeKfp(clock, run_seconds=500))
    assert isinstance(test.error, RunnerError)
    assert "Not one of 3 runs succeeded (3 unfinished)" in str(test.error)
    assert test.outcomes == {"unfinished": 3}
    assert test.kfp.count("TerminateRun") == 3
    assert test.ended == pytest.approx(90, abs=1)


def test_the_grace_period_is_two_minutes_or_twice_the_longest_run() -> None:
    def slow_after_a_while(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock, run_seconds=100)
        at(90, lambda: setattr(kfp, "run_seconds", 10_000))
        return kfp

    test = Test({"numTimes": 1, "runTime": "150s"}).run(slow_after_a_while)
    assert test.outcomes == {"succeeded": 1, "unfinished": 1}
    assert 150 + 2 * 100 <= test.ended <= 150 + 2 * 103


def test_a_request_to_stop_ends_the_work_and_cleans_up(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    test = Test({"numTimes": 4, "runTime": "10min"}, journal)
    test.run(
        lambda clock: FakeKfp(clock, run_seconds=50),
        lambda _test, runner: at(75, runner.request_stop),
    )
    assert test.error is None
    assert test.outcomes == {"succeeded": 4, "cut_off": 4}
    assert test.ended < 80
    # Deleting a run stops it too; a termination before would cost the API server a second call to Kubernetes.
    assert test.kfp.count("TerminateRun") == 0
    assert left_behind(journal.path) == []
    assert not test.kfp.runs
    assert not test.kfp.pipelines


@pytest.mark.parametrize("mode", ["PIPELINE_RUN", "EXPERIMENT"])
def test_clean_up_deletes_all_that_was_made_and_nothing_else(tmp_path: Path, mode: str) -> None:
    journal = Journal(tmp_path / "j")
    test = Test({"numTimes": 2, "mode": mode}, journal).run()
    assert len(test.records) >= 10
    assert not test.kfp.runs
    assert not test.kfp.pipelines
    assert [experiment.display_name for experiment in test.kfp.experiments.values()] == ["Default"]
    assert left_behind(journal.path) == []
    assert test.runner.leftovers == []


def test_an_experiment_of_its_own_holds_the_runs_of_an_experiment_scenario() -> None:
    test = Test({"mode": "EXPERIMENT"}).run()
    used = {run.spec.experiment_id for run in test.kfp.runs.values()}
    (experiment,) = (e for e in test.kfp.experiments.values() if e.display_name != "Default")
    assert used == {experiment.experiment_id}


def test_a_namespace_without_a_default_experiment_gets_one() -> None:
    test = Test({"namespace": "team-a"}, IS_KUBEFLOW_MODE=True).run(
        lambda clock: FakeKfp(clock, multi_user=True)
    )
    (experiment,) = test.kfp.experiments.values()
    assert (experiment.display_name, experiment.namespace) == ("Default", "team-a")
    assert test.outcomes["succeeded"] >= 5


@pytest.mark.parametrize(("keep", "kept"), [("nothing", 0), ("failed", 1), ("all", 8)])
def test_what_is_to_be_kept_stays(tmp_path: Path, keep: str, kept: int) -> None:
    def one_fails(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        add = kfp.add_run
        states = iter(["FAILED"])
        kfp.add_run = lambda spec, **given: add(  # type: ignore[method-assign]
            spec, **given, final_state=next(states, "SUCCEEDED")
        )
        return kfp

    journal = Journal(tmp_path / "j")
    test = Test({"mode": "EXPERIMENT"}, journal, keep=keep).run(one_fails)
    assert test.outcomes["failed"] == 1
    assert len(test.kfp.runs) == (len(test.records) if keep == "all" else kept)
    assert len(test.kfp.pipelines) == min(kept, 1)
    left = left_behind(journal.path)
    assert len([made for made in left if made.kind is ObjectKind.RUN]) == len(test.kfp.runs)
    assert all(made.kept for made in left) or keep == "all"


def test_a_server_that_fails_to_delete_is_asked_again(tmp_path: Path) -> None:
    def failing_twice(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        kfp.failures["DeleteRun"] = [ApiStatusError("DeleteRun", "Internal Server Error", status=500)] * 2
        return kfp

    test = Test({"mode": "EXPERIMENT"}, Journal(tmp_path / "j")).run(failing_twice)
    assert test.runner.leftovers == []
    assert test.kfp.runs == {}


def test_without_a_journal_nothing_is_deleted_and_all_of_it_is_listed() -> None:
    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        kfp.failures["CreateRun"] = [
            ApiStatusError("CreateRun", "parameter x is not optional", status=400),
            ApiStatusError("CreateRun", "Failed to fetch a template", status=500),
            ApiInterrupted("CreateRun", "timed out", kind="timeout"),
        ]
        return kfp

    test = Test({"mode": "EXPERIMENT", "numTimes": 1}).run(server)
    outcomes = test.outcomes
    assert (outcomes["refused"], outcomes["lost"]) == (2, 1)
    left = sorted(line.partition(":")[0] for line in test.runner.leftovers)
    prefix = test.runner.prefix
    (experiment,) = (one for one in test.kfp.experiments.values() if one.display_name == prefix)
    (pipeline,) = test.kfp.pipelines.values()
    (lost,) = (record.name for record in test.records if record.outcome.value == "lost")
    expected = [f"run {run.spec.name} ({run.run_id})" for run in test.kfp.runs.values()]
    expected += [f"experiment {prefix} ({experiment.experiment_id})"]
    expected += [f"pipeline {prefix} ({pipeline.pipeline_id})", f"run {lost}"]
    assert left == sorted(expected)
    assert test.runner.warnings == [
        f"{len(expected):,} objects were left on the server, because the runner has no journal"
    ]


def test_what_cannot_be_deleted_is_named_and_its_experiment_stays(tmp_path: Path) -> None:
    def one_stays(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        kfp.failures["DeleteRun"] = [ApiStatusError("DeleteRun", "Not allowed", status=403)]
        return kfp

    journal = Journal(tmp_path / "j")
    test = Test({"mode": "EXPERIMENT"}, journal).run(one_stays)
    assert len(test.kfp.runs) == 1
    assert len(test.runner.leftovers) == 2
    run, experiment = sorted(test.runner.leftovers, reverse=True)
    assert run.startswith("run kfp-perf-t-")
    assert "Not allowed" in run
    assert "it still holds runs" in experiment
    assert [made.kind for made in left_behind(journal.path)] == [ObjectKind.RUN, ObjectKind.EXPERIMENT]


def test_warm_up_is_measured_and_kept_out_of_the_statistics() -> None:
    test = Test({"numTimes": 1, "warmup": "20s"}).run()
    metrics = test.run_metrics()
    warm = [record for record in test.records if record.warmup]
    assert warm
    assert metrics["warmup"] == len(warm)
    assert metrics["due"] == len(test.records) - len(warm)


def test_an_open_load_starts_runs_at_its_rate_whatever_becomes_of_them() -> None:
    test = Test({"arrivalRate": "12/min", "gracePeriod": "2min"}).run(
        lambda clock: FakeKfp(clock, run_seconds=70)
    )
    assert [
        round(record.due - test.runner.start_at, 3) for record in sorted(test.records, key=lambda r: r.due)
    ] == [5.0 * number for number in range(12)]
    assert test.outcomes == {"succeeded": 12}


def test_runs_that_max_in_flight_holds_back_are_due_in_the_counters() -> None:
    seen: list[int] = []

    def count_later(_test: Test, runner: BaseRunner) -> None:
        def count() -> None:
            counters = ScenarioCounters(scenario=runner.name, **runner.counters())
            seen.append(_runs_due(counters))

        asyncio.get_running_loop().call_later(30.5, count)

    Test({"arrivalRate": "1/s", "maxInFlight": 1}).run(meanwhile=count_later)
    assert seen == [31]
