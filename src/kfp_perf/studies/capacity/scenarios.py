"""Which scenario a search varies, and the changes to a scenario file that make a plateau of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.errors import InputError, Problem
from kfp_perf.metrics.capacity import RATE, is_of_capacity
from kfp_perf.scenario.quantities import MAX_RATE_PER_SECOND, MAX_STAGE_SLOTS, Rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kfp_perf.plan import Plan
    from kfp_perf.scenario.model import TestScenario
    from kfp_perf.studies.capacity.plateau import PlannedPlateau

_REMEDY = 'Give it an arrivalRate such as "30/min", or bound what numTimes in flight take by a threshold.'
FROM_SHARE = 8.0
"""The search begins at this part of the file's own load."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The scenario that a search varies. `load` is what the file gives: operations a second, or slots."""

    name: str
    mode: str
    starts_runs: bool
    closed: bool
    load: float

    @property
    def highest(self) -> float:
        """The most that a scenario may ask for."""
        return MAX_STAGE_SLOTS if self.closed else MAX_RATE_PER_SECOND

    @property
    def operation(self) -> str:
        """The word for one operation."""
        return "run" if self.starts_runs else "read" if self.mode == "RANDOM_GETS" else "operation"


def find_searched(plan: Plan, name: str | None = None) -> Searched:
    """The scenario of this name, or the only one that can be searched.

    A rate can be varied. The slots of a closed load can where a threshold of the user's judges the scenario: their
    backlog cannot grow. Raises `InputError` where there is none, or more than one, and for a bound on the rate
    of slots.
    """
    known = {scenario.name or "": scenario for scenario in plan.scenarios}
    if name is not None:
        if name not in known:
            raise InputError(
                Problem("--scenario", f"there is no scenario {name!r}", f"There are: {', '.join(known)}.")
            )
        why = _why_not(known[name], plan)
        if why:
            raise InputError(Problem(f"scenario {name}", why, _REMEDY))
        return _bounded(_searched(known[name]), plan)
    reasons = {one: _why_not(scenario, plan) for one, scenario in known.items()}
    able = [one for one, why in reasons.items() if not why]
    # A rate is preferred: numTimes is then the background.
    rates = [one for one in able if known[one].rate is not None]
    found = rates or able
    if not found:
        raise InputError([Problem(f"scenario {one}", why, _REMEDY) for one, why in reasons.items()])
    if len(found) > 1:
        remedy = "Name one with --scenario; the others run as background load."
        raise InputError(
            Problem("the scenario file", f"has several loads that can be varied: {', '.join(found)}", remedy)
        )
    return _bounded(_searched(known[found[0]]), plan)


def _bounded(searched: Searched, plan: Plan) -> Searched:
    """The same, where the bounds on the capacity can be judged. Raises `InputError` where they cannot."""
    if searched.closed and any(_of_capacity(plan, one) for one in (None, searched.name)):
        raise InputError(
            Problem(
                f"scenario {searched.name}",
                f"keeps numTimes in flight, so the search finds no rate that {RATE} could bound",
                f"Give it an arrivalRate, or take {RATE} out of the thresholds.",
            )
        )
    return searched


def _why_not(scenario: TestScenario, plan: Plan) -> str:
    """Why a scenario cannot be searched; empty where it can."""
    if scenario.rate is not None:
        return ""
    if scenario.mode_entry.num_times != "in_flight":
        return "has no load that can be varied: its numTimes is a total"
    if not any(
        _is_users(one.metric.name) for one in plan.thresholds if one.scenario in {None, scenario.name}
    ):
        return "keeps numTimes in flight, whose backlog cannot grow, and no threshold of yours bounds it"
    return ""


def _is_users(metric: str) -> bool:
    return not is_of_capacity(metric)


def _searched(scenario: TestScenario) -> Searched:
    rate = scenario.rate
    closed = rate is None
    return Searched(
        name=scenario.name or "",
        mode=scenario.mode_name,
        starts_runs=scenario.mode_entry.starts_runs,
        closed=closed,
        load=_slots(scenario) if rate is None else rate.per_second,
    )


def background_words(scenario: TestScenario) -> str:
    """A scenario that runs beside the searched one, with its load where that is not the one of the file."""
    if not scenario.stages:
        return scenario.name or ""
    load = f"{_slots(scenario):.0f} in flight" if scenario.rate is None else str(scenario.rate)
    return f"{scenario.name} (at {load}, the highest of its stages)"


def _slots(scenario: TestScenario) -> float:
    if scenario.stages:
        return max(float(one.target) for one in scenario.stages if not isinstance(one.target, Rate))
    return float(scenario.num_times)


def overrides_of(plan: Plan, searched: Searched, step: PlannedPlateau) -> tuple[str, ...]:
    """The changes that make one plateau: the searched load is constant, and all others run beside it.

    Their own loads stay. A plateau is a steady state, so a load in stages stays at the highest of them: the answer
    is then right at all of them. A total is spread as densely as in the file. Thresholds on the capacity itself are
    taken out.
    """
    load = f"numTimes={step.rate:.0f}" if searched.closed else f"arrivalRate={step.rate * 60.0:.10g}/min"
    found = [f"thresholds[{_quoted(name)}]=" for name in _of_capacity(plan, None)]
    for place, scenario in enumerate(plan.scenarios):
        changes = [
            "startTime=0",
            f"runTime={step.load_seconds:.6f}s",
            f"warmup={step.fill_seconds:.6f}s",
        ]
        if scenario.stages:
            changes.append("stages=null")
        if scenario.name == searched.name:
            changes.append(load)
            if not searched.closed:
                changes.append("arrivals=constant")
        else:
            changes += _background(scenario, step.load_seconds)
        changes += [f"thresholds[{_quoted(name)}]=" for name in _of_capacity(plan, scenario.name)]
        found += [f"scenarios[{place}].{one}" for one in changes]
    return tuple(found)


def _background(scenario: TestScenario, seconds: float) -> Iterator[str]:
    if scenario.stages:
        rate = scenario.rate
        yield f"numTimes={_slots(scenario):.0f}" if rate is None else f"arrivalRate={rate}"
    elif scenario.rate is None and scenario.mode_entry.num_times == "in_all":
        yield f"numTimes={max(1, math.ceil(scenario.num_times * seconds / scenario.run_seconds))}"


def _of_capacity(plan: Plan, scenario: str | None) -> Sequence[str]:
    return [
        one.metric.name
        for one in plan.thresholds
        if one.scenario == scenario and is_of_capacity(one.metric.name)
    ]


def _quoted(name: str) -> str:
    return f'"{name}"'
