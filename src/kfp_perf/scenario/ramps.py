"""Levels that change in straight lines: what stages of slots and of rates are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.scenario.quantities import Rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.scenario.model import Stage


@dataclass(frozen=True, slots=True)
class Ramp:
    """A straight line from one level to another, over [start, end) in elapsed seconds."""

    start: float
    end: float
    first: float
    last: float

    @property
    def area(self) -> float:
        """The integral of the level over the ramp."""
        return (self.first + self.last) / 2 * (self.end - self.start)

    def level(self, elapsed: float) -> float:
        """Return the level at a time within the ramp."""
        return self.first + (self.last - self.first) * (elapsed - self.start) / (self.end - self.start)

    def time_of_area(self, area: float) -> float:
        """Return when the integral from the ramp's start exceeds `area`, which is less than the whole.

        Solves slope/2 t^2 + first t = area in the form that does not cancel: t = 2 area / (first + root).
        """
        slope = (self.last - self.first) / (self.end - self.start)
        root = math.sqrt(max(self.first * self.first + 2 * slope * area, 0.0))
        if not self.first + root:
            return self.start
        return self.start + 2 * area / (self.first + root)


def ramps_of(levels: Sequence[tuple[float, float]]) -> tuple[Ramp, ...]:
    """Return the ramps that (duration in seconds, level at the end) describe; the first begins at level 0.

    A duration of 0 jumps: it makes no ramp, but the next one begins at its level.
    """
    ramps: list[Ramp] = []
    now = level = 0.0
    for duration, target in levels:
        if duration > 0:
            ramps.append(Ramp(now, now + duration, level, target))
            now += duration
        level = target
    return tuple(ramps)


def stage_ramps(stages: Sequence[Stage]) -> tuple[Ramp, ...]:
    """Return the ramps of stages: of slots, or of rates per second."""
    return ramps_of(
        [
            (
                stage.duration_seconds,
                stage.target.per_second if isinstance(stage.target, Rate) else float(stage.target),
            )
            for stage in stages
        ]
    )
