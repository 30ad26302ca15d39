"""The limits of the machine and the settings, and what concurrent scenarios would need."""

from __future__ import annotations

import contextlib
import math
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_perf.scenario.estimate import ANSWER_SECONDS
from kfp_perf.scenario.workload import ClosedLoad, workload_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.scenario.model import TestScenario

USUAL_GRACE_SECONDS = 60.0
"""How long a scenario without `gracePeriod` is assumed to follow its last runs after its run time."""

FILES_OF_THE_PROCESS = 50
"""Open files beside those of the scenarios: libraries, log, results, the page of the live display."""

FILES_PER_SCENARIO = 6
"""Open files of a scenario beside its connections: its event loop and its files of results."""

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class Limits:
    """What this process may have at once; None: without limit, or not known.

    `open_files` is the soft limit of open files (`ulimit -n`), `ports` the number of local ports from which
    connections to one address can be made.
    """

    open_files: int | None = None
    ports: int | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """A scenario with its needs while it runs."""

    name: str
    scenario: TestScenario
    amount: int


def read_limits() -> Limits:
    """Return the limits of this process."""
    open_files: int | None = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if open_files == resource.RLIM_INFINITY:
        open_files = None
    ports: int | None = None
    with contextlib.suppress(OSError, ValueError):
        first, last = map(int, _PORT_RANGE.read_text().split())
        ports = last - first + 1
    return Limits(open_files, ports)


def connections_needed(scenario: TestScenario) -> int:
    """Return the most requests in flight at once, if the server answers as it does without load.

    In the closed model all slots start their first operation at the same time, and each is a request.
    """
    load = workload_of(scenario)
    if isinstance(load, ClosedLoad):
        return load.most
    if scenario.rate is None and scenario.mode_entry.num_times == "at_start":
        return scenario.num_times
    per_second = scenario.rate.per_second if scenario.rate else scenario.num_times / scenario.run_seconds
    in_flight = math.ceil(per_second * ANSWER_SECONDS)
    return min(in_flight, scenario.max_in_flight or in_flight)


def peak(demands: Iterable[Demand], grace_seconds: float = 0.0) -> tuple[int, list[Demand]]:
    """Return the highest sum of what overlapping scenarios need, and those scenarios, the largest first.

    A scenario that starts when another ends does not overlap with it. `grace_seconds` is the grace period of
    scenarios that do not set one.
    """
    spans = [
        (demand.scenario.start_seconds, _end(demand.scenario, grace_seconds), demand) for demand in demands
    ]
    # A sum is highest where some scenario has just started.
    sums = [
        [demand for begin, end, demand in spans if begin <= moment < end]
        for moment in {span[0] for span in spans}
    ]
    highest = max(sums, key=lambda found: sum(demand.amount for demand in found), default=[])
    return sum(demand.amount for demand in highest), sorted(highest, key=lambda demand: -demand.amount)


def _end(scenario: TestScenario, grace_seconds: float) -> float:
    end = scenario.start_seconds + scenario.run_seconds
    if not grace_seconds:
        return end
    return end + (grace_seconds if scenario.grace_seconds is None else scenario.grace_seconds)


def most_at_once(scenarios: Iterable[TestScenario], grace_seconds: float = 0.0) -> int:
    """Return how many scenarios overlap at most; see `peak`."""
    return peak((Demand("", scenario, 1) for scenario in scenarios), grace_seconds)[0]
