"""A runner's remarks beside its figures: one line each, for the summary and for `warnings` of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.observe import ObserverReport
    from kfp_perf.pacing import DriveReport
    from kfp_perf.runners.reports import PrefillReport, ScheduleReport


def of_load(report: DriveReport, max_in_flight: int | None) -> Iterator[str]:
    """What `maxInFlight` did to an open load."""
    if report.held_back:
        mean = report.held_back_seconds / report.held_back
        started = report.started + report.never_started
        never = f"; {report.never_started:,} were never started" if report.never_started else ""
        yield (
            f"maxInFlight {max_in_flight} held {report.held_back:,} of {started:,} operations back, "
            f"for {mean:.1f} s on average and {report.longest_hold_seconds:.1f} s at most{never}"
        )
    if report.idle_slot_seconds:
        yield (
            f"slots were idle for {report.idle_slot_seconds:.1f} s of {report.slot_seconds:.1f} s after failures"
        )


def of_observation(report: ObserverReport) -> Iterator[str]:
    """What the server did not show of runs that ended, or showed wrongly."""
    if report.incomplete:
        yield (
            f"the final tasks of {report.incomplete:,} runs that ended were not shown in time: these runs have no "
            "phases of tasks, and are not in tasks.jsonl"
        )
    if report.clock_conflicts:
        yield (
            f"the times of {report.clock_conflicts:,} runs contradict each other: the clocks of the API server and "
            "of the workflow controller differ, so these runs have no duration"
        )


def of_prefill(report: PrefillReport | None) -> Iterator[str]:
    """The rows that the preparation could not create or wait for."""
    if report is None:
        return
    if report.failed:
        yield f"{report.failed:,} rows of prefill could not be made"
    if report.unfinished_runs:
        yield f"{report.unfinished_runs:,} runs of prefill were still in flight when the test started"


def of_schedules(report: ScheduleReport, unanswered: int) -> Iterator[str]:
    """What schedules did not do."""
    if report.refused:
        yield f"{report.refused:,} schedules were refused"
    if unanswered:
        yield f"{unanswered:,} schedules may have been made: their creation got no answer, and they never showed up"
    if report.missed:
        yield f"no run was started for {report.missed:,} slots"
    if report.late:
        yield f"{report.late:,} runs were created more than 40 s after their slot"
