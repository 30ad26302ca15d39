from __future__ import annotations

import numpy as np
import pytest
from autoregressive import autoregressive
from numpy.typing import NDArray

from kfp_perf.statistics.trend import (
    FEWEST_POINTS,
    MOST_POINTS,
    Trend,
    _inflation,
    _interquartile_mean,
    _mid_ranks,
    trend,
)

Array = NDArray[np.float64]
HOUR = 3600.0


def found(times: Array, values: Array) -> Trend:
    result = trend(times, values)
    assert result is not None
    return result


def test_a_line() -> None:
    at = np.arange(100.0)
    result = found(at, 3.0 + 0.5 * at + np.random.default_rng(0).normal(0.0, 1e-3, 100))
    assert (result.slope, result.low, result.high) == pytest.approx((0.5, 0.5, 0.5), rel=1e-4)
    assert result.seconds == 99.0
    assert result.typical == pytest.approx(3.0 + 0.5 * 49.5, rel=1e-4)
    assert result.drifts
    assert result.p_value < 1e-6
    assert result.points == 100


def test_a_constant() -> None:
    result = found(np.arange(50.0), np.full(50, 7.0))
    assert (result.slope, result.low, result.high) == (0.0, 0.0, 0.0)
    assert not result.drifts
    assert result.p_value == 1.0


def test_agrees_with_scipy_where_nothing_is_correlated() -> None:
    from scipy.stats import kendalltau, theilslopes

    random = np.random.default_rng(1)
    at = np.sort(random.uniform(0.0, HOUR, 80))
    values = 20.0 + 0.0005 * at + random.normal(size=80)
    result = found(at, values)
    assert result.slope == pytest.approx(theilslopes(values, at).slope)
    # scipy's interval knows no autocorrelation, so ours holds it.
    theirs = theilslopes(values, at)
    assert result.low <= theirs.low_slope + 1e-12
    assert result.high >= theirs.high_slope - 1e-12
    assert result.p_value >= kendalltau(at, values, method="asymptotic").pvalue - 0.01


def test_outliers_do_not_matter() -> None:
    random = np.random.default_rng(2)
    at = np.arange(200.0)
    values = 10.0 + random.normal(size=200)
    values[::20] = 1000.0
    assert abs(found(at, values).slope) < 0.01


@pytest.mark.parametrize("coefficient", [0.0, 0.3, 0.6])
def test_autocorrelation_is_no_trend(coefficient: float) -> None:
    series = autoregressive(np.random.default_rng(3), coefficient, 150, 150)
    false_alarms = sum(found(np.arange(150.0), row).drifts for row in series)
    assert false_alarms / 150 <= 0.11


@pytest.mark.parametrize("coefficient", [0.0, 0.6])
def test_autocorrelation_of_whole_seconds_is_no_trend(coefficient: float) -> None:
    series = np.floor(38.5 + autoregressive(np.random.default_rng(6), coefficient, 240, 100))
    trends = [found(np.arange(240.0), row) for row in series]
    assert sum(one.drifts for one in trends) <= 8
    assert sum(one.p_value < 0.05 for one in trends) <= 14


def test_a_drift_of_whole_seconds_is_found() -> None:
    # 1 s over the test, in durations that vary by 1 s and are cut to whole seconds.
    random = np.random.default_rng(7)
    at = np.arange(1000.0)
    trends = [found(at, np.floor(38.5 + random.normal(size=1000) + at / 1000)) for _ in range(20)]
    assert all(one.drifts for one in trends)
    changes = [one.slope * one.seconds for one in trends]
    assert np.mean(changes) == pytest.approx(1.0, abs=0.1)


def test_ties_are_not_correlated() -> None:
    # Ranks in the order of time would rise within each of the few values, and look correlated.
    values = np.floor(38.5 + 0.4 * np.random.default_rng(8).normal(size=240))
    assert _inflation(values) < 1.3


def test_equal_values_share_their_rank() -> None:
    assert _mid_ranks(np.array([5.0, 1.0, 5.0, 3.0, 5.0])).tolist() == [4.0, 1.0, 4.0, 2.0, 4.0]


def test_the_interquartile_mean() -> None:
    # The textbook example: of 12 values the middle six, of 9 the middle 4.5.
    assert _interquartile_mean(np.array([5, 8, 4, 38, 8, 6, 9, 7, 7, 3, 1, 6.0])) == 6.5
    assert _interquartile_mean(np.array([1, 3, 5, 7, 9, 11, 13, 15, 17.0])) == 9.0
    assert _interquartile_mean(np.array([4.0])) == 4.0


def test_a_slow_drift_over_hours_is_found() -> None:
    random = np.random.default_rng(4)
    at = np.sort(random.uniform(0.0, 4 * HOUR, 5000))
    values = 30.0 + 5.0 * random.standard_gamma(2.0, 5000) + 2.0 * at / (4 * HOUR)
    result = found(at, values)
    assert result.drifts
    assert result.points == MOST_POINTS
    assert result.low * 4 * HOUR < 2.0 < result.high * 4 * HOUR
    assert result.slope * result.seconds == pytest.approx(2.0, rel=0.5)


def test_too_few_moments() -> None:
    assert trend([], []) is None
    assert trend(np.arange(FEWEST_POINTS - 1.0), np.arange(FEWEST_POINTS - 1.0)) is None
    assert trend(np.zeros(100), np.arange(100.0)) is None
    assert trend(np.zeros(1000), np.arange(1000.0)) is None


def test_order_does_not_matter() -> None:
    random = np.random.default_rng(5)
    at, values = np.arange(60.0), random.normal(size=60)
    order = random.permutation(60)
    assert trend(at, values) == trend(at[order], values[order])
