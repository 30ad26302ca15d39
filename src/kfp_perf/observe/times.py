"""Times in whole seconds on three clocks, and their differences with error bounds.

The API server and the workflow controller write whole seconds, with fractions cut off: a time t stands for any
time in [t, t + 1). All functions here return an estimate together with a bound on its error.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# adjtimex(2) slews a clock by at most 500 parts per million.
DRIFT_SECONDS_PER_SECOND = 500e-6


class Interval(NamedTuple):
    """A closed interval of times or differences, in seconds."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The best single value."""
        return (self.low + self.high) / 2

    @property
    def half_width(self) -> float:
        """The largest error of the middle."""
        return (self.high - self.low) / 2

    def intersect(self, other: Interval) -> Interval | None:
        """The values that are in both; None if there are none."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else None

    def shift(self, other: Interval) -> Interval:
        """All sums of a value of this interval and one of the other."""
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)


class TimeSpan(NamedTuple):
    """A time span in seconds: the true value is within `value` plus or minus `error`."""

    value: float
    error: float


def whole_second(time: float) -> Interval:
    """The interval of times that the server writes as this second."""
    return Interval(time, time + 1.0)


def span(begin: Interval, end: Interval) -> TimeSpan:
    """The time from one interval to another."""
    return TimeSpan(end.middle - begin.middle, end.half_width + begin.half_width)


# -- the offset between the API server's clock and ours -------------------------------------------------------


class ClockOffset:
    """The API server's clock minus ours, as an interval that every created run narrows.

    CreateRun stamps `created_at` with the API server's clock during the call, in whole seconds. If the call was
    sent at s and ended at e on our clock, and `created_at` is c, the creation lies in [s, e] on our clock and in
    [c, c + 1) on the server's, so the offset lies in [c - e, c + 1 - s]. The intervals of all calls are
    intersected. Because clocks drift apart, the result is widened over time by the most that NTP slews a clock. An
    empty intersection means that a clock was stepped (or that one interval was wrong): `steps` counts these.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._known: Interval | None = None
        self._known_at = 0.0

    def bracket(self, created_at: float, sent: float, ended: float) -> None:
        """Add a creation: the server's whole second, and when the call was sent and ended on our clock."""
        bracket = Interval(created_at - ended, created_at + 1.0 - sent)
        known = self.at(ended)
        common = bracket if known is None else known.intersect(bracket)
        if common is None:
            self.steps += 1
            common = bracket
        self._known, self._known_at = common, max(ended, self._known_at)

    def at(self, moment: float) -> Interval | None:
        """The interval of the offset at a time of our clock; None before the first creation."""
        if self._known is None:
            return None
        drift = DRIFT_SECONDS_PER_SECOND * abs(moment - self._known_at)
        return Interval(self._known.low - drift, self._known.high + drift)


# -- sums of time spans ---------------------------------------------------------------------------------------


class PathSegment(NamedTuple):
    """One pod on a run's critical path, a driver's or a task's, from the creation of its node to the pod's end.

    `position` is the position of its entry in the run's list of tasks.
    """

    name: str
    is_driver: bool
    start: float
    end: float
    position: int = -1


#: A whole second, and whether a time span begins (-1) or ends (1) in it.
Edge = tuple[float, int]


class Edges(NamedTuple):
    """The edges of the time in drivers, in tasks, and between them."""

    driver: list[Edge]
    execute: list[Edge]
    transition: list[Edge]


def edges_of(segments: Sequence[PathSegment]) -> Edges:
    """The edges of the parts of a path, each part in order of time."""
    edges = Edges([], [], [])
    for segment in segments:
        part = edges.driver if segment.is_driver else edges.execute
        part.extend(((segment.start, -1), (segment.end, 1)))
    for earlier, later in itertools.pairwise(segments):
        edges.transition.extend(((earlier.end, -1), (later.start, 1)))
    return edges


def sum_of(edges: Iterable[Edge]) -> float:
    """The plain sum of the time spans. Its error is zero on average over many runs; `range_of` bounds it."""
    return sum(sign * second for second, sign in edges)


def range_of(edges: Iterable[Edge]) -> Interval:
    """The interval of the true sum.

    An edge at t is in [t, t + 1), and edges are in order. So of the edges within one second, the sum is largest,
    or smallest, with all edges up to some one at the second's begin and the others at its end. Time spans within
    one second therefore add up to less than a second, however many they are.

    An edge may also be given as the middle of several possible seconds (see `critical_path`). Its distance from the
    true second is part of the path's uncertainty: moved by that distance, it lies in [t, t + 1), still in order.
    """
    low = high = 0.0
    for second, group in itertools.groupby(edges, key=lambda edge: edge[0]):
        signs = [sign for _, sign in group]
        sums = [*itertools.accumulate(reversed(signs), initial=0)]
        low += second * sums[-1] + min(sums)
        high += second * sums[-1] + max(sums)
    return Interval(low, high)
