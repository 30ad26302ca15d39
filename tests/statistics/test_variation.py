from __future__ import annotations

import math

import numpy as np
import pytest

from kfp_perf.statistics.comparison import compare
from kfp_perf.statistics.variation import is_stable, smallest_changes, variation_of


def test_a_known_variation() -> None:
    found = variation_of([math.exp(x) for x in (1.0, 2.0, 3.0)])
    assert found.mean == pytest.approx(math.e**2)
    assert found.spread == pytest.approx(math.e - 1.0)
    # Student's t with 2 degrees of freedom: 4.303
    assert found.half_width == pytest.approx(math.expm1(4.30265 / math.sqrt(3.0)), rel=1e-5)
    assert found.low is not None
    assert found.low < found.mean < (found.high or 0.0)


def test_one_value_has_no_interval() -> None:
    found = variation_of([3.0])
    assert found.mean == pytest.approx(3.0)
    assert found.low is found.spread is None


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [math.nan]])
def test_what_has_no_logarithm_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        variation_of(values)


def test_stability_needs_five_executions_of_each_metric() -> None:
    close = variation_of([1.0, 1.001, 0.999, 1.0, 1.001])
    assert is_stable([close], 0.01)
    assert not is_stable([variation_of([1.0, 1.001, 0.999, 1.0])], 0.01)
    assert not is_stable([close, variation_of([1.0, 2.0, 3.0, 1.0, 2.0])], 0.01)
    assert not is_stable([], 0.01)


def test_the_smallest_change_is_found_four_times_in_five() -> None:
    """Sides of five that vary by 5 %: the change that `smallest_changes` gives has a power of 80 %."""
    (change,) = smallest_changes(math.expm1(0.05), [5])
    generator = np.random.default_rng(1)
    found = 0
    rounds = 600
    for _ in range(rounds):
        before = np.exp(generator.normal(0.0, 0.05, 5))
        after = np.exp(generator.normal(math.log1p(change), 0.05, 5))
        low = compare(list(before), list(after), within=1e-6).low
        found += low is not None and low > 0.0
    assert 0.75 <= found / rounds <= 0.85


@pytest.mark.parametrize(("spread", "least"), [(0.03, 0.92), (0.1, 0.92)])
def test_the_interval_of_a_study_that_ended_by_its_width_covers_the_mean(spread: float, least: float) -> None:
    """`--until-stable 5%` looks after each execution, which makes intervals a little too narrow."""
    generator = np.random.default_rng(2)
    rounds, covered = 1000, 0
    for _ in range(rounds):
        values = list(np.exp(generator.normal(0.0, spread, 40)))
        count = next((n for n in range(5, 41) if is_stable([variation_of(values[:n])], 0.05)), 40)
        found = variation_of(values[:count])
        covered += (found.low or 0.0) <= 1.0 <= (found.high or 0.0)
    assert least - 0.015 <= covered / rounds <= 0.97
