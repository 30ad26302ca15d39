from __future__ import annotations

import numpy as np
import pytest
from autoregressive import autoregressive

from kfp_perf.statistics.correlation import first_order_correlation


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.8])
def test_its_mean_is_the_coefficient_of_the_process(coefficient: float) -> None:
    series = autoregressive(np.random.default_rng(1), coefficient, 60, 400)
    found = [first_order_correlation(row) for row in series]
    assert np.mean(found) == pytest.approx(coefficient, abs=0.03)


@pytest.mark.parametrize("values", [[], [1.0], [3.0] * 50, [1.0, 2.0, 1.0, 2.0, 1.0]])
def test_what_says_nothing_is_not_correlated(values: list[float]) -> None:
    assert first_order_correlation(values) == 0.0


def test_it_stays_below_one() -> None:
    assert first_order_correlation(np.arange(1000.0)) == 0.99
