from __future__ import annotations

import math

import numpy as np
import pytest
from execution_noise import SHAPES, in_pairs, sequences
from scipy import stats

from kfp_perf.statistics.comparison import (
    ChangeVerdict,
    compare,
    compare_shares,
    decide,
    estimate,
    executions_needed,
    power_of,
    smallest_found,
)

TEST_PAIRS = 1000
# The long form, with 10,000 pairs and every size, is benchmarks/comparison.py.
ERROR = math.sqrt(0.05 * 0.95 / TEST_PAIRS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [3, 10])
def test_false_alarms_and_coverage_are_as_stated(shape: str, size: int) -> None:
    random = np.random.default_rng([size, *shape.encode()])
    before = 0.05 * SHAPES[shape](random, (TEST_PAIRS, size))
    after = 0.05 * SHAPES[shape](random, (TEST_PAIRS, size))
    alarms = held = 0
    for one, other in zip(before, after, strict=True):
        alarms += decide(estimate(one, other), 0.05) in {ChangeVerdict.HIGHER, ChangeVerdict.LOWER}
        low, high = estimate(one, other + 0.1).interval(0.95)
        held += low <= 0.1 <= high
    assert alarms / TEST_PAIRS <= 0.06 + 3 * ERROR
    assert held / TEST_PAIRS >= 0.94 - 3 * ERROR


def test_power_is_that_of_simulation() -> None:
    random = np.random.default_rng(2)
    rows = 0.05 * random.normal(size=(TEST_PAIRS, 2, 5))
    found = sum(
        not low <= 0.0 <= high
        for low, high in (estimate(one, other + math.log(1.1)).interval(0.95) for one, other in rows)
    )
    expected = power_of(math.log(1.1), 0.05, 5)
    assert 0.7 < expected < 0.8
    assert found / TEST_PAIRS == pytest.approx(expected, abs=0.05)


def test_executions_in_a_row_raise_false_alarms_and_pairs_do_not() -> None:
    random = np.random.default_rng(3)
    rows = sequences(random, 500, 20, coefficient=0.6, drift=2.0)
    in_row = paired = 0
    squares = [0.0, 0.0]
    for row in rows:
        one, other = in_pairs(random, 10, at_random=True)
        plain, of_pairs = estimate(row[:10], row[10:]), estimate(row[one], row[other], paired=True)
        in_row += not plain.interval(0.95)[0] <= 0.0 <= plain.interval(0.95)[1]
        paired += not of_pairs.interval(0.95)[0] <= 0.0 <= of_pairs.interval(0.95)[1]
        squares[0] += plain.difference**2
        squares[1] += of_pairs.difference**2
    assert in_row / 500 > 0.4
    assert paired / 500 < 0.09
    assert math.sqrt(squares[0] / squares[1]) > 2.5


def test_the_interval_is_welch_s() -> None:
    before, after = np.log([10.0, 10.4, 9.9]), np.log([11.0, 12.4, 11.3, 10.9, 13.1])
    found = estimate(before, after).interval(0.95)
    exact = stats.ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    assert found == pytest.approx((exact.low, exact.high))
    pairs = estimate(before, after[:3], paired=True).interval(0.9)
    known = stats.ttest_rel(after[:3], before).confidence_interval(0.9)
    assert pairs == pytest.approx((known.low, known.high))


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ([101.0, 100.0, 102.0, 101.0], ChangeVerdict.SAME),
        ([104.0, 103.5, 104.5, 104.0], ChangeVerdict.SAME),  # certainly higher, and too little to matter
        ([120.0, 118.0, 122.0, 121.0], ChangeVerdict.HIGHER),
        ([80.0, 81.0, 79.0, 80.5], ChangeVerdict.LOWER),
        ([90.0, 125.0, 104.0, 110.0], ChangeVerdict.TOO_LITTLE_DATA),
        ([100.0, 100.0, 100.0, 100.0], ChangeVerdict.TOO_COARSE),
    ],
)
def test_the_order_of_verdicts(new: list[float], verdict: ChangeVerdict) -> None:
    assert compare([100.0, 101.0, 99.5, 100.5], new).verdict is verdict


def test_the_interval_that_is_returned_is_the_one_that_decided() -> None:
    random = np.random.default_rng(4)
    for one, other in np.exp(0.03 * random.normal(size=(100, 2, 6))):
        found = compare(one.tolist(), other.tolist(), metrics=2)
        assert found.low is not None
        assert found.high is not None
        inside = found.low >= -0.05 / 1.05 - 1e-12 and found.high <= 0.05 + 1e-12
        match found.verdict:
            case ChangeVerdict.SAME:
                assert inside
                assert found.confidence == pytest.approx(0.95)
            case ChangeVerdict.HIGHER:
                assert found.low > 0.0
            case ChangeVerdict.LOWER:
                assert found.high < 0.0
            case _:
                assert found.low <= 0.0 <= found.high
                assert found.confidence == pytest.approx(0.975)


def test_more_metrics_widen_the_interval() -> None:
    sides = [100.0, 104.0, 97.0, 101.0], [108.0, 111.0, 115.0, 109.0]
    one, three = compare(*sides), compare(*sides, metrics=3)
    assert one.low is not None
    assert three.low is not None
    assert three.low < one.low
    assert three.confidence == pytest.approx(1 - 0.05 / 3)


def test_too_little_data_says_what_would_have_been_found_and_how_many_would_do() -> None:
    found = compare([100.0, 110.0, 95.0], [104.0, 99.0, 115.0])
    assert found.verdict is ChangeVerdict.TOO_LITTLE_DATA
    assert found.smallest_found is not None
    assert found.smallest_found > 0.15
    assert found.executions is not None
    least, most = found.executions
    assert least is not None
    assert most is not None
    assert 5 < least < most


def test_the_smallest_change_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(5)
    known = estimate(np.array([-1.0, 1.0, 0.0, -1.0, 1.0]), np.array([-1.0, 1.0, 0.0, -1.0, 1.0]))
    shift = smallest_found(known, 0.95)
    rows = known.spread * random.normal(size=(TEST_PAIRS, 2, 5))
    found = sum(estimate(one, other + shift).interval(0.95)[0] > 0.0 for one, other in rows)
    assert found / TEST_PAIRS == pytest.approx(0.8, abs=0.04)


def test_the_range_of_executions_holds_the_number_for_the_true_spread() -> None:
    random = np.random.default_rng(6)
    truth = next(count for count in range(3, 1000) if power_of(math.log(1.05), 0.05, count) >= 0.8)
    inside = 0
    for one, other in 0.05 * random.normal(size=(200, 2, 5)):
        ends = executions_needed(estimate(one, other), 0.05)
        assert ends is not None
        inside += (ends[0] or 1001) <= truth <= (ends[1] or 1001)
    assert inside / 200 == pytest.approx(0.8, abs=0.1)


def test_fewer_than_three_executions_decide_nothing() -> None:
    single = compare([10.0], [20.0])
    assert single.verdict is ChangeVerdict.TOO_LITTLE_DATA
    assert single.ratio == pytest.approx(1.0)
    assert (single.low, single.executions) == (None, None)
    assert "run-to-run variation" in single.reason
    several = compare([10.0, 10.1, 9.9, 10.0], [20.0])
    assert several.verdict is ChangeVerdict.TOO_LITTLE_DATA
    assert "at least 3 executions a side" in several.reason
    assert several.executions is not None


@pytest.mark.parametrize(
    ("baseline", "new", "verdict"),
    [
        ([1.0, 1.0, 1.0], [0.9, 0.9, 0.9], ChangeVerdict.LOWER),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], ChangeVerdict.TOO_LITTLE_DATA),
        ([1.0, 1.0, 1.0], [0.9, 0.92, 0.91], ChangeVerdict.LOWER),
        ([0.5, 0.52, 0.51], [0.9, 0.92, 0.91], ChangeVerdict.HIGHER),
        ([1.0, 1.0, 1.0], [0.9, 1.0, 1.0], ChangeVerdict.TOO_LITTLE_DATA),
        ([1.0], [0.0], ChangeVerdict.TOO_LITTLE_DATA),
    ],
)
def test_shares(baseline: list[float], new: list[float], verdict: ChangeVerdict) -> None:
    assert compare_shares(baseline, new).verdict is verdict


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1.0, math.inf]])
def test_values_without_a_logarithm_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no values|positive numbers"):
        compare(values, [1.0, 2.0])


def test_pairs_have_equal_numbers() -> None:
    with pytest.raises(ValueError, match="3 and 4 values are no pairs"):
        compare([1.0, 1.1, 1.2], [1.0, 1.1, 1.2, 1.3], paired=True)
