from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kfp_perf.statistics.trend import FEWEST_POINTS, MOST_POINTS, Trend, trend

Array = NDArray[np.float64]
HOUR = 3600.0


def correlated(random: np.random.Generator, size: int, coefficient: float) -> Array:
    noise = random.normal(0.0, np.sqrt(1.0 - coefficient**2), size)
    series = np.empty(size)
    series[0] = random.normal()
    for at in range(1, size):
        series[at] = coefficient * series[at - 1] + noise[at]
    return series


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
    random = np.random.default_rng(3)
    false_alarms = sum(
        found(np.arange(150.0), correlated(random, 150, coefficient)).drifts for _ in range(150)
    )
    assert false_alarms / 150 <= 0.11


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
