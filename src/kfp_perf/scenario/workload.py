"""Shapes of load, as pure functions: from elapsed time and a count to the time at which an operation is due.

Elapsed time is in seconds from the scenario's start. In the open model each operation is due at its own time,
whether or not earlier ones have ended; in the closed model there is a number of slots, each of which starts its
next operation when its last has ended.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from kfp_perf.scenario.quantities import Rate
from kfp_perf.scenario.ramps import Ramp, stage_ramps
from kfp_perf.statistics.random_streams import random_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.scenario.model import Stage, TestScenario

_TOLERANCE = 1e-9
"""The tolerance for rounding: an operation that would be due exactly at the end of the run time is not due."""


class OpenLoad(ABC):
    """The times at which the operations of an open load are due."""

    @abstractmethod
    def due(self, count: int) -> float | None:
        """Return when operation `count` (from 0) is due, in elapsed seconds; None: there are no more."""

    @property
    @abstractmethod
    def expected_total(self) -> float:
        """How many operations there are in all; the expected number where they are random."""


class ClosedLoad(ABC):
    """Slots, each of which has one operation in flight."""

    @abstractmethod
    def slots(self, elapsed: float) -> int:
        """Return how many slots there are at that time; 0 once the run time is over."""

    @abstractmethod
    def next_change(self, elapsed: float) -> float | None:
        """Return when the number of slots next changes after that time; None: never again."""

    @property
    @abstractmethod
    def slot_seconds(self) -> float:
        """The slots' integral over the run time."""

    @property
    @abstractmethod
    def most(self) -> int:
        """The highest number of slots."""


@dataclass(frozen=True, slots=True)
class EvenArrivals(OpenLoad):
    """`total` operations, one every `interval_seconds`; an interval of 0 makes all of them due at once."""

    total: int
    interval_seconds: float

    def due(self, count: int) -> float | None:
        """Return when operation `count` is due."""
        return count * self.interval_seconds if count < self.total else None

    @property
    def expected_total(self) -> float:
        """All of them."""
        return self.total


@dataclass(frozen=True, slots=True)
class RampedArrivals(OpenLoad):
    """Operations at a rate (per second) along ramps: operation n is due when the rate's integral exceeds n."""

    ramps: tuple[Ramp, ...]
    _areas: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_areas", tuple(accumulate(ramp.area for ramp in self.ramps)))

    def due(self, count: int) -> float | None:
        """Return when operation `count` is due."""
        return self.time_of(float(count))

    @property
    def expected_total(self) -> float:
        """The rate's integral."""
        return self._areas[-1] if self._areas else 0.0

    def time_of(self, area: float) -> float | None:
        """Return when the integral of the rate exceeds `area`; None: it never does."""
        index = bisect_right(self._areas, area + _TOLERANCE)
        if index == len(self._areas):
            return None
        before = self._areas[index - 1] if index else 0.0
        return self.ramps[index].time_of_area(max(area - before, 0.0))


class PoissonArrivals(OpenLoad):
    """Operations at random with the mean rate of `mean`: a Poisson process, repeatable by its seed.

    Unit-rate exponential gaps are mapped through the inverse of the rate's integral (the time-change theorem), so
    it holds for ramps too. In rising order of `count` each call takes constant time; an earlier count starts again
    from the seed.
    """

    def __init__(self, mean: RampedArrivals, seed: int | None) -> None:
        self._mean = mean
        self._seed = random.randrange(2**32) if seed is None else seed
        self._restart()

    def _restart(self) -> None:
        self._random = random_stream(self._seed, "arrivals")
        self._next = 0
        self._area = 0.0
        self._last: float | None = None

    def due(self, count: int) -> float | None:
        """Return when operation `count` is due."""
        if count < self._next - 1:
            self._restart()
        while self._next <= count:
            self._area += self._random.expovariate(1.0)
            self._last = self._mean.time_of(self._area)
            self._next += 1
            if self._last is None:
                break
        return self._last

    @property
    def expected_total(self) -> float:
        """The mean of the random number."""
        return self._mean.expected_total


@dataclass(frozen=True, slots=True)
class ConstantSlots(ClosedLoad):
    """The same number of slots throughout."""

    count: int
    run_seconds: float

    def slots(self, elapsed: float) -> int:
        """Return the number of slots."""
        return self.count if elapsed < self.run_seconds else 0

    def next_change(self, elapsed: float) -> float | None:
        """Return the end of the run time until it is reached; then None."""
        return self.run_seconds if elapsed < self.run_seconds else None

    @property
    def slot_seconds(self) -> float:
        """Slots by run time."""
        return self.count * self.run_seconds

    @property
    def most(self) -> int:
        """The number of slots."""
        return self.count


@dataclass(frozen=True, slots=True)
class RampedSlots(ClosedLoad):
    """Slots along ramps, rounded to the nearest whole number (halves up), so that the mean is the line's."""

    ramps: tuple[Ramp, ...]
    _changes: tuple[tuple[float, int], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_changes", tuple(_slot_changes(self.ramps)))

    def slots(self, elapsed: float) -> int:
        """Return the number of slots."""
        index = bisect_right(self._changes, elapsed, key=lambda change: change[0])
        return self._changes[index - 1][1] if index else 0

    def next_change(self, elapsed: float) -> float | None:
        """Return when the number changes next."""
        index = bisect_right(self._changes, elapsed, key=lambda change: change[0])
        return self._changes[index][0] if index < len(self._changes) else None

    @property
    def slot_seconds(self) -> float:
        """The line's integral."""
        return sum(ramp.area for ramp in self.ramps)

    @property
    def most(self) -> int:
        """The highest number of slots."""
        return max((slots for _, slots in self._changes), default=0)


def _slot_changes(ramps: Sequence[Ramp]) -> list[tuple[float, int]]:
    """Return each time at which the rounded level changes, and what it is from then on; 0 at the end."""
    changes: list[tuple[float, int]] = []

    def change(when: float, slots: int) -> None:
        if slots != (changes[-1][1] if changes else 0):
            changes.append((when, slots))

    for ramp in ramps:
        first, last = math.floor(ramp.first + 0.5), math.floor(ramp.last + 0.5)
        change(ramp.start, first)
        seconds_per_slot = (
            (ramp.end - ramp.start) / (ramp.last - ramp.first) if ramp.last != ramp.first else 0.0
        )
        for slots in range(first + 1, last + 1):
            change(ramp.start + (slots - 0.5 - ramp.first) * seconds_per_slot, slots)
        for slots in range(first - 1, last - 1, -1):
            change(ramp.start + (slots + 0.5 - ramp.first) * seconds_per_slot, slots)
    if ramps:
        change(ramps[-1].end, 0)
    return changes


def workload_of(scenario: TestScenario) -> OpenLoad | ClosedLoad:
    """Return the shape of a scenario's load; modes of plug-ins have slots unless they give a rate."""
    run_seconds = scenario.run_seconds
    if scenario.stages:
        return _staged(scenario, scenario.stages)
    if scenario.arrival_rate is not None:
        per_second = scenario.arrival_rate.per_second
        if scenario.arrivals == "poisson":
            return PoissonArrivals(
                RampedArrivals((Ramp(0.0, run_seconds, per_second, per_second),)), scenario.seed
            )
        return EvenArrivals(math.ceil(per_second * run_seconds - _TOLERANCE), 1 / per_second)
    counts = scenario.mode_entry.num_times
    if counts == "in_all":
        return EvenArrivals(scenario.num_times, run_seconds / scenario.num_times)
    if counts == "at_start":
        return EvenArrivals(scenario.num_times, 0.0)
    return ConstantSlots(scenario.num_times, run_seconds)


def _staged(scenario: TestScenario, stages: Sequence[Stage]) -> OpenLoad | ClosedLoad:
    ramps = stage_ramps(stages)
    if not isinstance(stages[0].target, Rate):
        return RampedSlots(ramps)
    mean = RampedArrivals(ramps)
    return PoissonArrivals(mean, scenario.seed) if scenario.arrivals == "poisson" else mean
