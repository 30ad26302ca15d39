from __future__ import annotations

from kfp_perf.observe import ObserverReport
from kfp_perf.pacing import DriveReport
from kfp_perf.runners import remarks
from kfp_perf.runners.reports import PrefillReport, ScheduleReport


def test_what_max_in_flight_held_back_is_told() -> None:
    report = DriveReport(started=15, held_back=14, held_back_seconds=70, longest_hold_seconds=22.75)
    assert list(remarks.of_load(report, 2)) == [
        "maxInFlight 2 held 14 of 15 operations back, for 5.0 s on average and 22.8 s at most"
    ]
    report.never_started = 45
    (line,) = remarks.of_load(report, 2)
    assert line.startswith("maxInFlight 2 held 14 of 60 operations back")
    assert line.endswith("; 45 were never started")


def test_a_load_that_went_as_planned_is_not_worth_a_line() -> None:
    assert list(remarks.of_load(DriveReport(started=100), 2)) == []
    assert list(remarks.of_prefill(PrefillReport(runs=100))) == []
    assert list(remarks.of_prefill(None)) == []
    assert list(remarks.of_schedules(ScheduleReport(schedules=3, on_time=30, undecided=2), 0)) == []


def test_slots_that_stood_empty_are_told() -> None:
    assert list(remarks.of_load(DriveReport(idle_slot_seconds=4.5, slot_seconds=18), None)) == [
        "slots were idle for 4.5 s of 18.0 s after failures"
    ]


def test_a_prefill_that_is_not_whole_is_told() -> None:
    assert list(remarks.of_prefill(PrefillReport(failed=1200, unfinished_runs=3))) == [
        "1,200 rows of prefill could not be made",
        "3 runs of prefill were still in flight when the test started",
    ]


def test_what_schedules_did_not_do_is_told() -> None:
    report = ScheduleReport(refused=1, missed=3, late=4)
    told = list(remarks.of_schedules(report, 2))
    assert [line.split()[0] for line in told] == ["1", "2", "no", "4"]
    assert "3 slots" in told[2]


def test_runs_without_phases_or_durations_are_counted() -> None:
    assert list(remarks.of_observation(ObserverReport(tasks_late=5, rereadings=9))) == []
    incomplete, conflicts = remarks.of_observation(ObserverReport(incomplete=1200, clock_conflicts=3))
    assert incomplete.startswith("the final tasks of 1,200 runs")
    assert conflicts.startswith("the times of 3 runs contradict each other")
