from __future__ import annotations

import math

import numpy as np
import pytest
from cluster_load import visible_times
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from open_loads import SHAPES, due_times, judge_times

from kfp_perf.statistics.backlog import Backlog, Flow, judge_backlog, plateau_growth

Array = NDArray[np.float64]
CAPACITY = 100 / 60
"""Runs a second of the cluster model: 5 throttled calls a second, 3 for each run."""


def judged(due: Array, left: Array, end: float, warmup_end: float = -math.inf) -> Backlog:
    """The judgement of exact times whose first runs left first."""
    flow = Flow.of_times(due, left, begin=0.0, end=end)
    first = (left - due)[left <= end][:20]
    return judge_backlog(flow, first, load_end=end, warmup_end=warmup_end)


def test_the_lag_of_a_server_that_keeps_up_is_the_time_of_a_run() -> None:
    due = np.arange(0.5, 100.0)
    lag = Flow.of_times(due, due + 10.0, begin=0.0, end=100.0).lag()
    assert lag[20:] == pytest.approx(9.5), "the first run that has not left is half a second younger"


def test_the_lag_is_zero_where_all_have_left_however_long_nothing_was_due() -> None:
    due = np.arange(0.5, 10.0)
    lag = Flow.of_times(due, due + 2.0, begin=0.0, end=100.0).lag()
    assert lag[20:].tolist() == [0.0] * 80
    assert judged(due, due + 2.0, 100.0).behind is False


def test_the_lag_of_a_server_that_stands_still_grows_by_a_second_a_second() -> None:
    due = np.arange(0.5, 100.0)
    left = np.where(due < 20.0, due + 5.0, np.inf)
    lag = Flow.of_times(due, left, begin=0.0, end=100.0).lag()
    assert np.diff(lag[30:]) == pytest.approx(1.0)
    assert lag[-1] == pytest.approx(79.5)


def test_a_flow_without_moments_or_runs() -> None:
    assert Flow(0.0, np.zeros(0), np.zeros(0)).lag().size == 0
    assert Flow(0.0, np.zeros(5), np.zeros(5)).lag().tolist() == [0.0] * 5
    with pytest.raises(ValueError, match="of one length"):
        Flow(0.0, np.zeros(5), np.zeros(4))


@given(
    st.lists(st.floats(0.0, 50.0), min_size=1, max_size=40),
    st.lists(st.floats(0.0, 30.0), min_size=40, max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_the_lag_by_counts_is_that_of_exact_times_within_a_second(
    dues: list[float], takes: list[float]
) -> None:
    due = np.sort(np.array(dues))
    left = due + np.array(takes[: due.size])
    flow = Flow.of_times(due, left, begin=0.0, end=80.0)
    for now, lag in zip(flow.times.tolist(), flow.lag().tolist(), strict=True):
        gone, asked = int((left <= now).sum()), int((due <= now).sum())
        exact = now - due[gone] if gone < asked else 0.0
        assert lag == pytest.approx(exact, abs=1.0 + 1e-6)


def test_rates_between_two_moments() -> None:
    due = np.arange(0.25, 100.0, 0.5)
    flow = Flow.of_times(due, due + 10.0, begin=0.0, end=100.0)
    assert flow.rates(20.0, 100.0) == (2.0, 2.0)
    assert flow.rates(0.0, 20.0) == (2.0, 1.0)
    assert flow.rates(20.0, 20.0) == (0.0, 0.0)


def test_a_server_that_completes_half_falls_behind_by_half_a_second_a_second() -> None:
    due = 1000.0 + np.arange(0.0, 300.0, 0.5)
    left = 1010.0 + np.arange(due.size)
    flow = Flow.of_times(due, left, begin=1000.0, end=1300.0)
    found = judge_backlog(flow, (left - due)[:20], load_end=1300.0)
    assert found.judged
    assert found.behind
    assert found.growth == pytest.approx(0.5, abs=0.01)
    assert found.lag == pytest.approx(155.0, abs=1.0)
    # From the last moment at which the lag was no more than the typical time or its median in the first third.
    assert found.since is not None
    assert 1030.0 <= found.since <= 1080.0
    assert found.offered == pytest.approx(2.0, abs=0.02)
    assert found.completed == pytest.approx(1.0, abs=0.02)


def test_falling_behind_late_shows_in_the_last_third() -> None:
    due = np.arange(0.0, 600.0)
    left = due + 10.0
    late = due > 460.0
    left[late] = 470.0 + 2.0 * np.arange(late.sum())
    found = judged(due, left, 600.0)
    assert found.behind
    assert found.since == pytest.approx(470.0, abs=15.0)


def test_a_burst_that_has_left_is_not_falling_behind() -> None:
    # 300 runs every five minutes, which leave two a second from 10 s after they were due.
    due = np.repeat([5.0, 305.0, 605.0], 300)
    left = due + 10.0 + np.tile(np.arange(300.0) / 2.0, 3)
    for end in (766.0, 770.0, 780.0):
        assert not judged(due, left, end).behind, end


def test_a_rise_that_has_gone_is_not_falling_behind() -> None:
    due = np.arange(0.0, 600.0)
    left = due + 10.0
    stalled = (due > 150.0) & (due < 250.0)
    left[stalled] = np.maximum(left[stalled], 250.0)
    assert not judged(due, left, 600.0).behind


@pytest.mark.parametrize(
    ("due", "took", "end", "warmup_end", "reason"),
    [
        (np.zeros(0), 1.0, 100.0, -math.inf, "no run was due"),
        (np.arange(100.0), 97.0, 100.0, -math.inf, "4 of 100 runs had succeeded"),
        (np.arange(100.0), 21.0, 100.0, -math.inf, "58 s of load after filling, and at least 63 s"),
        (np.arange(100.0), 1.0, 100.0, 95.0, "5 s of load after the warm-up, and at least 12 s"),
    ],
)
def test_what_cannot_be_told_has_a_reason(
    due: Array, took: float, end: float, warmup_end: float, reason: str
) -> None:
    found = judged(due, due + took, end, warmup_end)
    assert reason in found.reason
    assert (found.judged, found.behind, found.lag) == (False, False, None)


def test_a_short_test_shows_only_that_a_load_falls_far_behind() -> None:
    due = np.arange(0.0, 150.0, 0.1)
    left = np.where(due < 1.0, due + 40.0, 50.0 + 20.0 * (due - 1.0))
    assert judged(due, left, 150.0).behind
    slightly = judged(due, 40.0 + 1.3 * due, 150.0)
    assert not slightly.judged
    assert "too short to tell" in slightly.reason


def test_what_happens_in_the_warm_up_does_not_count() -> None:
    due = np.arange(0.0, 600.0)
    left = due + 10.0
    left[due < 300.0] = 10.0 + 2.0 * due[due < 300.0]
    caught_up = np.maximum(left, np.minimum(610.0, left))
    assert not judged(due, caught_up, 600.0, 340.0).behind


def test_a_plateau_grows_by_the_share_that_did_not_leave() -> None:
    due = np.arange(0.0, 600.0, 0.5)
    left = 10.0 + np.arange(due.size) / 1.8
    found = plateau_growth(Flow.of_times(due, left, begin=0.0, end=600.0), 60.0, 600.0)
    assert found is not None
    assert found.per_second == pytest.approx(0.1, abs=0.002)
    assert found.exceeds(0.025)
    kept_up = plateau_growth(Flow.of_times(due, due + 10.0, begin=0.0, end=600.0), 60.0, 600.0)
    assert kept_up is not None
    assert not kept_up.exceeds(0.0)
    assert plateau_growth(Flow.of_times(due, left, begin=0.0, end=600.0), 590.0, 600.0) is None
    assert plateau_growth(Flow.of_times([], [], begin=0.0, end=600.0), 60.0, 600.0) is None


def test_plateaus_at_80_percent_of_capacity_hold_and_those_beyond_it_do_not() -> None:
    holds = {}
    for load in (0.8, 1.1):
        holds[load] = 0
        for seed in range(3):
            due = np.arange(0.0, 400.0, 1.0 / (load * CAPACITY))
            flow = Flow.of_times(due, visible_times(due, until=400.0, seed=seed), begin=0.0, end=400.0)
            growth = plateau_growth(flow, 80.0, 400.0)
            assert growth is not None
            holds[load] += not growth.exceeds(0.025)
    assert holds == {0.8: 3, 1.1: 0}


def test_healthy_loads_of_every_shape_are_not_flagged() -> None:
    # The long form is benchmarks/backlog.py.
    for shape in SHAPES:
        for seed in range(4):
            random = np.random.default_rng(seed)
            due = due_times(shape, random.uniform(0.3, 0.8) * CAPACITY, 300.0, random)
            found = judge_times(due, visible_times(due, until=300.0, seed=seed), load_end=300.0)
            assert found.judged, (shape, seed, found)
            assert not found.behind, (shape, seed, found)


def test_loads_of_120_percent_over_five_minutes_are_found() -> None:
    for seed in range(4):
        random = np.random.default_rng(seed)
        due = due_times(("constant", "poisson")[seed % 2], 1.2 * CAPACITY, 300.0, random)
        found = judge_times(due, visible_times(due, until=300.0, seed=seed), load_end=300.0)
        assert found.behind, (seed, found)
        assert found.completed is not None
        assert found.completed < CAPACITY


def test_stages_far_beyond_the_capacity_are_found() -> None:
    # 60, 180 and 600 runs a minute over 4 min, of which 100 of 930 succeed and the others stay unfinished.
    due = np.concatenate(
        [80.0 * stage + np.arange(0.0, 80.0, 60.0 / rate) for stage, rate in enumerate((60, 180, 600))]
    )
    found = judge_times(due, visible_times(due, until=240.0), load_end=240.0)
    assert found.behind
    assert found.since is not None
    assert 80.0 < found.since < 140.0
