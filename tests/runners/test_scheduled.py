from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kfp_perf.errors import RunnerError
from kfp_perf.result.journal import Journal, left_behind
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from pathlib import Path

from played_schedules import metrics, real, scheduled


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
