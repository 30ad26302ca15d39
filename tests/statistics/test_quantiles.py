from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.statistics.quantiles import FINE_QUANTILES, binned_quantile, quantile, rank_of


@given(st.lists(st.integers(0, 50), min_size=1), st.sampled_from([0.0, *FINE_QUANTILES.values(), 1.0]))
def test_it_is_numpy_s_inverted_cdf_of_values_and_of_bins(values: list[int], share: float) -> None:
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert quantile(values, share) == exact
    assert binned_quantile(np.bincount(values), share) == exact


@pytest.mark.parametrize(
    ("share", "count", "rank"),
    [
        (0.95, 20, 19),
        (0.95, 21, 20),
        (0.99, 100, 99),
        (0.999, 1000, 999),
        (0.5, 1, 1),
        (0.0, 7, 1),
        (1.0, 7, 7),
    ],
)
def test_ranks_are_free_of_rounding_errors(share: float, count: int, rank: int) -> None:
    assert rank_of(share, count) == rank


def test_of_no_values_in_bins_there_is_none() -> None:
    assert binned_quantile([], 0.5) is None
    assert binned_quantile([0, 0], 0.5) is None
