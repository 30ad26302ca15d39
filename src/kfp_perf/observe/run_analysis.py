"""Analysis of runs that have ended: outcome, times, phases, critical path, failed tasks; and totals over runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from kfp_perf.client.messages import RunState
from kfp_perf.observe.critical_path import CriticalPath, critical_path
from kfp_perf.observe.phases import ACROSS_CLOCKS, clamped, contradiction, duration, phases_of
from kfp_perf.observe.task_details import Completeness, Entry, TaskExecutions, completeness, match_executors
from kfp_perf.pipelines.shape import Dag, TaskKind
from kfp_perf.result.records import Outcome, TaskSpan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.client.messages import Run
    from kfp_perf.observe.times import ClockOffset
    from kfp_perf.observe.tracked import TrackedRun

KNOWN_STATES = frozenset(RunState)
_NOT_COMPONENTS = ("root", "iteration", "condition-", "exit-handler-", "for-loop-")
_FAILED = frozenset({"FAILED", "ERROR"})
_DRIVER = "-driver"
#: The number of failed tasks that are named; the others are counted.
MOST_NAMES = 3
# More names than this are not components, but made up by the server.
_MOST_COMPONENTS = 1000


class RunAnalysis(NamedTuple):
    """The entries of a run, analysed.

    `components` are the names of the tasks that do work. `complete`: these are the final entries. Else `path` is
    None, which it may be of a complete run too.
    """

    entries: list[Entry]
    components: set[str]
    executions: TaskExecutions
    path: CriticalPath | None
    complete: bool = True

    @property
    def cached(self) -> bool:
        """Whether nothing was executed, because all results came from the cache."""
        ran = {entry.position for entry in self.entries if entry.name in self.components and entry.ran}
        executions = self.executions
        return (
            bool(executions) and all(each.cached for each in executions.values()) and ran <= executions.keys()
        )


def analyse(entries: list[Entry], shape: Dag | None) -> RunAnalysis:
    """Analyse the entries of a run in a final state; `shape` is that of its pipeline, if it is known."""
    if shape is None:
        containers = components = _guessed_components(entries)
    else:
        containers = shape.names(TaskKind.CONTAINER)
        components = containers | shape.names(TaskKind.IMPORTER)
    executions = match_executors(entries, containers)
    complete = completeness(entries) is Completeness.COMPLETE
    path = critical_path(entries, shape, executions) if complete else None
    return RunAnalysis(entries, components, executions, path, complete)


#: Of a run whose entries are not needed, or not complete.
NOT_ANALYSED = RunAnalysis([], set(), {}, None, complete=False)


def _guessed_components(entries: list[Entry]) -> set[str]:
    """The names of what has a driver, and is not a group by its name."""
    names = {entry.name for entry in entries}
    return {name for name in names if f"{name}{_DRIVER}" in names and not name.startswith(_NOT_COMPONENTS)}


def task_spans(analysis: RunAnalysis, created_at: float) -> list[TaskSpan]:
    """The tasks of a run that were carried out, by start; the marked ones are those of the critical path."""
    path = () if analysis.path is None else analysis.path.segments
    on_path = {segment.position for segment in path}
    spans = []
    for entry in analysis.entries:
        if entry.name not in analysis.components or not entry.ran or entry.ended_at is None:
            continue
        execution = analysis.executions.get(entry.position)
        end = execution.ended_at if execution is not None else entry.work_ended_at or entry.ended_at
        spans.append(
            TaskSpan(
                entry.name,
                entry.started_at - created_at,
                end - created_at,
                entry.position in on_path,
                entry.state if execution is None or not execution.cached else "CACHED",
            )
        )
    return sorted(spans, key=lambda span: (span.begin, span.end))


# -- failures -------------------------------------------------------------------------------------------------


def failed_tasks(analysis: RunAnalysis) -> list[str]:
    """The names of the tasks whose own pods failed, in alphabetical order.

    A group around a failed task fails too, but is not named. `T (its driver)`: the task itself never began.
    """
    failed = [entry for entry in analysis.entries if entry.state in _FAILED]
    tasks = [entry for entry in failed if entry.name in analysis.components]
    # Where the pipeline is unknown, groups may be counted as components; they have no executor.
    executed = [entry for entry in tasks if entry.position in analysis.executions]
    drivers = [entry.name.removesuffix(_DRIVER) for entry in failed if entry.name.endswith(_DRIVER)]
    return sorted({entry.name for entry in executed or tasks} | {f"{name} (its driver)" for name in drivers})


def failure_text(state: str, analysis: RunAnalysis, message: str) -> str:
    """Why a run did not succeed, as `FAILED: task train failed: KFP's message`, as far as these are known.

    The text is the same for all runs that failed alike.
    """
    names = failed_tasks(analysis)
    parts = [state]
    if names:
        more = len(names) - MOST_NAMES
        listed = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"task{'s' if len(names) > 1 else ''} {listed} failed")
    return ": ".join([*parts, message] if message else parts)


# -- totals over runs -----------------------------------------------------------------------------------------


class ComponentTotals(msgspec.Struct):
    """One component over all runs that were due after the warm-up, and whose final tasks are known.

    `executed` counts executions that ended, `failed` those of them that failed, `cached` cache hits, `skipped`
    executions that a condition prevented, `on_critical_path` executions on the critical path of their run.
    `seconds` counts executions by whole seconds, from the creation of the task's node until the controller recorded
    its end, each with an error below one second.
    """

    executed: int = 0
    failed: int = 0
    cached: int = 0
    skipped: int = 0
    on_critical_path: int = 0
    seconds: dict[int, int] = {}


class Components:
    """The totals of each component, added up over runs."""

    def __init__(self) -> None:
        self.totals: dict[str, ComponentTotals] = {}

    def add(self, analysis: RunAnalysis) -> None:
        """Add a run that has ended."""
        for entry, totals in self._of_components(analysis):
            execution = analysis.executions.get(entry.position)
            if execution is not None and execution.cached:
                totals.cached += 1
            elif entry.ran:
                totals.executed += 1
                totals.failed += entry.state == "FAILED"
                second = int(entry.seconds or 0.0)
                totals.seconds[second] = totals.seconds.get(second, 0) + 1
            elif entry.ended_at is not None:
                totals.skipped += 1
        for segment in () if analysis.path is None else analysis.path.segments:
            if segment.name in analysis.components and (on_path := self._of(segment.name)) is not None:
                on_path.on_critical_path += 1

    def _of_components(self, analysis: RunAnalysis) -> Iterator[tuple[Entry, ComponentTotals]]:
        for entry in analysis.entries:
            if entry.name in analysis.components and (totals := self._of(entry.name)) is not None:
                yield entry, totals

    def _of(self, name: str) -> ComponentTotals | None:
        if name not in self.totals:
            if len(self.totals) >= _MOST_COMPONENTS:
                return None
            self.totals[name] = ComponentTotals()
        return self.totals[name]


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
