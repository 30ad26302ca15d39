from __future__ import annotations

import pickle

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.statistics.histogram import (
    DIGITS,
    HIGHEST_MICROSECONDS,
    LOWEST_MICROSECONDS,
    Histogram,
    bins_of,
    top_of,
)
from kfp_perf.statistics.quantiles import FINE_QUANTILES

HOUR = 3600.0


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(st.lists(st.integers(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS), min_size=1, max_size=50))
def test_bins_are_those_of_hdr_histogram(microseconds: list[int]) -> None:
    theirs = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)
    for value in microseconds:
        theirs.record_value(value)
    bins = bins_of(np.array(microseconds) / 1e6)
    counts = np.bincount(bins, minlength=theirs.counts_len)
    assert counts.tolist() == list(theirs.counts)
    for value, place in zip(microseconds, bins.tolist(), strict=True):
        assert top_of(place) * 1e6 == pytest.approx(theirs.get_highest_equivalent_value(value), rel=1e-12)


@pytest.mark.parametrize("share", FINE_QUANTILES.values())
@pytest.mark.parametrize("seed", range(3))
def test_quantiles_are_numpy_s_within_three_digits(share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.lognormal(-4.0, 1.5, 5000 + seed)
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    found = filled(values.tolist()).quantile(share)
    # A bin is at most a thousandth wide, and a time is rounded to the microsecond.
    assert found == pytest.approx(exact, rel=1e-3, abs=1e-6)


def test_longest_and_mean_are_exact() -> None:
    values = np.random.default_rng(4).exponential(0.3, 3000)
    told = filled(values.tolist()).summary(FINE_QUANTILES)
    assert list(told) == ["n", *FINE_QUANTILES, "max", "mean"]
    assert told["n"] == 3000
    assert told["max"] == values.max()
    assert told["mean"] == pytest.approx(values.mean(), rel=1e-12)


def test_one_value_is_every_quantile() -> None:
    told = filled([0.123456]).summary()
    assert {told[name] for name in ("p50", "p99", "max")} == {0.123456}


def test_what_lies_outside_is_kept_at_the_edge() -> None:
    histogram = filled([-0.5, 0.0, 2 * HOUR])
    assert (histogram.count, histogram.negative) == (3, 1)
    assert histogram.quantile(0.5) == 1e-6
    assert histogram.summary()["max"] == 2 * HOUR
    assert histogram.quantile(1.0) == pytest.approx(HOUR, rel=1e-3)


def test_nothing_at_all() -> None:
    histogram = Histogram()
    assert (histogram.count, histogram.summary(), histogram.quantile(0.5)) == (0, {}, None)


@given(
    st.lists(st.floats(0.0, 10.0), max_size=40),
    st.lists(st.floats(0.0, 4000.0), max_size=40),
)
def test_merging_is_as_if_one_had_seen_all(first: list[float], second: list[float]) -> None:
    merged, whole = filled(first), filled(first + second)
    merged.merge(filled(second))
    told, expected = merged.summary(), whole.summary()
    assert told.keys() == expected.keys()
    assert told == pytest.approx(expected, rel=1e-12)


def test_it_goes_to_another_process() -> None:
    histogram = filled([0.1, 0.2, 0.3])
    assert pickle.loads(pickle.dumps(histogram)).summary() == histogram.summary()


def test_memory_does_not_grow_with_the_number_of_values() -> None:
    histogram = Histogram()
    random = np.random.default_rng(5)
    sizes = set()
    for _ in range(4):
        for value in random.uniform(0.001, 1.0, 5000).tolist():
            histogram.record(value)
        sizes.add(histogram._counts.nbytes)
        assert len(histogram._pending) < 1024
    assert len(sizes) == 1
