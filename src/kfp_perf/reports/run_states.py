"""In which state a client saw runs: how many at each moment, and the last state of runs without an end."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from kfp_perf.result.records import RunRecord

SUBMITTING, PENDING, RUNNING = "submitting", "pending", "running"
#: Each state in words, in order of time.
STATES = {
    SUBMITTING: "waiting for CreateRun's answer",
    PENDING: "created and not reported as running",
    RUNNING: "reported as running",
}
#: More points cannot be seen in a chart.
_MOST_POINTS = 480
WITHOUT_END = frozenset({Outcome.UNFINISHED, Outcome.CUT_OFF})


def _times() -> array[float]:
    return array("d")


@dataclass(slots=True)
class RunStates:
    """When runs entered each state, in seconds since the Unix epoch on the client's clock.

    A run is submitting from `due` to `created`, pending until `running`, and running until `over`, when its end was
    seen or it was last looked at. A state that a run was never seen in has no length. `report_ages` has, for
    each run that did not end, warm-up left out, the age of the last report of its state when it was last looked
    at: a lower bound, as the state was reported before it was seen.
    """

    due: array[float] = field(default_factory=_times)
    created: array[float] = field(default_factory=_times)
    running: array[float] = field(default_factory=_times)
    over: array[float] = field(default_factory=_times)
    report_ages: dict[str, array[float]] = field(
        default_factory=lambda: {state: _times() for state in STATES}
    )

    def add(self, record: RunRecord) -> None:
        """Add a run; one that a schedule started was created when it was due, as far as is known."""
        over = record.seen_finished or record.seen_unfinished or record.ended or record.due
        created = min(record.ended or record.due, over) if record.created else over
        running = min(max(record.seen_running or over, created), over)
        self.due.append(record.due)
        self.created.append(created)
        self.running.append(running)
        self.over.append(over)
        if record.outcome in WITHOUT_END and not record.warmup:
            state, since = (
                (RUNNING, running)
                if record.seen_running is not None
                else (PENDING, created)
                if record.created
                else (SUBMITTING, record.due)
            )
            self.report_ages[state].append(max(0.0, over - since))

    def _edges(self, state: str) -> tuple[array[float], array[float]]:
        moments = (self.due, self.created, self.running, self.over)
        place = tuple(STATES).index(state)
        return moments[place], moments[place + 1]

    def count_at(self, state: str, moment: float) -> int:
        """How many runs were in a state at a moment."""
        begin, end = self._edges(state)
        return int((np.asarray(begin) <= moment).sum() - (np.asarray(end) <= moment).sum())


class Growth(NamedTuple):
    """How the number of runs in a state changed between two moments."""

    state: str
    before: int
    after: int


def growths(states: RunStates, begin: float, end: float) -> list[Growth]:
    """How the number of runs in each state changed, that which grew most first.

    In a system that keeps up these numbers stay, as each is the arrival rate times the time in that state (Little,
    Operations Research 9, 1961). Unlike the times of the runs that ended, they hold all runs.
    """
    found = [Growth(state, states.count_at(state, begin), states.count_at(state, end)) for state in STATES]
    return sorted(found, key=lambda one: one.before - one.after)


def levels(
    states: Iterable[RunStates], state: str, origin: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The number of runs in a state, of all `states` together.

    Returns moments in seconds from `origin`, and the number from each moment on.
    """
    edges = [one._edges(state) for one in states]
    begin = np.concatenate([np.asarray(first) for first, _ in edges] or [np.empty(0)])
    end = np.concatenate([np.asarray(last) for _, last in edges] or [np.empty(0)])
    stays = end > begin
    begin, end = begin[stays], end[stays]
    times = np.concatenate([begin, end]) - origin
    steps = np.concatenate([np.ones(begin.size), -np.ones(end.size)])
    order = np.argsort(times, kind="stable")
    return times[order], np.cumsum(steps[order])


def thinned(
    times: NDArray[np.float64], values: NDArray[np.float64], seconds: float
) -> list[tuple[float, float]]:
    """Points of a level for a chart: each change, or where there are many, the largest value of each stretch."""
    points: Sequence[tuple[float, float]] = list(zip(map(float, times), map(float, values), strict=True))
    if len(points) <= 2 * _MOST_POINTS:
        return [*points]
    width = seconds / _MOST_POINTS
    largest: dict[int, float] = {}
    last = 0.0
    for time, value in points:
        place = int(time / width)
        largest[place] = max(largest.get(place, last), value)
        last = value
    return [*((place * width, value) for place, value in sorted(largest.items())), points[-1]]
