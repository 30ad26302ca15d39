"""Schedules whose creation fails or whose server stays away, and scenarios that are stopped."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from played import at

from kfp_perf.errors import ApiInterrupted, ApiStatusError, ApiUnreachable, RunnerError, TargetError
from kfp_perf.result.journal import Journal, ObjectKind, left_behind

if TYPE_CHECKING:
    from pathlib import Path

    from fake_kfp import FakeKfp
from played_schedules import metrics, scheduled


def test_a_schedule_whose_creation_got_no_answer_is_adopted(tmp_path: Path) -> None:
    def losing_an_answer(kfp: FakeKfp) -> None:
        create = kfp.create_recurring_run
        lost = iter([True])

        async def create_recurring_run(spec: Any, **given: Any) -> Any:
            made = await create(spec, **given)
            if next(lost, False):
                raise ApiInterrupted("CreateRecurringRun", "the connection was reset", kind="reset")
            return made

        kfp.create_recurring_run = create_recurring_run  # type: ignore[method-assign]

    journal = Journal(tmp_path / "j")
    played = scheduled({"numTimes": 2}, also=losing_an_answer, journal=journal)
    assert played.outcomes == {"succeeded": 8}
    assert played.told["schedules"].schedules == 2
    assert not played.kfp.recurring_runs
    assert left_behind(journal.path) == []


def test_a_schedule_that_is_adopted_after_the_end_is_disabled_too() -> None:
    def showing_it_late(kfp: FakeKfp) -> None:
        create, listed = kfp.create_recurring_run, kfp.list_recurring_runs
        lost = iter([True])

        async def create_recurring_run(spec: Any, **given: Any) -> Any:
            made = await create(spec, **given)
            if next(lost, False):
                raise ApiInterrupted("CreateRecurringRun", "the connection was reset", kind="reset")
            return made

        async def list_recurring_runs(query: Any, **given: Any) -> Any:
            if not kfp.count("DisableRecurringRun"):
                raise ApiInterrupted("ListRecurringRuns", "timed out", kind="timeout")
            return await listed(query, **given)

        kfp.create_recurring_run = create_recurring_run  # type: ignore[method-assign]
        kfp.list_recurring_runs = list_recurring_runs  # type: ignore[method-assign]

    played = scheduled({"numTimes": 2}, also=showing_it_late, fake={"run_seconds": 100})
    assert played.told["schedules"].schedules == 2
    disabled = {argument for operation, argument in played.kfp.calls if operation == "DisableRecurringRun"}
    assert len(disabled) == 2


def test_a_stop_while_late_runs_are_waited_for_ends_the_waiting() -> None:
    played = scheduled(
        {"runTime": "2min", "gracePeriod": "5min"},
        lambda _number: (),
        meanwhile=lambda played: at(125, played.runner.request_stop),
    )
    assert 125 <= played.ended < 126


@pytest.mark.parametrize("from_kfp", [True, False])
@pytest.mark.parametrize("status", [408, 500, 503, 524])
def test_a_schedule_that_was_created_and_answered_with_an_error_is_adopted_and_deleted(
    tmp_path: Path, status: int, from_kfp: bool
) -> None:
    def answering_with_an_error(kfp: FakeKfp) -> None:
        create = kfp.create_recurring_run
        error = ApiStatusError("CreateRecurringRun", "stream timeout", status=status, from_kfp=from_kfp)
        errors = iter([error])

        async def create_recurring_run(spec: Any, **given: Any) -> Any:
            made = await create(spec, **given)
            if (failure := next(errors, None)) is not None:
                raise failure
            return made

        kfp.create_recurring_run = create_recurring_run  # type: ignore[method-assign]

    journal = Journal(tmp_path / "j")
    played = scheduled({"numTimes": 2}, also=answering_with_an_error, journal=journal)
    assert (played.told["schedules"].schedules, played.told["schedules"].refused) == (2, 0)
    assert not played.kfp.recurring_runs
    assert left_behind(journal.path) == []


def test_a_schedule_that_kfp_answered_with_500_and_does_not_show_was_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    refusal = ApiStatusError("CreateRecurringRun", "Data too long", status=500)
    played = scheduled(
        {"numTimes": 2},
        also=lambda kfp: kfp.failures["CreateRecurringRun"].append(refusal),
        journal=journal,
        config={"keep": "all"},
    )
    assert (played.told["schedules"].schedules, played.told["schedules"].refused) == (1, 1)
    assert [made.kind for made in left_behind(journal.path)].count(ObjectKind.RECURRING_RUN) == 1


def test_refused_schedules_are_counted() -> None:
    refusal = ApiStatusError("CreateRecurringRun", "Schedule cron is not a supported format", status=400)
    some = scheduled({"numTimes": 2}, also=lambda kfp: kfp.failures["CreateRecurringRun"].append(refusal))
    assert (some.told["schedules"].schedules, some.told["schedules"].refused) == (1, 1)
    none = scheduled({}, also=lambda kfp: kfp.failures["CreateRecurringRun"].append(refusal))
    assert isinstance(none.error, RunnerError)
    assert "not a supported format" in str(none.error)
    assert none.told["schedules"].refused == 1
    assert none.remarks == ["1 schedules were refused"]


def test_an_outage_is_ridden_out_and_what_came_meanwhile_is_found() -> None:
    def away(kfp: FakeKfp) -> None:
        refused = ApiUnreachable("ListRuns", "refused", kind="refused")
        at(70, lambda: kfp.failures["ListRuns"].extend([refused] * 6))

    played = scheduled(also=away)
    assert played.error is None
    assert played.outcomes == {"succeeded": 4}
    assert played.told["schedules"].failures > 0


def test_a_target_that_stays_away_ends_the_scenario() -> None:
    def gone(kfp: FakeKfp) -> None:
        def go(operation: str) -> None:
            kfp.failures[operation] += [ApiUnreachable(operation, "refused", kind="refused")] * 1000

        for operation in ("ListRuns", "GetRun", "DisableRecurringRun", "TerminateRun"):
            at(100, partial(go, operation))

    played = scheduled(also=gone, config={"outage_limit_seconds": 30})
    assert isinstance(played.error, TargetError)
    assert played.ended < 150


def test_a_request_to_stop_ends_schedules_and_runs(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    played = scheduled(
        {"numTimes": 2, "runTime": "1h"},
        lambda _number: (5.0,),
        fake={"run_seconds": 100},
        meanwhile=lambda played: at(150, played.runner.request_stop),
        journal=journal,
    )
    assert played.error is None
    assert played.outcomes == {"cut_off": 4}
    assert played.ended < 153
    assert not played.kfp.runs
    assert not played.kfp.recurring_runs
    assert left_behind(journal.path) == []


def test_warm_up_is_kept_out() -> None:
    played = scheduled({"warmup": "90s"})
    assert metrics(played)["slots"] == 3
    assert [record.warmup for record in played.records].count(True) == 1


class FullDisk(Journal):
    """A journal that cannot be written any more from its entry number `fails_at` of a kind on."""

    def __init__(self, path: Path, kind: ObjectKind, fails_at: int) -> None:
        super().__init__(path)
        self.kind, self.left = kind, fails_at

    def intend(self, kind: ObjectKind, name: str, **more: Any) -> None:
        if kind is self.kind:
            self.left -= 1
            if self.left < 0:
                raise OSError(28, "No space left on device")
        super().intend(kind, name, **more)


@pytest.mark.parametrize(("kind", "fails_at"), [(ObjectKind.RUN, 5), (ObjectKind.RECURRING_RUN, 2)])
def test_a_full_disk_ends_the_scenario_at_once(tmp_path: Path, kind: ObjectKind, fails_at: int) -> None:
    journal = FullDisk(tmp_path / "j", kind, fails_at)
    with pytest.raises(OSError, match="No space left"):
        scheduled({"numTimes": 4, "runTime": "10h"}, journal=journal, fake={"run_seconds": 1e6})


@pytest.mark.parametrize("fields", [{"runTime": "40s"}, {"runTime": "70s"}])
def test_schedules_that_start_no_run_fail_the_scenario(fields: dict[str, Any]) -> None:
    """With no slot at all, or one too near the end to be judged."""
    played = scheduled({**fields, "numTimes": 3}, lambda _number: ())
    assert isinstance(played.error, RunnerError)
    assert "3 schedules started no run within" in str(played.error)
