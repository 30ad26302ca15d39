"""Where a run's time went: the phases of its critical path, each with a bound on its error.

Server times are whole seconds, so the truth lies in [t, t + 1), and a difference of two is off by less than a
second. Each phase is told as the plain difference of what the server gave: so the phases from creation to finish
add up to the run's duration, and their errors, which lie about zero, average out over many runs.

A phase that is a sum of several stretches is off by up to as many seconds, less where they share seconds. That is
the worst case, well above what is usual of many stretches: but the fractions need not cancel, since the controller
starts things in step with its requeue interval. Negative phases are kept. What the server does not give is absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.observe.clock_offset import Interval
from kfp_perf.observe.durations import Estimate, creation, span, whole_second
from kfp_perf.observe.stretches import edges_of, range_of, told

if TYPE_CHECKING:
    from kfp_perf.client.messages import Run
    from kfp_perf.observe.clock_offset import ClockOffset
    from kfp_perf.observe.critical_path import CriticalPath
    from kfp_perf.result.records import RunRecord


class Phase(NamedTuple):
    """What a phase is, where its times come from, and how far off it may be."""

    meaning: str
    source: str
    error: str


#: The phases in order of time. Together they lead from the moment a run was due to the one its end was visible.
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
        "up to 1 s for each driver, and the doubt of the path",
    ),
    "execute": Phase(
        "in tasks on the critical path, the start of their pods included",
        "start_time and end_time of the controller",
        "up to 1 s for each task, and the doubt of the path",
    ),
    "transition": Phase(
        "between these, where the controller had to act",
        "start_time and end_time of the controller",
        "up to 1 s for each gap, and the doubt of the path",
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


def phases_of(
    record: RunRecord, run: Run, path: CriticalPath | None, offset: ClockOffset
) -> dict[str, Estimate]:
    """The phases of a run that has ended, as far as they can be told. `record` has the run's times already."""
    created = creation(record, offset)
    finished = None if record.finished_at is None else whole_second(record.finished_at)
    phases = {
        "submit": _submit(record, offset),
        "queue": None
        if path is None or created is None
        else span(created, whole_second(path.segments[0].start)),
        **({} if path is None else _on_the_path(path)),
        "finish": None if path is None or finished is None else _finish(path, finished),
        "visible": _visible(record, run, finished, offset),
    }
    return {name: phase for name in PHASES if (phase := phases.get(name)) is not None}


def _submit(record: RunRecord, offset: ClockOffset) -> Estimate | None:
    if record.created_at is None or not record.sent or record.adopted:
        return None
    created = Interval(record.sent, record.ended)
    ahead = offset.at(record.ended)
    if ahead is not None:
        created = created.intersect(whole_second(record.created_at).shift(-ahead)) or created
    return span(Interval(record.due, record.due), created)


def _on_the_path(path: CriticalPath) -> dict[str, Estimate]:
    """The split of the path, with what whole seconds allow and the path's doubt."""
    whole = path.segments[-1].end - path.segments[0].start
    estimates = {}
    for name, edges in edges_of(path.segments)._asdict().items():
        value, possible = told(edges), range_of(edges)
        error = max(possible.high - value, value - possible.low) + getattr(path.doubt, name)
        # No part is less than nothing, or more than all of the path.
        most = max(value, whole - value) + 1.0 + path.doubt.end
        estimates[name] = Estimate(value, min(error, most))
    return estimates


def _finish(path: CriticalPath, finished: Interval) -> Estimate:
    value, error = span(whole_second(path.segments[-1].end), finished)
    return Estimate(value, error + path.doubt.end)


def _visible(record: RunRecord, run: Run, finished: Interval | None, offset: ClockOffset) -> Estimate | None:
    """From the end to when the API server had the final report, on its own clock."""
    if finished is None or record.seen_finished is None:
        return None
    stated = [entry.updated_at for entry in run.state_history if entry.state == run.state]
    reported = whole_second(stated[-1]) if stated and stated[-1] is not None else None
    ahead = offset.at(record.seen_finished)
    if ahead is not None and record.seen_unfinished is not None:
        looked = Interval(record.seen_unfinished, record.seen_finished).shift(ahead)
        reported = looked if reported is None else reported.intersect(looked) or reported
    return None if reported is None else span(finished, reported)
