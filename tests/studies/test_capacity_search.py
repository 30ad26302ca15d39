"""The search for the capacity: its course on servers whose capacity is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from kfp_perf.statistics.backlog import Slope
from kfp_perf.studies.capacity.forecast import forecast
from kfp_perf.studies.capacity.plateau import Part, PlannedPlateau, Plateau
from kfp_perf.studies.capacity.search import (
    MOST_PLATEAUS,
    SearchEnd,
    SearchLimits,
    answer,
    bracket_of,
    next_step,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Server = Callable[[PlannedPlateau], Plateau]


def server(
    capacity: float,
    *,
    slope: float = 1.0,
    threshold: float = math.inf,
    visible: float = 30.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Server:
    """A server that completes its capacity, or less beyond it; above `threshold` one is not kept."""
    random = np.random.default_rng(seed)

    def measure(planned: PlannedPlateau) -> Plateau:
        growth = slope * max(0.0, 1.0 - capacity / planned.rate) + random.normal(0.0, noise or 1e-12)
        broken = ("run.visible.p95 is 40 s, not < 30s",) if planned.rate > threshold else ()
        return Plateau(planned, Slope(growth, 0.003), visible, planned.load_seconds + visible, broken)

    return measure


def search(limits: SearchLimits, measure: Server) -> tuple[list[Plateau], SearchEnd]:
    done: list[Plateau] = []
    while isinstance(planned := next_step(limits, done), PlannedPlateau):
        done.append(measure(planned))
        assert len(done) <= MOST_PLATEAUS
    return done, planned


def full(done: list[Plateau]) -> list[Plateau]:
    return [one for one in done if one.step.part is Part.PLATEAU]


@pytest.mark.parametrize("slope", [1.0, 1.7, 2.5])
@pytest.mark.parametrize("per_minute", [7.0, 96.0, 1500.0])
@pytest.mark.parametrize("precision", [0.05, 0.1, 0.3])
def test_the_capacity_is_enclosed_and_the_answer_close_to_it(
    slope: float, per_minute: float, precision: float
) -> None:
    capacity = per_minute / 60.0
    limits = SearchLimits(capacity / 9.0, precision=precision)
    done, end = search(limits, server(capacity, slope=slope))
    found = answer(limits, done)
    assert end is SearchEnd.FOUND
    assert found.rate is not None
    assert abs(found.rate / capacity - 1.0) <= precision
    assert found.low is not None
    assert found.high is not None
    assert found.low <= capacity <= found.high
    assert len(full(done)) <= 4


def test_it_begins_with_the_light_load_and_doubles_it_until_a_load_does_not_hold() -> None:
    done, _ = search(SearchLimits(0.1), server(1.5))
    rough = [one for one in done if one.step.part is not Part.PLATEAU]
    assert [one.step.part for one in rough] == [Part.LIGHT, *[Part.RAMP] * (len(rough) - 1)]
    assert [one.rate for one in rough] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2][: len(rough)])
    assert [one.held for one in rough] == [*[True] * (len(rough) - 1), False]


def test_plateaus_fill_for_two_typical_times_and_measure_the_runs_that_the_precision_needs() -> None:
    for precision, runs in ((0.1, 600), (0.05, 1200)):
        done, _ = search(SearchLimits(0.2, precision=precision), server(1.5, visible=50.0))
        for one in full(done):
            assert one.step.fill_seconds == 100.0
            assert one.step.measured_seconds * one.rate == pytest.approx(runs)


def test_noise_moves_the_answer_little() -> None:
    close = 0
    for seed in range(40):
        limits = SearchLimits(0.1, precision=0.05)
        done, end = search(limits, server(1.6, slope=1.3, noise=0.005, seed=seed))
        rate = answer(limits, done).rate
        close += end is SearchEnd.FOUND and rate is not None and abs(rate / 1.6 - 1.0) < 0.06
    assert close >= 38


def test_a_ramp_that_failed_by_chance_does_not_end_the_search_below_the_capacity() -> None:
    limits = SearchLimits(0.1)
    honest = server(1.6)

    def measure(planned: PlannedPlateau) -> Plateau:
        unlucky = planned.part is Part.RAMP and planned.rate < 0.3
        return Plateau(planned, Slope(0.5, 0.01), 30.0, 60.0) if unlucky else honest(planned)

    done, end = search(limits, measure)
    rate = answer(limits, done).rate
    assert end is SearchEnd.FOUND
    assert rate is not None
    assert abs(rate / 1.6 - 1.0) < 0.1


def test_a_threshold_may_be_the_limit() -> None:
    limits = SearchLimits(0.1)
    done, end = search(limits, server(10.0, threshold=1.0))
    found = answer(limits, done)
    assert end is SearchEnd.FOUND
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1.0 <= found.high <= 1.3


def test_the_highest_rate_that_held_is_at_least_the_capacity() -> None:
    limits = SearchLimits(0.1, highest_rate=1.0)
    done, end = search(limits, server(5.0))
    assert end is SearchEnd.AT_LEAST
    assert max(one.rate for one in done) == 1.0
    assert answer(limits, done).rate is None
    assert bracket_of(done).held == 1.0


def test_a_light_load_above_the_capacity_is_searched_below() -> None:
    limits = SearchLimits(4.0)
    done, end = search(limits, server(1.0))
    rate = answer(limits, done).rate
    assert end is SearchEnd.FOUND
    assert rate is not None
    assert abs(rate - 1.0) < 0.1


@pytest.mark.parametrize("capacity", [1e-6, 0.01])
def test_a_bound_that_no_load_keeps_ends_the_search(capacity: float) -> None:
    limits = SearchLimits(1.0)
    done, end = search(limits, server(10.0, threshold=capacity))
    assert end is SearchEnd.BELOW
    assert len(done) <= 8
    assert answer(limits, done).rate is None
    assert answer(limits, done).low is None


def test_no_plateau_is_begun_that_would_take_too_long() -> None:
    unlimited, _ = search(SearchLimits(0.1), server(1.5))
    seconds = sum(one.seconds for one in unlimited)
    limits = SearchLimits(0.1, longest_seconds=0.7 * seconds)
    done, end = search(limits, server(1.5))
    assert end is SearchEnd.DURATION
    assert sum(one.seconds for one in done) <= 0.7 * seconds
    assert answer(limits, done).high is not None


def test_confirming_measures_both_ends_twice() -> None:
    limits = SearchLimits(0.1, confirm=True)
    done, end = search(limits, server(1.5))
    assert end is SearchEnd.FOUND
    bracket = bracket_of(done)
    for rate in (bracket.held, bracket.failed):
        assert sum(one.rate == rate for one in full(done)) == 2


def test_an_end_that_is_not_confirmed_is_no_end() -> None:
    limits = SearchLimits(0.1, confirm=True, precision=0.2)
    honest = server(1.5)
    seen: dict[float, int] = {}

    def measure(planned: PlannedPlateau) -> Plateau:
        seen[planned.rate] = seen.get(planned.rate, 0) + 1
        lucky = planned.part is Part.PLATEAU and seen[planned.rate] == 1 and 1.5 < planned.rate < 1.8
        return Plateau(planned, Slope(0.0, 0.003), 30.0, 60.0) if lucky else honest(planned)

    done, _ = search(limits, measure)
    held = bracket_of(done).held
    assert held is not None
    assert held <= 1.54


@pytest.mark.parametrize("limit", [1, 2, 7, 40, 333])
def test_the_slots_of_a_closed_load_are_searched_by_thresholds(limit: int) -> None:
    limits = SearchLimits(1.0, closed=True)
    done, end = search(limits, server(math.inf, threshold=limit))
    found = answer(limits, done)
    assert end is SearchEnd.FOUND
    assert all(one.rate == int(one.rate) for one in done)
    assert found.rate is not None
    assert found.rate <= limit
    assert found.high is not None
    assert limit < found.high <= max(limit + 1, 1.21 * limit)


def test_the_end_is_told_from_any_course() -> None:
    """Random outcomes contradict each other; the search ends all the same."""
    random = np.random.default_rng(3)
    ends = set()
    for _ in range(60):
        limits = SearchLimits(0.2, highest_rate=10.0 ** random.uniform(-0.5, 3), precision=0.1)

        def measure(planned: PlannedPlateau) -> Plateau:
            return Plateau(planned, Slope(random.uniform(-0.1, 0.4), 0.01), 30.0, 60.0)

        ends.add(search(limits, measure)[1])
    assert ends <= {SearchEnd.FOUND, SearchEnd.AT_LEAST, SearchEnd.BELOW, SearchEnd.PLATEAUS}


def test_the_forecast_is_the_course_on_an_ideal_server() -> None:
    expected = forecast(SearchLimits(0.2), 1.6, 45.0)
    done, _ = search(SearchLimits(0.2), server(1.6, visible=45.0))
    assert expected.plateaus == len(done)
    # Overload is ended early.
    assert expected.seconds < sum(one.seconds for one in done)
    longer = forecast(SearchLimits(0.2), 1.6, 45.0, clean_up_seconds=0.2, pause=30.0)
    assert longer.seconds > expected.seconds + 30.0 * expected.plateaus


def test_the_forecast_deletes_runs_while_the_last_ones_of_a_load_that_held_drain() -> None:
    limits = SearchLimits(0.2, highest_rate=1.5)
    done, _ = search(limits, server(3.0, visible=45.0))
    assert all(one.held for one in done)
    deletions = [2.0 * one.step.load_seconds * one.rate for one in done]
    without = forecast(limits, 3.0, 45.0).seconds
    expected = without + sum(max(0.0, one - 45.0) for one in deletions)
    assert forecast(limits, 3.0, 45.0, clean_up_seconds=2.0).seconds == pytest.approx(expected)
