from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_perf.scenario.model import TestScenario
from kfp_perf.scenario.ramps import ramps_of
from kfp_perf.scenario.workload import (
    ClosedLoad,
    ConstantSlots,
    EvenArrivals,
    OpenLoad,
    PoissonArrivals,
    RampedArrivals,
    RampedSlots,
    workload_of,
)


def load_of(mode: str = "EXPERIMENT", run_time: object = 1, **fields: Any) -> OpenLoad | ClosedLoad:
    return workload_of(TestScenario.model_validate({"mode": mode, "runTime": run_time, **fields}))


def dues(load: OpenLoad | ClosedLoad, most: int = 100_000) -> list[float]:
    assert isinstance(load, OpenLoad)
    times = itertools.takewhile(lambda due: due is not None, (load.due(count) for count in range(most)))
    return [due for due in times if due is not None]


def changes(load: OpenLoad | ClosedLoad) -> list[tuple[float, int]]:
    """The slots at the start and after each change that the load announces."""
    assert isinstance(load, ClosedLoad)
    seen = [(0.0, load.slots(0.0))]
    when = load.next_change(0.0)
    while when is not None:
        seen.append((round(when, 6), load.slots(when)))
        when = load.next_change(when)
    return seen


@pytest.mark.parametrize(
    ("fields", "first", "total", "last"),
    [
        ({"arrivalRate": "30/min"}, [0.0, 2.0, 4.0], 30, 58.0),
        ({"arrivalRate": "1/s", "run_time": "10s"}, [0.0, 1.0, 2.0], 10, 9.0),
        ({"arrivalRate": "0.3/s", "run_time": "10s"}, [0.0, 1 / 0.3, 2 / 0.3], 3, 2 / 0.3),
        ({"arrivalRate": "1000/s", "run_time": "1s"}, [0.0, 0.001, 0.002], 1000, 0.999),
        ({"arrivalRate": "1/h"}, [0.0], 1, 0.0),
        ({"mode": "PIPELINE_UPLOAD", "numTimes": 4}, [0.0, 15.0, 30.0], 4, 45.0),
        ({"mode": "PIPELINE_UPLOAD", "numTimes": 1}, [0.0], 1, 0.0),
        ({"mode": "PIPELINE_UPLOAD", "arrivalRate": "10/min"}, [0.0, 6.0, 12.0], 10, 54.0),
        ({"mode": "PIPELINE_SCHEDULED_RUN", "numTimes": 3, "interval": "10s"}, [0.0, 0.0, 0.0], 3, 0.0),
        ({"mode": "RANDOM_GETS", "arrivalRate": "2/s"}, [0.0, 0.5, 1.0], 120, 59.5),
    ],
)
def test_even_arrivals(fields: dict[str, Any], first: list[float], total: int, last: float) -> None:
    load = load_of(**fields)
    times = dues(load)
    assert times[: len(first)] == pytest.approx(first)
    assert len(times) == total
    assert times[-1] == pytest.approx(last)
    assert isinstance(load, OpenLoad)
    assert load.expected_total == total


STAIRS = [
    {"duration": 0, "target": "1/s"},
    {"duration": "10s", "target": "1/s"},
    {"duration": 0, "target": "0/s"},
    {"duration": "10s", "target": "0/s"},
    {"duration": 0, "target": "2/s"},
    {"duration": "10s", "target": "2/s"},
]


def test_rates_in_stairs_rest_where_the_rate_is_zero() -> None:
    load = load_of(run_time="30s", stages=STAIRS)
    assert dues(load) == pytest.approx([*range(10), *(20 + count / 2 for count in range(20))])


def test_a_rate_that_rises_in_a_straight_line() -> None:
    """With rate 2t the integral is t^2, so operation n is due at the root of n."""
    load = load_of(run_time="10s", stages=[{"duration": "10s", "target": "20/s"}])
    assert isinstance(load, RampedArrivals)
    assert load.expected_total == pytest.approx(100)
    assert dues(load) == pytest.approx([math.sqrt(count) for count in range(100)])


def test_a_rate_that_falls_in_a_straight_line() -> None:
    stages = [{"duration": 0, "target": "20/s"}, {"duration": "10s", "target": "0/s"}]
    load = load_of(run_time="10s", stages=stages)
    assert dues(load) == pytest.approx([10 - math.sqrt(100 - count) for count in range(100)])


levels = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 3.0, 10.0]), st.sampled_from([0.0, 0.25, 1.0, 7.5])),
    min_size=1,
    max_size=5,
)


@given(levels)
@settings(max_examples=200, deadline=None)
def test_due_times_rise_and_invert_the_integral(steps: list[tuple[float, float]]) -> None:
    ramps = ramps_of(steps)
    load = RampedArrivals(ramps)
    times = dues(load)
    assert times == sorted(times)
    assert len(times) == pytest.approx(math.ceil(load.expected_total - 1e-6), abs=0)
    for count, due in enumerate(times):
        area = sum(
            ramp.area if due >= ramp.end else (ramp.first + ramp.level(due)) / 2 * (due - ramp.start)
            for ramp in ramps
            if due >= ramp.start
        )
        assert area == pytest.approx(count, abs=1e-6)


def test_poisson_arrivals_have_the_mean_and_the_spread_of_a_poisson_process() -> None:
    load = load_of(run_time="1000s", arrivalRate="10/s", arrivals="poisson", seed=7)
    assert isinstance(load, PoissonArrivals)
    times = dues(load)
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 1000
    assert len(times) == pytest.approx(10_000, abs=400)  # four standard deviations
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert math.sqrt(variance) / mean == pytest.approx(
        1.0, abs=0.05
    )  # an exponential's coefficient of variation


def test_poisson_arrivals_follow_stages() -> None:
    times = dues(load_of(run_time="30s", stages=STAIRS, arrivals="poisson", seed=3))
    assert not [due for due in times if 10 < due < 20]
    assert len([due for due in times if due >= 20]) == pytest.approx(20, abs=14)


def test_poisson_arrivals_repeat_by_their_seed_in_any_order() -> None:
    def load(seed: int | None) -> OpenLoad | ClosedLoad:
        return load_of(arrivalRate="10/s", arrivals="poisson", seed=seed)

    times = dues(load(1))
    assert times == dues(load(1))
    assert times != dues(load(2))
    assert dues(load(None)) != dues(load(None))
    mixed = load(1)
    assert isinstance(mixed, OpenLoad)
    assert [mixed.due(count) for count in (50, 3, 3, 4, 0)] == [times[count] for count in (50, 3, 3, 4, 0)]
    assert mixed.due(len(times)) is None
    assert mixed.due(len(times) + 5) is None
    assert mixed.due(1) == times[1]


def stairs(*targets: int) -> list[dict[str, object]]:
    """Stages of a minute in all that jump to each target and hold it."""
    stages: list[dict[str, object]] = []
    for target in targets:
        stages += [
            {"duration": 0, "target": target},
            {"duration": f"{60 / len(targets):g}s", "target": target},
        ]
    return stages


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"numTimes": 5}, [(0.0, 5), (60.0, 0)]),
        ({"mode": "RANDOM_GETS", "numTimes": 3}, [(0.0, 3), (60.0, 0)]),
        # to the nearest whole number, halves up: the mean over the ramp is the line's
        ({"stages": [{"duration": 1, "target": 2}]}, [(0.0, 0), (15.0, 1), (45.0, 2), (60.0, 0)]),
        (
            {"stages": [{"duration": 0, "target": 3}, {"duration": 1, "target": 1}]},
            [(0.0, 3), (15.0, 2), (45.0, 1), (60.0, 0)],
        ),
        (
            {"stages": stairs(4, 9)},
            [(0.0, 4), (30.0, 9), (60.0, 0)],
        ),
        (
            {"stages": stairs(4, 0, 1)},
            [(0.0, 4), (20.0, 0), (40.0, 1), (60.0, 0)],
        ),
    ],
)
def test_slots(fields: dict[str, Any], expected: list[tuple[float, int]]) -> None:
    assert changes(load_of(**fields)) == expected


def test_slots_between_their_changes() -> None:
    load = RampedSlots(ramps_of([(10.0, 10.0), (10.0, 0.0)]))
    assert [load.slots(elapsed) for elapsed in (0.0, 0.49, 0.5, 4.9, 5.1, 9.9, 10.0, 19.0, 19.6, 20.0, 99.0)] == [
        0, 0, 1, 5, 5, 10, 10, 1, 0, 0, 0,
    ]  # fmt: skip
    assert load.most == 10
    assert load.slot_seconds == pytest.approx(100.0)
    assert (ConstantSlots(4, 60.0).most, ConstantSlots(4, 60.0).slot_seconds) == (4, 240.0)


@given(levels)
@settings(max_examples=100, deadline=None)
def test_slots_are_the_rounded_line(steps: list[tuple[float, float]]) -> None:
    ramps = ramps_of([(duration, 4 * level) for duration, level in steps])
    load = RampedSlots(ramps)
    for ramp in ramps:
        for part in (0.1, 0.37, 0.81):
            elapsed = ramp.start + part * (ramp.end - ramp.start)
            assert abs(load.slots(elapsed) - ramp.level(elapsed)) <= 0.5 + 1e-9
    if ramps:
        assert load.slots(ramps[-1].end) == 0


def test_an_interval_of_zero_makes_everything_due_at_once() -> None:
    assert dues(EvenArrivals(3, 0.0)) == [0.0, 0.0, 0.0]
