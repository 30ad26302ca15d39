"""Reads the outcome, the times, the phases and the tasks of a run in a final state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.client.messages import RunState
from kfp_perf.observe.phases import ACROSS_CLOCKS, clamped, contradiction, duration, phases_of
from kfp_perf.observe.run_analysis import failure_text, task_spans
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from kfp_perf.client.messages import Run
    from kfp_perf.observe.run_analysis import RunAnalysis
    from kfp_perf.observe.times import ClockOffset
    from kfp_perf.observe.tracked import TrackedRun

KNOWN_STATES = frozenset(RunState)


def fill_in(
    tracked: TrackedRun, run: Run, analysis: RunAnalysis, offset: ClockOffset, message: str = ""
) -> None:
    """Fill in the fields of a run whose end was seen at `tracked.seen_finished`.

    It may be called again with a later answer. `message` is KFP's text for a failure. Where the run's times
    contradict each other, `clock_conflict` names how, and the figures that compare two clocks are left out: the
    duration, and the phases `queue` and `visible`. Figures that need entries are left out where these are
    incomplete.
    """
    tracked.state = run.state
    tracked.created_at, tracked.scheduled_at = run.created_at, run.scheduled_at
    tracked.finished_at = run.finished_at
    tracked.running_at = tracked.running_at or running_at(run)
    tracked.outcome, tracked.error = _outcome(run, analysis, message)
    tracked.tasks_complete = analysis.complete
    tracked.cached = analysis.complete and analysis.cached
    phases = phases_of(tracked, run, analysis.path, offset)
    tracked.clock_conflict = contradiction(tracked, phases, offset)
    whole = None if tracked.clock_conflict else duration(tracked, offset)
    tracked.duration_seconds, tracked.duration_error_seconds = whole or (None, None)
    left_out = ACROSS_CLOCKS if tracked.clock_conflict else frozenset()
    tracked.phases = clamped({name: phase for name, phase in phases.items() if name not in left_out})


def fill_in_tasks(tracked: TrackedRun, analysis: RunAnalysis) -> None:
    """Fill in the tasks of a run whose entries are complete."""
    if analysis.complete and tracked.created_at is not None:
        tracked.tasks = task_spans(analysis, tracked.created_at)


def running_at(run: Run) -> float | None:
    """When the API server first received the report that a run is running; of a fast one it may never have."""
    return next((change.updated_at for change in run.state_history if change.state == RunState.RUNNING), None)


def _outcome(run: Run, analysis: RunAnalysis, message: str) -> tuple[Outcome, str]:
    """The outcome of a run that has ended, and the text of its error."""
    if run.state not in KNOWN_STATES:
        return Outcome.LOST, f"ended in an unknown state: {run.state[:40]}"
    if run.state == RunState.SUCCEEDED:
        return Outcome.SUCCEEDED, ""
    return Outcome.FAILED, failure_text(run.state, analysis, message)
