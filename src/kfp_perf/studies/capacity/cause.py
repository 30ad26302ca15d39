"""What gave way first: the phase in which runs pile up, and the component that it points at.

By Little's law the number of runs in a phase is the arrival rate times the time in it. So at a constant rate the
backlog grows where that time grows from run to run, in the order in which the runs were due. Only runs due early
enough that nearly all of them ended are used: the later ones that ended are the quick ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kfp_perf.statistics.backlog import STANDARD_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from kfp_perf.result.capacity import Component

CREATE = "create"
"""CreateRun's own latency, which a throttle of the API server makes long."""
PHASES_OF: dict[Component, tuple[str, ...]] = {
    "api server": (CREATE,),
    "controller": ("queue", "transition", "finish"),
    "pods": ("driver", "execute"),
    "agent": ("visible",),
}
"""The phases that grow when a component gives way; CreateRun's wait is taken out of `queue`."""

LEFT_SHARE = 0.75
"""How many of the runs due until a moment must have ended to be used."""
FEWEST_RUNS = 20
CREATE_RISE = 0.3
CREATE_RISE_SECONDS = 0.03
"""By how much CreateRun must take longer than at light load to show that the API server makes it wait.

Its share of the growth decides nothing: the agent's few workers wait at the same throttle as CreateRun, so the
backlog is in `visible`, and only a few calls queue there at a time. An agent that is slow by itself leaves
CreateRun as it was.
"""
DECIDING_SHARE = 0.5


class PhaseTimes(NamedTuple):
    """Runs in the order in which they were due: when, and the seconds in each phase (NaN: not known)."""

    due: NDArray[np.float64]
    phases: Mapping[str, NDArray[np.float64]]
    ended: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PhaseGrowth:
    """A phase: its mean seconds at light load, and at the limit; by how many seconds a second it grew there."""

    phase: str
    light_seconds: float | None
    limit_seconds: float
    growth: float
    error: float


def usable(times: PhaseTimes) -> int:
    """How many of the first runs can be used: nearly all of them ended."""
    if not times.due.size:
        return 0
    shares = np.cumsum(times.ended) / np.arange(1, times.ended.size + 1)
    enough = np.flatnonzero(shares >= LEFT_SHARE)
    return int(enough[-1]) + 1 if enough.size else 0


def growths(light: PhaseTimes | None, limit: PhaseTimes) -> list[PhaseGrowth]:
    """How each phase grew, the one that grew most first; empty where too few runs are known."""
    count = usable(limit)
    found = []
    for name, seconds in limit.phases.items():
        known = np.isfinite(seconds[:count])
        if known.sum() < FEWEST_RUNS:
            continue
        due, values = limit.due[:count][known], seconds[:count][known]
        slope, error = _slope(due, values)
        before = None
        if light is not None and name in light.phases:
            earlier = light.phases[name][np.isfinite(light.phases[name])]
            before = float(earlier.mean()) if earlier.size else None
        third = values[-max(1, values.size // 3) :]
        found.append(PhaseGrowth(name, before, float(third.mean()), slope, error))
    return sorted(found, key=lambda one: -one.growth)


def component_of(phases: list[PhaseGrowth]) -> Component:
    """The component that gave way; `unknown` where no phase's growth decides.

    It must have at least half of all growth, and grow by more than two standard errors. Where `visible` grows, the
    API server gave way if CreateRun waits too, else the agent.
    """
    by_phase = {one.phase: one for one in phases}
    total = sum(max(0.0, one.growth) for one in phases)

    def growth(component: Component) -> float:
        return sum(max(0.0, by_phase[name].growth) for name in PHASES_OF[component] if name in by_phase)

    largest = max(PHASES_OF, key=growth)
    known = [by_phase[name] for name in PHASES_OF[largest] if name in by_phase]
    error = float(np.sqrt(sum(one.error**2 for one in known)))
    if growth(largest) < max(DECIDING_SHARE * total, STANDARD_ERRORS * error) or total <= 0.0:
        return "unknown"
    return "api server" if largest == "agent" and _create_waits(by_phase.get(CREATE)) else largest


def _create_waits(create: PhaseGrowth | None) -> bool:
    if create is None or create.light_seconds is None:
        return False
    rise = create.limit_seconds - create.light_seconds
    return rise > max(CREATE_RISE * create.light_seconds, CREATE_RISE_SECONDS)


def _slope(at: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """The least-squares slope, and its standard error."""
    centred = at - at.mean()
    spread = float(centred @ centred)
    if spread <= 0.0:
        return 0.0, 0.0
    slope = float(centred @ values) / spread
    left_over = values - values.mean() - slope * centred
    return slope, float(np.sqrt(left_over @ left_over / max(1, at.size - 2) / spread))
