"""The phases of a run's critical path, each with a bound on its error, and times that contradict each other.

Server times are whole seconds: the true time is in [t, t + 1), so the difference of two is wrong by less than a
second. Each phase is the plain difference of what the server gave, so the phases from creation to finish add up to
the run's duration, and their errors, which lie about zero, average out over many runs. The exception is a
difference below zero, which is stated as 0 with its error: that adds at most half a second to a run's sum.

The error of a phase that is the sum of several spans may be up to as many seconds, less where the spans share
seconds. That is the worst case, well above the usual error of many spans; it is possible because the controller
starts pods in step with its requeue interval, so that their fractions of a second are similar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.observe.times import (
    ClockOffset,
    Interval,
    TimeSpan,
    edges_of,
    range_of,
    span,
    sum_of,
    whole_second,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.client.messages import Run
    from kfp_perf.observe.critical_path import CriticalPath
    from kfp_perf.observe.tracked import TrackedRun

# Clocks kept by NTP differ by milliseconds. A smaller contradiction than this proves nothing that matters.
_TOLERANCE_SECONDS = 0.1
# A run cannot have lasted longer than we have known of it: the allowance is for a schedule's slot, and for drift.
_SLACK_SECONDS, _SLACK_SHARE = 2.0, 0.001

FINISHED_BEFORE_CREATED = "finished_before_created"
STARTED_BEFORE_CREATED = "started_before_created"
VISIBLE_BEFORE_FINISHED = "finished_in_the_future"
LONGER_THAN_FOLLOWED = "longer_than_followed"


class Phase(NamedTuple):
    """The definition of a phase, where its times come from, and the bound of its error."""

    meaning: str
    source: str
    error: str


#: The phases in order of time. Together they span the time from due until the run's end was visible.
PHASES: dict[str, Phase] = {
    "submit": Phase(
        "from due to the creation of the run",
        "our clock, and created_at",
        "half of CreateRun's service time, less where the server's clock is known well",
    ),
    "queue": Phase(
        "from creation until the controller made the first pod's node",
        "created_at of the API server, start_time of the workflow controller",
        "1 s, and the offset between these two clocks, which is not known",
    ),
    "driver": Phase(
        "in drivers on the critical path, the start of their pods included",
        "start_time and end_time of the controller",
        "up to 1 s for each driver, and the uncertainty of the path",
    ),
    "execute": Phase(
        "in tasks on the critical path, the start of their pods included",
        "start_time and end_time of the controller",
        "up to 1 s for each task, and the uncertainty of the path",
    ),
    "transition": Phase(
        "between drivers and tasks, where the controller had to act",
        "start_time and end_time of the controller",
        "up to 1 s for each gap, and the uncertainty of the path",
    ),
    "finish": Phase(
        "from the end of the last pod to the end of the workflow",
        "end_time and finished_at of the controller",
        "1 s",
    ),
    "visible": Phase(
        "from the end of the workflow until the API showed it",
        "finished_at, update_time of the final state, and our last and first sight of the run",
        "1 s, less where we looked often, and the offset between controller and API server",
    ),
}
#: The phases that compare the clock of the API server with the controller's.
ACROSS_CLOCKS = frozenset({"queue", "visible"})


def phases_of(
    tracked: TrackedRun, run: Run, path: CriticalPath | None, offset: ClockOffset
) -> dict[str, TimeSpan]:
    """The phases of a run that has ended, as plain differences: see `clamped`. Unknown ones are absent.

    `tracked` has the run's times already. Without a path only `submit` and `visible` are known.
    """
    created = creation(tracked, offset)
    finished = None if tracked.finished_at is None else whole_second(tracked.finished_at)
    phases = {
        "submit": _submit(tracked, offset),
        "queue": None
        if path is None or created is None
        else span(created, whole_second(path.segments[0].start)),
        **({} if path is None else _on_the_path(path)),
        "finish": None if path is None or finished is None else _finish(path, finished),
        "visible": _visible(tracked, run, finished, offset),
    }
    return {name: phase for name in PHASES if (phase := phases.get(name)) is not None}


def clamped(phases: Mapping[str, TimeSpan]) -> dict[str, TimeSpan]:
    """The phases with those below zero stated as 0: within their error they are not less."""
    return {name: phase._replace(value=max(0.0, phase.value)) for name, phase in phases.items()}


def contradiction(tracked: TrackedRun, phases: Mapping[str, TimeSpan], offset: ClockOffset) -> str:
    """The name of a contradiction between a run's times; empty where there is none.

    A time span below zero by more than its error proves that the clocks of the API server and the workflow
    controller differ, or that one of their times is wrong. So does a run that lasted longer than we have followed
    it.
    """
    whole = duration(tracked, offset)
    if whole is not None and _below_zero(whole):
        return FINISHED_BEFORE_CREATED
    if whole is not None and tracked.seen_finished is not None:
        followed = tracked.seen_finished - (tracked.sent or tracked.due)
        if whole.value - whole.error > followed + _SLACK_SECONDS + _SLACK_SHARE * abs(followed):
            return LONGER_THAN_FOLLOWED
    if "queue" in phases and _below_zero(phases["queue"]):
        return STARTED_BEFORE_CREATED
    if "visible" in phases and _below_zero(phases["visible"]):
        return VISIBLE_BEFORE_FINISHED
    return ""


def _below_zero(estimate: TimeSpan) -> bool:
    return estimate.value + estimate.error < -_TOLERANCE_SECONDS


def _submit(tracked: TrackedRun, offset: ClockOffset) -> TimeSpan | None:
    if tracked.created_at is None or not tracked.sent or tracked.adopted:
        return None
    created = Interval(tracked.sent, tracked.ended)
    ahead = offset.at(tracked.ended)
    if ahead is not None:
        created = created.intersect(whole_second(tracked.created_at).shift(-ahead)) or created
    return span(Interval(tracked.due, tracked.due), created)


def _on_the_path(path: CriticalPath) -> dict[str, TimeSpan]:
    """The parts of the path, with the error of whole seconds and the path's uncertainty."""
    whole = path.segments[-1].end - path.segments[0].start
    estimates = {}
    for name, edges in edges_of(path.segments)._asdict().items():
        value, possible = sum_of(edges), range_of(edges)
        error = max(possible.high - value, value - possible.low) + getattr(path.uncertainty, name)
        # No part is less than nothing, or more than all of the path.
        most = max(value, whole - value) + 1.0 + path.uncertainty.end
        estimates[name] = TimeSpan(value, min(error, most))
    return estimates


def _finish(path: CriticalPath, finished: Interval) -> TimeSpan:
    value, error = span(whole_second(path.segments[-1].end), finished)
    return TimeSpan(value, error + path.uncertainty.end)


def _visible(
    tracked: TrackedRun, run: Run, finished: Interval | None, offset: ClockOffset
) -> TimeSpan | None:
    """From the end until the API server had the final report, on its own clock."""
    if finished is None or tracked.seen_finished is None:
        return None
    stated = [entry.updated_at for entry in run.state_history if entry.state == run.state]
    reported = whole_second(stated[-1]) if stated and stated[-1] is not None else None
    ahead = offset.at(tracked.seen_finished)
    if ahead is not None and tracked.seen_unfinished is not None:
        looked = Interval(tracked.seen_unfinished, tracked.seen_finished).shift(ahead)
        reported = looked if reported is None else reported.intersect(looked) or reported
    return None if reported is None else span(finished, reported)


def creation(tracked: TrackedRun, offset: ClockOffset) -> Interval | None:
    """When a run was created, on the server's clock; None if the server gave no time.

    The time is within the stated second and within our call. Where the two contradict each other, as after a step
    of a clock, the server's second is used.
    """
    if tracked.created_at is None:
        return None
    stated = whole_second(tracked.created_at)
    if not tracked.sent or tracked.adopted:
        return stated
    ahead = offset.at(tracked.ended)
    if ahead is None:
        return stated
    return stated.intersect(Interval(tracked.sent, tracked.ended).shift(ahead)) or stated


def duration(tracked: TrackedRun, offset: ClockOffset) -> TimeSpan | None:
    """From creation to finish; None if the server gave no times.

    The finish is stamped by the workflow controller. Its clock is assumed to equal the API server's, because their
    difference cannot be measured from outside; `phases.contradiction` finds the runs that disprove this.
    """
    created = creation(tracked, offset)
    if created is None or tracked.finished_at is None:
        return None
    return span(created, whole_second(tracked.finished_at))
