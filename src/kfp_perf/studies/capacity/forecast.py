"""How long a search will take: it is run against an ideal server, before the first request."""

from __future__ import annotations

from typing import NamedTuple

from kfp_perf.statistics.backlog import Slope
from kfp_perf.studies.capacity.guard import FEWEST_SECONDS
from kfp_perf.studies.capacity.plateau import GROWTH_BOUND, PlannedPlateau, Plateau
from kfp_perf.studies.capacity.search import SearchLimits, next_step


class Forecast(NamedTuple):
    """The number of plateaus of a search, and its seconds."""

    plateaus: int
    seconds: float


def forecast(
    limits: SearchLimits,
    capacity: float,
    visible_seconds: float,
    *,
    clean_up_seconds: float = 0.0,
    pause: float = 0.0,
) -> Forecast:
    """The course of a search on a server with this capacity, where a run takes so long to be visible.

    `clean_up_seconds` is the time to delete one run, `pause` that between two plateaus. Overload completes the
    capacity, and is stopped when it is certain.
    """
    done: list[Plateau] = []
    while isinstance(step := next_step(limits, done), PlannedPlateau):
        growth = 0.0 if limits.closed else max(0.0, 1.0 - capacity / step.rate)
        held = step.rate <= capacity if limits.closed else growth <= GROWTH_BOUND
        load = step.load_seconds
        if not held:
            certain = GROWTH_BOUND * step.measured_seconds / max(growth, GROWTH_BOUND)
            load = min(load, step.fill_seconds + max(certain, FEWEST_SECONDS, step.typical_seconds / 2.0))
        flow = step.rate / max(visible_seconds, 1e-3) if limits.closed else step.rate
        deletions = clean_up_seconds * load * flow
        if held:  # they begin while the last runs are followed
            deletions = max(0.0, deletions - visible_seconds)
        seconds = load + visible_seconds + deletions + pause
        broken = ("a threshold",) if limits.closed and not held else ()
        done.append(Plateau(step, Slope(growth, 0.001), visible_seconds, seconds, broken))
    return Forecast(len(done), sum(one.seconds for one in done))
