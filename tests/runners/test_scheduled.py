from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from fake_kfp import FakeKfp, FakeRun
from measured import metrics_of
from played import Played, at

from kfp_perf.client.messages import RecurringRun, RecurringRunSpec, RunSpec
from kfp_perf.errors import ApiInterrupted, ApiStatusError, ApiUnreachable, RunnerError, TargetError
from kfp_perf.result.journal import Journal, ObjectKind, left_behind
from kfp_perf.result.records import Outcome, RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from virtual_time import VirtualClock


class Controller:
    """Starts runs for the fake's schedules: slot n (from 1, each `interval` seconds) `drift(n)` seconds late.

    `drift` gives the lateness of each of the slot's runs: none of them and it is missed, two and it is doubled.
    A run is in the fake's table, and so in its lists, only `shows_after` seconds after its creation.
    """

    def __init__(
        self,
        kfp: FakeKfp,
        drift: Callable[[int], Iterable[float]] = lambda _number: (12.3,),
        *,
        shows_after: float = 0.0,
        interval: float = 60.0,
        slots: int = 100,
        first: float | None = None,
        **run: Any,
    ) -> None:
        self.kfp, self.drift, self.shows_after, self.run = kfp, drift, shows_after, run
        self.interval, self.slots, self.first = interval, slots, first
        kfp.on_recurring_run = self.created

    def created(self, made: RecurringRun, spec: RecurringRunSpec) -> None:
        begin = (made.created_at or 0.0) - self.kfp.offset_seconds + (self.first or self.interval)
        for number in range(1, self.slots + 1):
            slot = begin + (number - 1) * self.interval
            for nth, late in enumerate(self.drift(number)):
                name = f"{spec.name[:25].lower()}xq7fd-{number}-{nth}{made.recurring_run_id}"
                when = slot + late + self.shows_after
                asyncio.get_running_loop().call_later(
                    when - self.kfp.clock.now(), self.start, made, spec, name, slot, slot + late
                )

    def start(
        self, made: RecurringRun, spec: RecurringRunSpec, name: str, slot: float, created: float
    ) -> None:
        schedule = self.kfp.recurring_runs.get(made.recurring_run_id)
        if schedule is None or (schedule.status == "DISABLED" and not self.shows_after):
            return
        run: FakeRun = self.kfp.add_run(
            RunSpec(name=name, experiment_id=spec.experiment_id),
            recurring_run_id=made.recurring_run_id,
            scheduled=slot,
            created=created,
            **self.run,
        )
        run.starts = created + self.kfp.queue_seconds
        if "finishes" not in self.run:
            run.finishes = run.starts + self.kfp.run_seconds
            run.reported = run.finishes + self.kfp.lag_seconds


def scheduled(
    fields: dict[str, Any] | None = None,
    *drift: Any,
    fake: dict[str, Any] | None = None,
    also: Callable[[FakeKfp], None] = lambda _kfp: None,
    journal: Journal | None = None,
    meanwhile: Callable[[Played], None] = lambda _played: None,
    config: dict[str, Any] | None = None,
    **controller: Any,
) -> Played:
    def server(clock: VirtualClock) -> FakeKfp:
        kfp = FakeKfp(clock, **(fake or {}))
        Controller(kfp, *drift, **controller)
        also(kfp)
        return kfp

    return Played(
        {
            "mode": "PIPELINE_SCHEDULED_RUN",
            "runTime": "5min",
            "interval": "1min",
            "pipelineFileName": "hello.yaml",
            **(fields or {}),
        },
        server=server,
        journal=journal,
        meanwhile=meanwhile,
        **(config or {}),
    )


def real(played: Played) -> list[RunRecord]:
    return [record for record in played.records if record.created]


def metrics(played: Played) -> dict[str, Any]:
    found: dict[str, Any] = metrics_of(played.records)["schedule"]
    return found


def test_what_schedules_start_is_found_followed_and_compared_with_the_slots() -> None:
    played = scheduled({"numTimes": 3})
    assert played.error is None
    assert played.outcomes == {"succeeded": 3 * 4}
    for record in real(played):
        assert record.recurring_run_id in played.kfp.recurring_runs
        assert record.slot is not None
        assert record.created_at is not None
        assert record.created_at - record.slot == pytest.approx(12.3, abs=1)
        assert record.drift_seconds == pytest.approx(12.3, abs=record.drift_error_seconds or 0)
        assert record.drift_error_seconds == 0.5
        assert record.duration_seconds == pytest.approx(6, abs=record.duration_error_seconds or 0)
    told = metrics(played)
    assert (told["slots"], told["started"], told["missed"], told["doubled"]) == (12, 12, 0, 0)
    assert told["drift_seconds"]["p50"] == pytest.approx(12.3, abs=0.5)
    report = played.told["schedules"]
    assert (report.schedules, report.on_time, report.late) == (3, 12, 0)
    # The slot at five minutes came just when the schedules were disabled.
    assert report.undecided in {0, 3}
    assert report.running_seconds["n"] == 12
    assert 12.3 + 1 < report.running_seconds["p50"] < 12.3 + 1 + 0.5 + 1


def test_cron_is_sent_with_a_field_for_seconds_and_ends_by_itself_in_the_end() -> None:
    played = scheduled({"interval": None, "cron": "*/5 * * * 7", "runTime": "10min"})
    (spec,) = (argument for name, argument in played.kfp.calls if name == "CreateRecurringRun")
    assert spec.cron == "0 */5 * * * 0"
    assert spec.interval_seconds == 0
    assert spec.enabled
    assert spec.end_at > played.runner.end_at
    assert spec.pipeline_version_id


def test_a_slot_that_no_run_comes_for_is_missed_and_written_down() -> None:
    played = scheduled(None, lambda number: () if number == 2 else (5.0,))
    told = metrics(played)
    assert (told["slots"], told["started"], told["missed"]) == (4, 3, 1)
    (missed,) = (record for record in played.records if record.outcome is Outcome.REFUSED)
    assert missed.error == "the slot got no run"
    assert missed.slot is not None
    created = float(next(iter(played.kfp.recurring_runs.values())).created_at or 0)
    assert missed.slot == created + 120
    assert missed.name.startswith(f"{played.runner.prefix}-0@20")


def test_a_second_run_of_a_slot_is_doubled_and_measured_apart() -> None:
    played = scheduled(None, lambda number: (5.0, 15.0) if number == 2 else (5.0,))
    told = metrics(played)
    assert (told["slots"], told["started"], told["doubled"]) == (4, 4, 1)
    assert told["drift_seconds"]["max"] < 6
    assert [record.doubled for record in real(played)].count(True) == 1


def test_runs_that_start_late_are_told() -> None:
    played = scheduled(None, lambda number: (50.0,) if number == 2 else (39.0,))
    report = played.told["schedules"]
    assert (report.on_time, report.late) == (3, 1)


def test_a_slot_shortly_before_the_end_is_not_called_missed() -> None:
    played = scheduled({"runTime": "250s"}, lambda number: () if number == 4 else (5.0,))
    assert metrics(played)["missed"] == 0
    assert played.told["schedules"].undecided == 1


def test_runs_that_fit_no_slot_are_counted_apart() -> None:
    played = scheduled(None, first=30.0)
    told = metrics(played)
    assert told["unscheduled"] == 5
    assert told["started"] == 0
    assert all(record.slot is None for record in real(played))


def test_a_run_that_shows_up_only_with_its_first_report_is_found() -> None:
    played = scheduled({"runTime": "90s"}, shows_after=35.0)
    assert played.outcomes == {"succeeded": 1}
    assert played.ended > 105


def test_the_servers_clock_may_be_off() -> None:
    played = scheduled(fake={"offset_seconds": 7200.0})
    (spec,) = (argument for name, argument in played.kfp.calls if name == "CreateRecurringRun")
    assert spec.end_at > played.runner.end_at + 7200.0, "it ends by the server's clock"
    assert played.outcomes == {"succeeded": 4}
    for record in real(played):
        assert record.drift_seconds == pytest.approx(12.3, abs=0.5)
        assert record.due - played.runner.start_at == pytest.approx(
            round((record.due - played.runner.start_at) / 60) * 60, abs=1.5
        )


def test_schedules_are_disabled_at_the_end_and_active_runs_followed_through_the_grace_period() -> None:
    played = scheduled(
        {"runTime": "70s", "gracePeriod": "3min"}, lambda _number: (5.0,), fake={"run_seconds": 100}
    )
    assert played.kfp.count("DisableRecurringRun") == 1
    assert played.outcomes == {"succeeded": 1}
    assert 165 < played.ended < 190


def test_what_is_in_flight_after_the_grace_period_is_terminated() -> None:
    played = scheduled(
        {"runTime": "130s", "gracePeriod": "20s"}, lambda _number: (5.0,), fake={"run_seconds": 1000}
    )
    assert isinstance(played.error, RunnerError)
    assert played.outcomes == {"unfinished": 2}
    assert played.kfp.count("TerminateRun") == 2
    assert 148 < played.ended < 155


def test_looking_for_runs_takes_few_requests_however_many_schedules_there_are() -> None:
    few, many = scheduled({"numTimes": 1}), scheduled({"numTimes": 100})
    assert len(real(many)) == 100 * 4
    pages = many.told["schedules"].pages
    assert pages <= 4 * few.told["schedules"].pages


def test_clean_up_deletes_schedules_and_all_that_they_started(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    played = scheduled({"numTimes": 3}, journal=journal)
    assert len(real(played)) == 12
    assert not played.kfp.runs
    assert not played.kfp.recurring_runs
    assert not played.kfp.pipelines
    assert len(played.kfp.experiments) == 1
    assert left_behind(journal.path) == []
    assert played.runner.leftovers == []


def test_failed_runs_can_be_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    played = scheduled(
        None,
        lambda number: (5.0,),
        journal=journal,
        final_state="FAILED",
        config={"keep": "failed"},
    )
    assert len(played.kfp.runs) == 4
    assert len(played.kfp.pipelines) == 1
    assert not played.kfp.recurring_runs
    assert all(made.kept for made in left_behind(journal.path))


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
