"""Estimates of how many runs and requests a scenario makes, before the first of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.scenario.modes import PLUGIN_MODE
from kfp_perf.scenario.workload import ClosedLoad, OpenLoad, workload_of

if TYPE_CHECKING:
    from kfp_perf.scenario.model import TestScenario

ANSWER_SECONDS = 0.05
"""The assumed duration of a request: 20 to 50 ms were measured on a real server without load."""

POLL_SECONDS = 5.0
"""The assumed time between two readings of the runs in flight where it is not given."""

RUNS_PER_PAGE = 100
REQUESTS_PER_SCHEDULE = 3
"""Creation, disabling at the end of the run time, and deletion."""

REQUESTS_PER_SCENARIO = 5
"""Preparation and clean-up: health, experiment, upload, and their deletion."""


@dataclass(frozen=True, slots=True)
class LoadEstimate:
    """The expected load of a scenario; `seconds_per_run` is the assumption it is based on (0: none)."""

    runs: int
    requests: int
    seconds_per_run: float = 0.0


def estimate(scenario: TestScenario, seconds_per_run: float, firings: int = 0) -> LoadEstimate | None:
    """Return the estimate, or None for a mode of a plug-in.

    `seconds_per_run` is the assumed duration of a run, `firings` how often a schedule fires within the run time.
    """
    mode = scenario.mode_entry
    if mode is PLUGIN_MODE:
        return None
    load = workload_of(scenario)
    rows = scenario.prefill.total if scenario.prefill else 0
    fixed = REQUESTS_PER_SCENARIO + 2 * rows
    if not mode.starts_runs:
        return LoadEstimate(0, fixed + mode.requests * _operations(scenario, load, ANSWER_SECONDS))
    scheduled = mode.num_times == "at_start"
    runs = scenario.num_times * firings if scheduled else _operations(scenario, load, seconds_per_run)
    in_flight = min(runs, _in_flight(scenario, load, seconds_per_run))
    sweeps = scenario.run_seconds / (scenario.poll_seconds or POLL_SECONDS)
    pages = math.ceil(in_flight / RUNS_PER_PAGE)
    schedules = REQUESTS_PER_SCHEDULE * scenario.num_times if scheduled else 0
    requests = fixed + schedules + mode.requests * runs + math.ceil(sweeps * pages)
    assumed = seconds_per_run if isinstance(load, ClosedLoad) else 0.0
    return LoadEstimate(runs, requests, assumed)


def _operations(scenario: TestScenario, load: OpenLoad | ClosedLoad, seconds_each: float) -> int:
    if isinstance(load, OpenLoad):
        return math.ceil(load.expected_total)
    return max(load.most, math.ceil(load.slot_seconds / (seconds_each + scenario.think_seconds)))


def _in_flight(scenario: TestScenario, load: OpenLoad | ClosedLoad, seconds_each: float) -> float:
    if isinstance(load, ClosedLoad):
        return load.slot_seconds / scenario.run_seconds
    limit = scenario.max_in_flight or math.inf
    return min(limit, load.expected_total * min(1.0, seconds_each / scenario.run_seconds))
