from __future__ import annotations

import math

import numpy as np
import pytest

from kfp_perf.statistics.survival import Survival, kaplan_meier


def estimate(ended: list[float], censored: list[float] | None = None) -> Survival:
    found = kaplan_meier(ended, censored or [])
    assert found is not None
    return found


def test_leukaemia_remissions() -> None:
    # Remission times under 6-mercaptopurine in weeks (Freireich et al. 1963), the textbook example: the median is
    # 23 weeks, and survival at 10 weeks 0.753.
    ended = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    found = estimate([float(week) for week in ended], [float(week) for week in censored])
    assert (found.ended, found.censored, found.longest) == (9, 12, 23.0)
    assert found.quantile(0.5) == 23.0
    assert found.quantile(0.9) is None
    at_ten = found.curve.values[np.flatnonzero(found.curve.times == 10.0)[0]]
    assert at_ten == pytest.approx(0.7529, abs=1e-4)
    # The limits of the median that R's survfit gives with conf.type = "log-log".
    assert found.interval(0.5) == (13.0, None)


def test_without_censoring_it_is_the_order_statistics() -> None:
    values = [float(value) for value in range(1, 101)]
    found = estimate(values)
    assert [found.quantile(share) for share in (0.5, 0.9, 0.95, 0.99)] == [50.0, 90.0, 95.0, 99.0]
    assert found.mean == pytest.approx(np.mean(values))
    low, high = found.interval(0.5)
    assert low is not None
    assert high is not None
    assert low < 50.0 < high


def test_censored_runs_move_quantiles_up() -> None:
    values = [float(value) for value in range(1, 101)]
    median = estimate(values, [50.0] * 40).quantile(0.5)
    assert median is not None
    assert median > 50.0


def test_half_still_going_on() -> None:
    found = estimate([float(value) for value in range(1, 51)], [60.0] * 50)
    assert found.quantile(0.5) == 50.0
    assert found.quantile(0.51) is None
    assert found.interval(0.5)[1] is None


def test_nothing_ended() -> None:
    found = estimate([], [3.0, 5.0])
    assert (found.ended, found.censored, found.longest, found.mean) == (0, 2, None, 5.0)
    assert found.quantile(0.01) is None
    assert found.interval(0.5) == (None, None)


def test_nothing_at_all() -> None:
    assert kaplan_meier([]) is None


def test_one_run() -> None:
    found = estimate([3.0])
    assert (found.quantile(0.5), found.quantile(0.99), found.mean) == (3.0, 3.0, 3.0)
    assert found.interval(0.5) == (None, None)


def test_negative_times_are_kept() -> None:
    found = estimate([-0.5, 1.0, 1.0, 2.5])
    assert found.mean == pytest.approx(1.0)
    assert found.quantile(0.25) == -0.5


def test_intervals_cover_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    truth = -math.log(0.5)
    covered = 0
    for _ in range(200):
        ends, leaves = random.exponential(1.0, 60), random.exponential(2.0, 60)
        seen = ends <= leaves
        low, high = estimate(list(ends[seen]), list(leaves[~seen])).interval(0.5)
        covered += (low is not None and low <= truth) and (high is None or truth <= high)
    assert 0.90 <= covered / 200 <= 0.99
