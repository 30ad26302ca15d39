from __future__ import annotations

import math

import numpy as np
import pytest
from execution_noise import SHAPES
from scipy import stats

from kfp_perf.statistics.margins import MarginVerdict, decide_margin, difference_of, judge_margin

TESTS = 1500
# The long form, with more sizes and shapes, is benchmarks/baseline_thresholds.py.
ERROR = math.sqrt(0.025 * 0.975 / TESTS)
MARGIN = math.log(1.1)


def shares(shape: str, baseline: int, new: int, change: float) -> dict[MarginVerdict, float]:
    random = np.random.default_rng([baseline, new, *shape.encode()])
    before = 0.05 * SHAPES[shape](random, (TESTS, baseline))
    after = 0.05 * SHAPES[shape](random, (TESTS, new)) + change
    counts = dict.fromkeys(MarginVerdict, 0)
    for one, other in zip(before, after, strict=True):
        low, high = difference_of(one, other).interval(0.95)
        counts[decide_margin(low, high, MARGIN, is_upper=True)] += 1
    return {verdict: count / TESTS for verdict, count in counts.items()}


@pytest.mark.parametrize(("baseline", "new"), [(3, 1), (10, 1), (5, 2), (5, 5)])
def test_a_side_at_the_bound_is_judged_wrongly_as_seldom_as_stated(baseline: int, new: int) -> None:
    found = shares("normal", baseline, new, MARGIN)
    assert found[MarginVerdict.BEYOND] <= 0.025 + 3 * ERROR
    assert found[MarginVerdict.WITHIN] <= 0.025 + 3 * ERROR


@pytest.mark.parametrize("shape", SHAPES)
def test_an_unchanged_side_is_seldom_found_beyond_the_margin(shape: str) -> None:
    found = shares(shape, 5, 1, 0.0)
    assert found[MarginVerdict.BEYOND] <= 0.015
    assert found[MarginVerdict.WITHIN] > 0.15


@pytest.mark.parametrize(("shape", "pairs"), [("normal", 3), ("skewed", 5), ("bimodal", 10)])
def test_pairs_at_the_bound_are_judged_wrongly_as_seldom_as_stated(shape: str, pairs: int) -> None:
    random = np.random.default_rng([pairs, *shape.encode()])
    # A drift from pair to pair, which both executions of a pair share, changes nothing.
    drift = np.linspace(0.0, 0.1, pairs)
    before, after = (0.05 * SHAPES[shape](random, (TESTS, pairs)) + drift for _ in range(2))
    verdicts = [
        decide_margin(*difference_of(one, other, paired=True).interval(0.95), MARGIN, is_upper=True)
        for one, other in zip(before, after + MARGIN, strict=True)
    ]
    assert verdicts.count(MarginVerdict.BEYOND) / TESTS <= 0.025 + 3 * ERROR
    assert verdicts.count(MarginVerdict.WITHIN) / TESTS <= 0.031 + 3 * ERROR


@pytest.mark.parametrize(("shape", "share"), [("skewed", 0.06), ("bimodal", 0.04)])
def test_other_shapes_have_more_false_alarms_as_documented(shape: str, share: float) -> None:
    found = shares(shape, 5, 1, MARGIN)
    assert abs(found[MarginVerdict.BEYOND] - share) <= 4 * ERROR
    assert found[MarginVerdict.WITHIN] <= 0.01 + 3 * ERROR


def test_the_interval_of_one_new_execution_is_the_prediction_interval() -> None:
    baseline, new = [10.0, 10.5, 9.7, 10.2], 11.0
    found = judge_margin(baseline, [new], 0.5, is_relative=True, is_upper=True)
    logarithms = np.log(baseline)
    reach = stats.t.ppf(0.975, 3) * logarithms.std(ddof=1) * math.sqrt(1 + 1 / 4)
    centre = math.log(new) - logarithms.mean()
    assert found.low == pytest.approx(math.expm1(centre - reach))
    assert found.high == pytest.approx(math.expm1(centre + reach))
    assert found.change == pytest.approx(math.expm1(centre))


def test_the_interval_of_pairs_is_student_s() -> None:
    baseline, new = [10.0, 20.0, 40.0, 80.0], [11.0, 21.0, 46.0, 84.0]
    found = judge_margin(baseline, new, 0.3, is_relative=True, is_upper=True, paired=True)
    interval = stats.ttest_rel(np.log(new), np.log(baseline)).confidence_interval(0.95)
    assert found.low == pytest.approx(math.expm1(interval.low))
    assert found.high == pytest.approx(math.expm1(interval.high))
    assert found.verdict is MarginVerdict.WITHIN
    alone = judge_margin(baseline, new, 0.3, is_relative=True, is_upper=True)
    assert alone.verdict is MarginVerdict.UNDECIDED, "the sides vary far more than the pairs"


def test_pairs_that_cannot_be_judged_say_why() -> None:
    def reason(baseline: list[float], new: list[float]) -> str:
        return judge_margin(baseline, new, 0.1, is_relative=True, is_upper=True, paired=True).reason

    assert reason([10.0], [11.0]) == "there is one pair, and it takes 3 to see how far pairs vary"
    assert "there are 2 pairs" in reason([10.0, 11.0], [11.0, 12.0])
    assert "pairs do not differ at all" in reason([10.0, 20.0, 40.0], [11.0, 22.0, 44.0])
    with pytest.raises(ValueError, match="no pairs"):
        reason([10.0, 11.0, 12.0], [10.0, 11.0, 12.0, 13.0])


def test_the_interval_of_several_is_that_of_welch() -> None:
    baseline, new = [10.0, 10.5, 9.7, 10.2], [11.0, 12.5, 10.1]
    found = judge_margin(baseline, new, 5.0, is_relative=False, is_upper=True)
    welch = stats.ttest_ind(new, baseline, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high))


@pytest.mark.parametrize(
    ("margin", "is_upper", "verdict"),
    [
        (0.30, True, MarginVerdict.WITHIN),
        (0.10, True, MarginVerdict.UNDECIDED),
        (-0.05, True, MarginVerdict.BEYOND),
        (-0.05, False, MarginVerdict.WITHIN),
        (0.10, False, MarginVerdict.UNDECIDED),
        (0.30, False, MarginVerdict.BEYOND),
    ],
)
def test_the_verdict_follows_the_interval(margin: float, is_upper: bool, verdict: MarginVerdict) -> None:
    baseline = [10.0, 10.3, 9.7, 10.1, 9.9]
    found = judge_margin(baseline, [11.0], margin, is_relative=True, is_upper=is_upper)
    assert found.verdict is verdict
    assert (found.executions is not None) is (verdict is MarginVerdict.UNDECIDED)
    assert bool(found.reason) is (verdict is MarginVerdict.UNDECIDED)


def test_the_error_is_divided_among_the_comparisons() -> None:
    def width(comparisons: int) -> float:
        found = judge_margin(
            [10.0, 10.3, 9.7], [10.0], 2.0, is_relative=False, is_upper=True, comparisons=comparisons
        )
        assert found.confidence == pytest.approx(1 - 0.05 / comparisons)
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(3) / width(1) == pytest.approx(stats.t.ppf(1 - 0.025 / 3, 2) / stats.t.ppf(0.975, 2))


@pytest.mark.parametrize(
    ("baseline", "new", "reason"),
    [
        ([10.0], [10.0], "the baseline has one execution, and it takes 3"),
        ([10.0, 11.0], [10.0], "the baseline has 2 executions, and it takes 3"),
        ([10.0, 10.0, 10.0], [10.0], "do not differ at all"),
        ([10.0, 0.0, 10.0], [10.0], "not positive"),
        ([10.0, 9.0, 10.0], [0.0], "not positive"),
    ],
)
def test_what_cannot_be_told_has_a_reason(baseline: list[float], new: list[float], reason: str) -> None:
    found = judge_margin(baseline, new, 0.1, is_relative=True, is_upper=True)
    assert found.verdict is MarginVerdict.UNDECIDED
    assert reason in found.reason


@pytest.mark.parametrize(
    ("new", "verdict"),
    [(1.0, MarginVerdict.WITHIN), (0.99, MarginVerdict.WITHIN), (0.97, MarginVerdict.BEYOND)],
)
def test_shares_without_any_spread_are_exact(new: float, verdict: MarginVerdict) -> None:
    baseline = [1.0, 1.0, 1.0]
    found = judge_margin(baseline, [new], -0.01, is_relative=False, is_upper=False, is_exact=True)
    assert found.verdict is verdict


def test_sides_without_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        judge_margin([], [1.0], 0.1, is_relative=True, is_upper=True)


def test_the_executions_that_would_do_find_the_margin() -> None:
    """With so many a side an unchanged system is found within the margin in about 80 % of the cases."""
    random = np.random.default_rng(1)
    spread = 0.05
    found = judge_margin(
        list(np.exp(spread * np.array([-1.2, -0.4, 0.1, 0.5, 1.0]))),
        [1.02],
        0.1,
        is_relative=True,
        is_upper=True,
    )
    assert found.executions is not None
    low, high = found.executions
    assert low is not None
    assert high is not None

    def kept(size: int) -> float:
        rows = spread * random.normal(size=(400, 2, size))
        intervals = (difference_of(one, other).interval(0.95) for one, other in rows)
        return sum(end <= MARGIN for _, end in intervals) / 400

    assert kept(max(3, low)) < 0.9
    assert kept(high) > 0.75
