"""Whether a server falls behind a load that does not wait for it.

The number of runs in flight rises in every healthy test while it fills and while a ramp rises, so its trend decides
nothing. The *lag* does not: it is how long ago the first run was due that has not left, where runs leave in the
order in which they were due. In a system that keeps up it stays near the time that one run takes, whatever the
rate; in one that does not it grows by the share of the runs that it does not complete.

Runs count from when they were due, so those that wait for CreateRun count; they leave when their end is visible, or
when they are refused or lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SLICES = 12
STANDARD_ERRORS = 2.0

FIRST_RUNS = 20
"""From how many runs, the first that left, the typical time is taken."""
FEWEST_FIRST_RUNS = 5

FILLING_TIMES = 2.0
"""How many typical times a system takes to fill."""
JUDGED_TIMES = 3.0
"""How many typical times must be left to say that a load did not fall behind."""
FEWEST_SECONDS = 12.0

GROWTH_BOUND = 0.05
"""Seconds a second by which the lag must grow."""
LATE_GROWTH = 0.2
"""The same in the last third: queues of few servers vary so much that less is a common false alarm."""
CERTAIN_GROWTH = 0.5
"""The same where there is too little time to say that a load did not fall behind."""
RISE_BOUND = 0.25
"""How far the lag must end above where it was before, as a share of that."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """How many runs were due and how many had left, as cumulative counts at equally spaced moments.

    `due[i]` and `left[i]` are the counts at `begin + (i + 1) * step`; both were zero at `begin`. Times are in
    seconds on any one clock.
    """

    begin: float
    due: NDArray[np.float64]
    left: NDArray[np.float64]
    step: float = 1.0

    def __post_init__(self) -> None:
        if self.due.shape != self.left.shape or self.due.ndim != 1:
            raise ValueError(
                f"due and left must be of one length, not {self.due.shape} and {self.left.shape}"
            )

    @classmethod
    def of_times(cls, due: ArrayLike, left: ArrayLike, *, begin: float, end: float) -> Self:
        """Count runs every second, by the times when they were due and when they left (`inf`, NaN: not yet)."""
        moments = begin + np.arange(1, math.floor(end - begin + 1e-9) + 1)
        counts = [
            np.searchsorted(np.sort(np.asarray(times, dtype=np.float64)), moments, side="right").astype(float)
            for times in (due, left)
        ]
        return cls(begin, counts[0], counts[1])

    @property
    def times(self) -> NDArray[np.float64]:
        """The moments of the counts."""
        return np.asarray(self.begin + self.step * np.arange(1, self.due.size + 1))

    def lag(self) -> NDArray[np.float64]:
        """How long ago the first run that has not left was due, in seconds at each moment; 0 where all left.

        Runs that are due between two counts are taken as evenly spread between them.
        """
        if not self.due.size:
            return np.zeros(0)
        # The n-th run is the middle of the n-th unit of the cumulative count.
        level = self.left + 0.5
        reached = np.minimum(np.searchsorted(self.due, level), self.due.size - 1)
        before = np.where(reached > 0, self.due[reached - 1], 0.0)
        share = (level - before) / np.maximum(self.due[reached] - before, 1.0)
        lag = self.times - (self.begin + self.step * (reached + np.clip(share, 0.0, 1.0)))
        return np.where(self.due > self.left, np.maximum(lag, 0.0), 0.0)

    def between(self, begin: float, end: float) -> slice:
        """The places of the moments after `begin` and up to `end`."""
        first, last = (
            math.floor(min(max((at - self.begin) / self.step, 0.0), self.due.size) + 1e-9)
            for at in (begin, end)
        )
        return slice(first, last)

    def rates(self, begin: float, end: float) -> tuple[float, float]:
        """How many runs a second were due and left after `begin` and up to `end`."""
        places = self.between(begin, end)
        if places.stop <= places.start:
            return 0.0, 0.0
        seconds = (places.stop - places.start) * self.step
        before = places.start - 1
        due, left = (
            (counts[places.stop - 1] - (counts[before] if before >= 0 else 0.0)) / seconds
            for counts in (self.due, self.left)
        )
        return float(due), float(left)


class Slope(NamedTuple):
    """By how much something grows a second, and the standard error of that."""

    per_second: float
    error: float

    def exceeds(self, bound: float) -> bool:
        """Whether it grows by more than `bound` a second, and by more than two of its standard errors."""
        return self.per_second > max(bound, STANDARD_ERRORS * self.error)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Whether a load fell behind.

    `reason` is why that is unknown; empty where it is known, see `judged`. `since` is the moment from which
    the lag grew, on the clock of the flow. `lag` is its value in seconds at the end of the load, `growth` by how
    many seconds it grew a second. `offered` and `completed` are runs due and left a second: since then where it
    fell behind, else in the time that was judged.
    """

    reason: str = ""
    behind: bool = False
    since: float | None = None
    lag: float | None = None
    growth: float | None = None
    offered: float | None = None
    completed: float | None = None

    @property
    def judged(self) -> bool:
        """Whether there was enough to judge."""
        return not self.reason


def judge_backlog(
    flow: Flow, first_visible_seconds: ArrayLike, *, load_end: float, warmup_end: float = -math.inf
) -> Backlog:
    """Say whether an open load or a schedule fell behind.

    `flow` counts all runs, those of the warm-up too, from before the first was due to at least the end of the load.
    `first_visible_seconds`: from due to visible, of the first 20 runs that left; their median is the *typical
    time*. `load_end` is the end of the load, `warmup_end` that of the warm-up, on the clock of the flow.

    What is judged begins two typical times after the flow's first run, when a system that keeps up has filled, and
    not before the end of the warm-up; it must last three typical times and 12 s. The load fell behind if the lag,
    in 12 equal slices, grows by more than 0.05 s a second over that stretch or by more than 0.2 over its last
    third, and by more than two standard errors, and ends more than 25 % above its median in the first third and
    above the typical time.

    A stretch of one to three typical times can only show that a load fell behind, by a growth of more than 0.5 s a
    second: while a system that keeps up fills, the lag grows by the share of runs that take longer than the time so
    far, which is at most a half from the median on.

    docs/metrics.md has the false alarms and the power by simulation, and where the rule fails.
    """
    load_end = min(load_end, flow.begin + flow.step * flow.due.size)
    typical_of = np.asarray(first_visible_seconds, dtype=np.float64)[:FIRST_RUNS]
    due_until = flow.due[: flow.between(flow.begin, load_end).stop]
    if not due_until.size or not due_until[-1]:
        return Backlog("no run was due")
    if typical_of.size < FEWEST_FIRST_RUNS:
        return Backlog(
            f"{typical_of.size} of {due_until[-1]:.0f} runs had succeeded, "
            f"and at least {FEWEST_FIRST_RUNS} are needed"
        )
    typical = float(np.median(typical_of))
    first_due = flow.begin + flow.step * float(np.flatnonzero(flow.due)[0])
    begin = max(first_due + FILLING_TIMES * typical, warmup_end)
    seconds = load_end - begin
    needed = max(JUDGED_TIMES * typical, FEWEST_SECONDS, SLICES * flow.step)
    short = (
        f"too short to tell: {max(0.0, seconds):.0f} s of load after "
        f"{'the warm-up' if begin == warmup_end else 'filling'}, and at least {needed:.0f} s are needed"
    )
    if seconds < max(typical, FEWEST_SECONDS, SLICES * flow.step):
        return Backlog(short)
    places = flow.between(begin, load_end)
    lag, times = flow.lag()[places], flow.times[places]
    before = max(typical, float(np.median(lag[: lag.size // 3])))
    # Both at the end and just before: between bursts all may have left.
    at_end = min(float(lag[-1]), float(lag[-max(1, lag.size // SLICES) :].mean()))
    whole, last = (_slope(part, flow.step) for part in (lag, lag[-(lag.size // 3) :]))
    bounds = (GROWTH_BOUND, LATE_GROWTH) if seconds >= needed else (CERTAIN_GROWTH, CERTAIN_GROWTH)
    growing = [
        one.per_second
        for one, bound in zip((whole, last), bounds, strict=True)
        if one is not None and one.exceeds(bound)
    ]
    behind = bool(growing) and at_end > (1.0 + RISE_BOUND) * before
    if not behind and seconds < needed:
        return Backlog(short)
    since = float(_since(times, lag, before, begin)) if behind else None
    offered, completed = flow.rates(begin if since is None else since, load_end)
    return Backlog(
        behind=behind,
        since=since,
        lag=float(lag[-1]),
        growth=max(growing) if behind else (whole.per_second if whole else 0.0),
        offered=offered,
        completed=completed,
    )


def plateau_growth(flow: Flow, begin: float, end: float) -> Slope | None:
    """The share of the runs due between `begin` and `end` that did not leave, with its standard error.

    It is the slope of the number of runs in flight, in 12 equal slices, over the rate at which runs were due; None
    where that is zero or there are fewer than 12 moments. A constant load is assumed. The ends are on the clock of
    the flow, and the system should have filled before `begin`.
    """
    places = flow.between(begin, end)
    offered, _ = flow.rates(begin, end)
    slope = _slope((flow.due - flow.left)[places], flow.step)
    if slope is None or not offered:
        return None
    return Slope(slope.per_second / offered, slope.error / offered)


def _slope(values: NDArray[np.float64], step: float) -> Slope | None:
    """The least-squares slope of the means of 12 equal slices; None for fewer values than slices."""
    if values.size < SLICES:
        return None
    edges = np.linspace(0, values.size, SLICES + 1).astype(np.int64)
    means = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    at = (edges[:-1] + edges[1:] - 1) / 2.0 * step
    at = at - at.mean()
    spread = float(at @ at)
    slope = float(at @ means) / spread
    left_over = means - means.mean() - slope * at
    return Slope(slope, math.sqrt(float(left_over @ left_over) / (SLICES - 2) / spread))


def _since(times: NDArray[np.float64], lag: NDArray[np.float64], level: float, begin: float) -> float:
    """When the lag was last at most `level`; `begin` where it never was."""
    low = np.flatnonzero(lag <= level)
    return float(times[low[-1]]) if low.size else begin
