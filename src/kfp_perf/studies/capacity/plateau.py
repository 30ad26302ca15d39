"""A plateau: one constant load, what it is to measure, and what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from kfp_perf.statistics.backlog import STANDARD_ERRORS, plateau_growth

if TYPE_CHECKING:
    from kfp_perf.statistics.backlog import Flow, Slope

GROWTH_BOUND = 0.025
"""The share of arrivals that may stay behind: less is lost in the variation of a plateau of a thousand runs."""
RAMP_GROWTH_BOUND = 0.15
"""The same in the ramp, whose plateaus are short."""


class Part(StrEnum):
    """The part of the search that a plateau belongs to."""

    LIGHT = "light load"
    RAMP = "ramp"
    PLATEAU = "plateau"


@dataclass(frozen=True, slots=True)
class PlannedPlateau:
    """A plateau to measure: `rate` operations a second, evenly spaced, for a time to fill and a measured time.

    `typical_seconds` is the 90 % quantile from due to visible that they follow from; 0 where it is not known yet.
    """

    part: Part
    rate: float
    fill_seconds: float
    measured_seconds: float
    typical_seconds: float = 0.0

    @property
    def fluctuation(self) -> float:
        """By how many operations the number in flight varies at a constant load: two standard deviations at most.

        With evenly spaced arrivals it varies less than with random ones, where it has a Poisson distribution.
        """
        return 2.0 * math.sqrt(self.rate * self.typical_seconds)

    @property
    def load_seconds(self) -> float:
        """The whole time of the load."""
        return self.fill_seconds + self.measured_seconds


@dataclass(frozen=True, slots=True)
class Plateau:
    """What a plateau showed.

    `growth` is the share of the arrivals in the measured time that did not leave (`plateau_growth`); None where
    nothing was due or the load ended too early. `visible_p90` is the 90 % quantile from due to visible in
    seconds, None where it was not reached. `broken` are the thresholds that were not kept, without those that
    judge the backlog itself. `stopped` is why the load ended early; empty where it did not. `seconds` is the
    time from the start of the plateau to the start of the next one.
    """

    step: PlannedPlateau
    growth: Slope | None
    visible_p90: float | None
    seconds: float
    broken: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.step.rate

    @property
    def kept_up(self) -> bool:
        """Whether the server kept up: the backlog did not grow by more than the bound and two standard errors."""
        if self.step.part is Part.LIGHT:
            return True  # it is too short to fill
        if self.growth is None:
            return not self.stopped
        if self.step.part is Part.PLATEAU:
            return not self.growth.exceeds(GROWTH_BOUND)
        # A short plateau: the backlog must be larger than chance makes it.
        backlog = self.growth.per_second * self.rate * self.step.measured_seconds
        return self.growth.per_second <= RAMP_GROWTH_BOUND or (
            not self.stopped and backlog < self.step.fluctuation
        )

    @property
    def held(self) -> bool:
        """Whether the load is sustainable: the server kept up, and all thresholds were kept."""
        return self.kept_up and not self.broken and not self.stopped


def growth_of(flow: Flow, step: PlannedPlateau, end: float) -> Slope | None:
    """The growth in the measured time of a plateau whose load began with the flow and ended at `end`."""
    return plateau_growth(flow, min(flow.begin + step.fill_seconds, end), end)


__all__ = [
    "GROWTH_BOUND",
    "RAMP_GROWTH_BOUND",
    "STANDARD_ERRORS",
    "Part",
    "PlannedPlateau",
    "Plateau",
    "growth_of",
]
