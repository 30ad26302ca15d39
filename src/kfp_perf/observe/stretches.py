"""What stretches of time come to in all, where their begins and ends are known in whole seconds."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.observe.clock_offset import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Segment(NamedTuple):
    """A stretch of a run's path in one pod: a driver's, or a task's; both with the start of the pod."""

    name: str
    is_driver: bool
    start: float
    end: float


#: A whole second, and whether a stretch of time begins (-1) or ends (1) in it.
Edge = tuple[float, int]


class Edges(NamedTuple):
    """The edges of the time in drivers, in tasks, and between them."""

    driver: list[Edge]
    execute: list[Edge]
    transition: list[Edge]


def edges_of(segments: Sequence[Segment]) -> Edges:
    """The edges of what a path splits into, each in order of time."""
    edges = Edges([], [], [])
    for segment in segments:
        part = edges.driver if segment.is_driver else edges.execute
        part.extend(((segment.start, -1), (segment.end, 1)))
    for earlier, later in itertools.pairwise(segments):
        edges.transition.extend(((earlier.end, -1), (later.start, 1)))
    return edges


def told(edges: Iterable[Edge]) -> float:
    """The plain sum: off by as much as whole seconds allow, and by nothing on average over many runs."""
    return sum(sign * second for second, sign in edges)


def range_of(edges: Iterable[Edge]) -> Interval:
    """Between what the sum truly lies.

    An edge at t lies in [t, t + 1), and edges come one after the other: so of those within one second, the sum is
    largest, or smallest, with all up to some edge at its begin, and the rest at its end. Stretches within a second
    hence add up to less than one, however many they are.

    An edge may be told as the middle of several seconds that it may lie in (see `critical_path`). What it is away
    from the true one is in the path's doubt: moved by that much, it lies in [t, t + 1), still in order.
    """
    low = high = 0.0
    for second, group in itertools.groupby(edges, key=lambda edge: edge[0]):
        signs = [sign for _, sign in group]
        sums = [*itertools.accumulate(reversed(signs), initial=0)]
        low += second * sums[-1] + min(sums)
        high += second * sums[-1] + max(sums)
    return Interval(low, high)
