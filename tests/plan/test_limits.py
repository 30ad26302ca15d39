"""A plan names the scenarios that would need more than the process or the settings allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.plan import Limits, Plan, read_limits
from kfp_perf.plan.limits import FILES_OF_THE_PROCESS, FILES_PER_SCENARIO, Demand, connections_needed, peak
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable

GETS: dict[str, Any] = {"mode": "RANDOM_GETS", "runTime": 1}
RUN: dict[str, Any] = {"mode": "EXPERIMENT", "runTime": 1, "pipelineFileName": "hello.yaml"}


def scenario(**fields: Any) -> TestScenario:
    return TestScenario.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "connections"),
    [
        ({**GETS, "numTimes": 300}, 300),
        ({**RUN, "numTimes": 40}, 40),
        ({**RUN, "stages": [{"duration": 1, "target": 70}]}, 70),
        ({**GETS, "arrivalRate": "1000/s"}, 50),  # each takes 50 ms
        ({**GETS, "arrivalRate": "1000/s", "maxInFlight": 20}, 20),
        ({**GETS, "stages": [{"duration": 1, "target": "400/s"}]}, 20),
        ({"mode": "PIPELINE_UPLOAD", "runTime": 1, "numTimes": 6000}, 5),
        ({**RUN, "mode": "PIPELINE_SCHEDULED_RUN", "numTimes": 12, "cron": "* * * * *"}, 12),
    ],
)
def test_connections_needed(fields: dict[str, Any], connections: int) -> None:
    assert connections_needed(scenario(**fields)) == connections


def test_the_peak_is_where_what_overlaps_needs_most() -> None:
    def one(name: str, start: float, minutes: float, amount: int) -> Demand:
        return Demand(name, scenario(mode="RANDOM_GETS", startTime=start, runTime=minutes), amount)

    demands = [one("a", 0, 2, 5), one("b", 1, 2, 9), one("c", 2, 2, 7), one("d", 10, 1, 15)]
    highest, holders = peak(demands)
    assert highest == 16
    assert [holder.name for holder in holders] == ["b", "c"]
    assert peak(demands, grace_seconds=60)[0] == 21
    assert peak([]) == (0, [])


def test_more_slots_than_connections_are_a_warning(plan_of: Callable[..., Plan]) -> None:
    scenarios = [{**GETS, "numTimes": 20}, {**GETS, "numTimes": 21}]
    (warning,) = plan_of(scenarios, {"max_connections": 20}).warnings
    assert warning.where == "f.json: $[1].numTimes"
    assert "may need 21 connections at once, and KFP_PERF_MAX_CONNECTIONS allows 20" in warning.what
    assert "set KFP_PERF_MAX_CONNECTIONS to 21" in warning.remedy


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"stages": [{"duration": 1, "target": 21}]}, "stages"),
        ({"arrivalRate": "1000/s"}, "arrivalRate"),
    ],
)
def test_the_warning_points_to_the_field_that_asks_for_too_much(
    plan_of: Callable[..., Plan], value: dict[str, Any], field: str
) -> None:
    (warning,) = plan_of([{**GETS, **value}], {"max_connections": 20}).warnings
    assert warning.where == f"f.json: $[0].{field}"


def test_more_open_files_than_the_process_may_have_are_a_warning(plan_of: Callable[..., Plan]) -> None:
    scenarios = [
        {**GETS, "name": "many", "numTimes": 100},
        {**GETS, "name": "few", "numTimes": 10},
        {**GETS, "name": "later", "numTimes": 100, "startTime": 5},
    ]
    needed = 110 + 2 * FILES_PER_SCENARIO + FILES_OF_THE_PROCESS
    assert plan_of(scenarios, limits=Limits(open_files=needed)).warnings == ()
    (warning,) = plan_of(scenarios, limits=Limits(open_files=needed - 1)).warnings
    assert warning.where == "f.json"
    assert f"may need {needed} open files at once, and this process may have {needed - 1}" in warning.what
    assert warning.what.endswith(f"many {100 + FILES_PER_SCENARIO}, few {10 + FILES_PER_SCENARIO}")
    assert f"ulimit -n {needed}" in warning.remedy


def test_no_more_connections_are_counted_than_a_scenario_may_have(plan_of: Callable[..., Plan]) -> None:
    limits = Limits(open_files=20 + FILES_PER_SCENARIO + FILES_OF_THE_PROCESS)
    warnings = plan_of([{**GETS, "numTimes": 500}], {"max_connections": 20}, limits=limits).warnings
    assert [warning.where for warning in warnings] == ["f.json: $[0].numTimes"]


def test_more_connections_than_local_ports_are_a_warning(plan_of: Callable[..., Plan]) -> None:
    scenarios = [{**GETS, "numTimes": 600}] * 5
    assert plan_of(scenarios, limits=Limits(ports=3000)).warnings == ()
    (warning,) = plan_of(scenarios, limits=Limits(ports=2999)).warnings
    assert "may need 3000 connections at once, and there are 2999 local ports" in warning.what
    assert warning.what.endswith("random-gets-1 600, random-gets-2 600, random-gets-3 600 and 2 more")


def test_the_limits_of_this_process_can_be_read() -> None:
    limits = read_limits()
    assert limits.open_files is None or limits.open_files > 0
    assert limits.ports is None or limits.ports > 0
