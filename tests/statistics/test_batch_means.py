from __future__ import annotations

import math

import numpy as np
import pytest
from autoregressive import autoregressive
from scipy.stats import t

from kfp_perf.statistics.batch_means import ratio_intervals

# What coverage of 95 % looks like in 200 tests: 0.95 less three standard errors.
LEAST = 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200)


def covered(level: float, seconds: int, coefficient: float, tests: int = 200) -> tuple[float, float]:
    """The share of tests with an interval, and the share of those whose interval holds the truth."""
    random = np.random.default_rng(1)
    series = autoregressive(random, coefficient, seconds, tests)
    given = held = 0
    for row in series:
        # Ten requests a second, of which so many are below a quantile as the second is fast.
        hits = random.binomial(10, np.clip(level + 0.1 * row, 0.0, 1.0))
        (found,) = ratio_intervals(hits, np.full(seconds, 10))
        if found.half_width is not None:
            given += 1
            held += abs(found.value - level) <= found.half_width
    return given / tests, held / max(1, given)


@pytest.mark.parametrize(("seconds", "coefficient"), [(300, 0.0), (300, 0.6), (300, 0.9), (600, 0.9)])
def test_intervals_cover_as_often_as_they_say(seconds: int, coefficient: float) -> None:
    # The long form is benchmarks/intervals.py.
    given, held = covered(0.5, seconds, coefficient)
    assert given >= 0.6
    assert held >= LEAST


def test_none_where_neighbouring_batches_are_alike() -> None:
    given, _ = covered(0.5, 600, 0.99)
    assert given <= 0.3
    drifting = np.arange(600.0)
    (found,) = ratio_intervals(drifting, np.ones(600))
    assert found.half_width is None
    assert "correlated" in found.reason


def test_equal_totals_give_student_s_interval_of_the_batches() -> None:
    values = np.random.default_rng(2).normal(5.0, 1.0, 600)
    (found,) = ratio_intervals(values, np.ones(600))
    batches = values.reshape(10, 60).mean(axis=1)
    assert found.value == pytest.approx(values.mean())
    exact = t.ppf(0.975, 9) * batches.std(ddof=1) / math.sqrt(10)
    assert found.half_width is not None
    assert exact <= found.half_width <= 1.2 * exact
    assert found.reason == ""


def test_batches_of_different_totals_weigh_as_much_as_they_hold() -> None:
    random = np.random.default_rng(3)
    held = given = 0
    for _ in range(200):
        totals = random.poisson(np.repeat([2.0, 40.0], 300))
        (found,) = ratio_intervals(random.binomial(totals, 0.9), totals)
        if found.half_width is not None:
            given += 1
            held += abs(found.value - 0.9) <= found.half_width
    assert given >= 180
    assert held / given >= 0.9


def test_each_row_has_its_own() -> None:
    random = np.random.default_rng(4)
    rows = [random.binomial(10, 0.5, 300), np.full(300, 10), np.arange(300) / 30.0]
    quick, certain, drifting = ratio_intervals(rows, np.full(300, 10))
    assert quick.half_width is not None
    assert (certain.value, certain.half_width) == (1.0, 0.0)
    assert drifting.half_width is None


@pytest.mark.parametrize(
    ("totals", "reason"),
    [
        (np.full(299, 10), "299 s of load, and at least 300 s are needed"),
        (np.zeros(600), "nothing was counted"),
        (np.repeat([10, 0], [100, 500]), "more than half of the load holds nothing"),
        (np.zeros(0), "nothing was counted"),
    ],
)
def test_what_has_no_interval_has_a_reason(totals: np.ndarray, reason: str) -> None:
    (found,) = ratio_intervals(totals / 2.0, totals)
    assert (found.half_width, found.reason) == (None, reason)


def test_rows_and_totals_are_of_the_same_seconds() -> None:
    with pytest.raises(ValueError, match="10 seconds of numerators, and 9 of totals"):
        ratio_intervals(np.zeros(10), np.zeros(9))
