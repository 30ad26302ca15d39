"""The hinge: how the growth of a backlog depends on the arrival rate.

Up to the capacity nothing piles up. Beyond it, the share of the arrivals that is not completed rises: by one
minus capacity over rate where the server goes on completing its capacity, and faster where it completes less
under overload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOPES = np.linspace(1.0, 2.5, 7)
"""Slope 1: the server completes its capacity at any load. KFP's shared throttle gives up to 2.5."""

_RATES_A_OCTAVE = 200
_FLOOR = 0.02
"""The least error of a growth: the curve is not exactly a hinge."""


class GrowthAt(NamedTuple):
    """A share of arrivals that did not leave, with its standard error, at a rate."""

    rate: float
    growth: float
    error: float


@dataclass(frozen=True, slots=True)
class Hinge:
    """A fitted hinge: `capacity` in the unit of the rates, and the slope above it."""

    capacity: float
    slope: float

    def growth(self, rate: float) -> float:
        """The share of the arrivals that is not completed at a rate."""
        return self.slope * max(0.0, 1.0 - self.capacity / rate)


def fit_hinge(points: Sequence[GrowthAt]) -> Hinge | None:
    """Fit by weighted least squares over a grid; None where no point shows growth.

    Of rates that fit equally well the middle one is taken, which is between the highest point without growth and
    the lowest with it.
    """
    if not any(one.growth > 0.0 for one in points):
        return None
    rates = np.array([one.rate for one in points])
    growth = np.maximum([one.growth for one in points], 0.0)
    weights = 1.0 / (np.array([one.error for one in points]) ** 2 + _FLOOR**2)
    low, high = np.log2(rates.min()) - 3.0, np.log2(rates.max())
    capacities = 2.0 ** np.linspace(low, high, int((high - low) * _RATES_A_OCTAVE) + 2)
    over = np.maximum(0.0, 1.0 - capacities[:, None] / rates)
    misfit = np.stack([((growth - slope * over) ** 2 * weights).sum(axis=1) for slope in SLOPES])
    best = misfit.min()
    places = np.argwhere(misfit <= best + 1e-9 * (1.0 + best))
    slope, capacity = places[len(places) // 2]
    return Hinge(float(capacities[capacity]), float(SLOPES[slope]))
