from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from kfp_perf.statistics.bootstrap import block_length, share_intervals

Array = NDArray[np.float64]


def correlated(random: np.random.Generator, size: int, coefficient: float) -> Array:
    """A first-order autoregressive series of unit variance."""
    noise = random.normal(0.0, np.sqrt(1.0 - coefficient**2), size)
    series = np.empty(size)
    series[0] = random.normal()
    for at in range(1, size):
        series[at] = coefficient * series[at - 1] + noise[at]
    return series


def test_independent_seconds_need_short_blocks() -> None:
    random = np.random.default_rng(1)
    lengths = [block_length(random.normal(size=1000)) for _ in range(20)]
    assert np.median(lengths) <= 3


def test_blocks_grow_with_autocorrelation() -> None:
    random = np.random.default_rng(2)
    medians = [
        float(np.median([block_length(correlated(random, 2000, coefficient)) for _ in range(20)]))
        for coefficient in (0.0, 0.5, 0.9)
    ]
    assert medians == sorted(medians)
    # The best length for the circular bootstrap of a first-order process of 0.9 is
    # (3/2 * (2 * 0.9 / (1 - 0.9**2))**2 * 2000)**(1/3) = 65.
    assert 40 <= medians[2] <= 90


@pytest.mark.parametrize("series", [[], [1.0], [1.0, 2.0, 1.0], [5.0] * 100])
def test_block_length_of_what_says_nothing(series: list[float]) -> None:
    assert block_length(series) == 1


@pytest.mark.parametrize("coefficient", [0.0, 0.8])
def test_intervals_cover_although_seconds_are_alike(coefficient: float) -> None:
    random = np.random.default_rng(3)
    covered = naive = 0
    rounds, seconds, each = 120, 600, 20
    for round_ in range(rounds):
        level = np.clip(0.5 + 0.15 * correlated(random, seconds, coefficient), 0.0, 1.0)
        hits = random.binomial(each, level).astype(np.float64)
        found = share_intervals(hits, np.full(seconds, each), seed=round_, resamples=300)
        assert found is not None
        share = hits.sum() / (seconds * each)
        low, high = found[0]
        covered += share - high <= 0.5 <= share - low
        reach = 1.96 * np.sqrt(share * (1 - share) / (seconds * each))
        naive += abs(share - 0.5) <= reach
    assert covered / rounds >= 0.88
    if coefficient:
        assert naive / rounds < 0.6


def test_it_is_repeatable() -> None:
    hits = np.random.default_rng(4).binomial(10, 0.9, 120)
    first = share_intervals(hits, np.full(120, 10), seed=5)
    assert first == share_intervals(hits, np.full(120, 10), seed=5)
    assert first != share_intervals(hits, np.full(120, 10), seed=6)


def test_seconds_without_requests_are_no_harm() -> None:
    random = np.random.default_rng(5)
    totals = random.binomial(1, 0.1, 600)
    hits = totals * random.binomial(1, 0.5, 600)
    found = share_intervals(hits, totals)
    assert found is not None
    low, high = found[0]
    assert -0.5 < low < 0.0 < high < 0.5


def test_all_rows_use_one_block_length() -> None:
    random = np.random.default_rng(6)
    level = np.clip(0.5 + 0.2 * correlated(random, 600, 0.95), 0.0, 1.0)
    slow, quick = random.binomial(50, level), random.binomial(50, 0.5, 600)
    alone = share_intervals(quick, np.full(600, 50))
    beside = share_intervals([slow, quick], np.full(600, 50))
    assert alone is not None
    assert beside is not None
    assert alone[0] != beside[1]


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(59, np.full(59, 0.5)), (80, np.repeat([0.1, 0.9], 40))],
    ids=["less than a minute", "one change in the whole test"],
)
def test_too_short_to_tell(seconds: int, level: Array) -> None:
    hits = np.random.default_rng(7).binomial(50, level)
    assert share_intervals(hits, np.full(seconds, 50)) is None


def test_nothing_at_all() -> None:
    assert share_intervals([[]], []) is None
    assert share_intervals(np.zeros(100), np.zeros(100)) is None
