"""Creations without an answer, outages and refusals in the life of runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fake_kfp import FakeKfp
from virtual_time import EPOCH, VirtualClock

from kfp_perf.errors import ApiInterrupted, ApiStatusError, ApiUnreachable, RunnerError, TargetError
from kfp_perf.result.journal import Journal, left_behind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.runners import BaseRunner

from played_runs import Test


def test_a_refusal_is_not_repeated_at_once_and_counts_as_refused() -> None:
    def refusing(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        refusal = ApiStatusError("CreateRun", "parameter x is not optional", status=400)
        kfp.failures["CreateRun"] = [refusal] * 1000
        return kfp

    test = Test({"numTimes": 1}).run(refusing)
    assert isinstance(test.error, RunnerError)
    assert "parameter x is not optional" in str(test.error)
    assert set(test.outcomes) == {"refused"}
    assert len(test.records) < 15


def test_a_run_whose_creation_got_no_answer_is_adopted_when_its_name_is_seen() -> None:
    def losing_an_answer(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        create = kfp.create_run
        lost = iter([True])

        async def create_run(spec: Any, **given: Any) -> Any:
            run = await create(spec, **given)
            if next(lost, False):
                raise ApiInterrupted("CreateRun", "the connection was reset", kind="reset")
            return run

        kfp.create_run = create_run  # type: ignore[method-assign]
        return kfp

    test = Test({"numTimes": 1}).run(losing_an_answer)
    assert set(test.outcomes) == {"succeeded"}
    assert [record.adopted for record in test.records].count(True) == 1
    assert test.run_metrics()["adopted"] == 1


def test_one_that_never_shows_up_is_unknown_and_no_second_one_is_made_in_its_place() -> None:
    def losing_a_request(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        kfp.failures["CreateRun"] = [ApiInterrupted("CreateRun", "timed out", kind="timeout")]
        return kfp

    test = Test({"numTimes": 1, "runTime": "100s"}).run(losing_a_request)
    assert test.outcomes["lost"] == 1
    assert test.outcomes["succeeded"] >= 6, "its slot is free long before it is given up"
    assert len({record.name for record in test.records}) == len(test.records)


def test_one_that_is_still_looked_for_at_a_stop_was_cut_off() -> None:
    def losing_a_request(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        kfp.failures["CreateRun"] = [ApiInterrupted("CreateRun", "timed out", kind="timeout")]
        return kfp

    def stop_soon(_test: Test, runner: BaseRunner) -> None:
        asyncio.get_running_loop().call_later(3.0, runner.request_stop)

    test = Test({"arrivalRate": "1/s"}).run(losing_a_request, stop_soon)
    assert test.outcomes == {"cut_off": 3}
    assert test.run_metrics()["lost"] == 0


def _done_but_answered(error: Exception) -> Callable[[VirtualClock], FakeKfp]:
    """A server that creates the first run, and answers with an error all the same."""

    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        create = kfp.create_run
        errors = iter([error])

        async def create_run(spec: Any, **given: Any) -> Any:
            run = await create(spec, **given)
            if (failure := next(errors, None)) is not None:
                raise failure
            return run

        kfp.create_run = create_run  # type: ignore[method-assign]
        return kfp

    return server


@pytest.mark.parametrize("from_kfp", [True, False])
@pytest.mark.parametrize("status", [408, 499, 500, 502, 503, 504, 507, 520, 524, 527])
def test_a_run_that_was_created_and_answered_with_an_error_is_adopted_and_deleted(
    tmp_path: Path, status: int, from_kfp: bool
) -> None:
    journal = Journal(tmp_path / "j")
    error = ApiStatusError("CreateRun", "stream timeout", status=status, from_kfp=from_kfp)
    test = Test({"numTimes": 1}, journal).run(_done_but_answered(error))
    assert set(test.outcomes) == {"succeeded"}
    assert [record.adopted for record in test.records].count(True) == 1
    assert not test.kfp.runs
    assert left_behind(journal.path) == []


def _refusing_once(error: Exception) -> Callable[[VirtualClock], FakeKfp]:
    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        kfp.failures["CreateRun"] = [error]
        return kfp

    return server


def test_after_an_error_of_kfp_itself_one_look_up_shows_that_nothing_was_created(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    refusal = ApiStatusError("CreateRun", "Failed to fetch a template", status=500)
    test = Test({"numTimes": 1}, journal, keep="all").run(_refusing_once(refusal))
    first, *others = sorted(test.records, key=lambda record: record.due)
    assert first.outcome.value == "refused"
    assert {record.outcome.value for record in others} == {"succeeded"}
    assert others[0].due - first.due < 2, "its slot is not held"
    assert test.told["observer"].lookups == 0
    assert first.name not in {made.name for made in left_behind(journal.path)}


def test_after_an_error_of_a_gateway_a_run_is_looked_for_and_stays_in_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    error = ApiStatusError("CreateRun", "stream timeout", status=500, from_kfp=False)
    test = Test({"numTimes": 1, "runTime": "100s"}, journal, keep="all").run(_refusing_once(error))
    assert test.outcomes["lost"] == 1
    (lost,) = (record for record in test.records if record.outcome.value == "lost")
    assert test.told["observer"].lookups > 1
    assert lost.name in {made.name for made in left_behind(journal.path)}


def test_where_the_look_up_fails_too_the_run_is_looked_for_further() -> None:
    def server(clock: VirtualClock) -> FakeKfp:
        kfp = _done_but_answered(ApiStatusError("CreateRun", "Internal Server Error", status=500))(clock)
        kfp.failures["ListRuns"] = [ApiInterrupted("ListRuns", "timed out", kind="timeout")]
        return kfp

    test = Test({"numTimes": 1}).run(server)
    assert set(test.outcomes) == {"succeeded"}
    assert test.told["observer"].adopted == 1


def test_an_outage_within_the_limit_is_ridden_out() -> None:
    def away_for_a_while(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        _away_between(kfp, clock, 20, 50)
        return kfp

    test = Test({"numTimes": 2, "runTime": "120s"}).run(away_for_a_while)
    assert test.error is None
    assert test.told["observer"].failures > 0
    assert test.outcomes["succeeded"] >= 10
    assert set(test.outcomes) <= {"succeeded", "refused"}
    assert any(sample.error for sample in test.samples if sample.operation == "ListRuns")


def test_a_target_that_stays_away_ends_the_scenario_and_what_was_measured_is_kept() -> None:
    def gone(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock)
        _away_between(kfp, clock, 30, 10_000)
        return kfp

    test = Test({"numTimes": 2, "runTime": "10min"}, outage_limit_seconds=40).run(gone)
    assert isinstance(test.error, TargetError)
    assert "did not come back" in str(test.error)
    assert test.outcomes["succeeded"] >= 4
    assert test.outcomes["cut_off"] >= 1
    assert test.ended < 30 + 40 + 30
    assert test.told["load"].started == len(test.records)
    assert test.told["observer"].failures > 0


def test_a_bug_in_one_operation_loses_no_run_in_flight_and_leaves_none_being_made() -> None:
    def broken_after_a_while(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock, run_seconds=1000, answer_seconds=4)
        create = kfp.create_run
        calls = iter(range(100))

        async def create_run(spec: Any, **given: Any) -> Any:
            if next(calls) == 5:
                raise ZeroDivisionError("on purpose")
            return await create(spec, **given)

        kfp.create_run = create_run  # type: ignore[method-assign]
        return kfp

    test = Test({"arrivalRate": "20/min"})
    with pytest.raises(ZeroDivisionError):
        test.run(broken_after_a_while)
    assert test.outcomes == {"cut_off": 5}
    assert test.kfp.count("CreateRun") == len(test.kfp.runs) == 5
    assert test.kfp.count("TerminateRun") == 5


def _many_to_terminate(answer_seconds: float) -> Callable[[VirtualClock], FakeKfp]:
    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock, run_seconds=10_000)

        async def terminate_run(run_id: str, **given: Any) -> None:
            await clock.sleep_until(clock.now() + answer_seconds)
            await kfp.answer("TerminateRun", run_id)

        kfp.terminate_run = terminate_run  # type: ignore[method-assign]
        kfp.for_purpose = lambda purpose: kfp  # type: ignore[method-assign]
        return kfp

    return server


def test_giving_up_takes_no_longer_than_there_is_time_for_cleaning_up() -> None:
    test = Test({"numTimes": 80, "gracePeriod": "10s"}, cleanup_timeout_seconds=100)
    test.run(_many_to_terminate(240.0))
    assert test.outcomes == {"unfinished": 80}
    assert test.ended == pytest.approx(60 + 10 + 100, abs=1)


def test_a_target_that_is_away_is_not_asked_to_terminate_each_run() -> None:
    def server(clock: VirtualClock) -> FakeKfp:
        kfp = _many_to_terminate(20.0)(clock)
        _away_between(kfp, clock, 65, 10_000)
        return kfp

    test = Test({"numTimes": 80, "gracePeriod": "10s"}).run(server)
    assert test.outcomes == {"unfinished": 80}
    assert test.kfp.count("TerminateRun") <= 8


def _away_between(kfp: FakeKfp, clock: VirtualClock, start: float, end: float) -> None:
    call = kfp.answer

    async def answer(operation: str, *given: Any, **named: Any) -> float:
        if start <= clock.now() - EPOCH < end:
            kfp.failures[operation].insert(0, ApiUnreachable(operation, "refused", kind="refused"))
        return await call(operation, *given, **named)

    kfp.answer = answer  # type: ignore[method-assign]
    kfp.for_purpose = lambda purpose: kfp  # type: ignore[method-assign]
