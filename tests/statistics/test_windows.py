from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.statistics.quantiles import rank_of
from kfp_perf.statistics.windows import (
    MOST_SLICES,
    Sliced,
    WindowFigures,
    failed_shares,
    means,
    quantiles,
    rates,
    slices_of,
    spread_pending,
    sums,
    worst_of,
)

SECONDS = np.array([1.0, 2.0, 5.0, 10.0])


def sliced(
    answered: list[list[int]],
    failed: list[int] | None = None,
    pending: list[int] | None = None,
    waited: list[float] | None = None,
) -> Sliced:
    none = [0] * len(answered)
    return Sliced(
        SECONDS,
        np.array(answered, dtype=np.int64).reshape(-1, 4),
        np.array(failed or none, dtype=np.int64),
        np.array(pending or none, dtype=np.int64),
        np.array(waited or none, dtype=np.float64),
    )


@pytest.mark.parametrize(
    ("seconds", "slices", "step"), [(10.0, 10, 1.0), (60.0, 60, 1.0), (90.0, 60, 1.5), (12.5, 12, 12.5 / 12)]
)
def test_a_window_has_at_most_sixty_slices_of_at_least_a_second(
    seconds: float, slices: int, step: float
) -> None:
    assert slices_of(seconds) == (slices, step)
    assert slices <= MOST_SLICES


def test_a_window_holds_what_was_due_in_its_slices() -> None:
    found = quantiles(sliced([[10, 0, 0, 0], [0, 10, 0, 0], [0, 0, 0, 10]]), 2, 0.5)
    assert found.values.tolist() == [1.0, 2.0]
    assert found.counts.tolist() == [20, 20]


def test_there_is_no_figure_without_a_whole_window() -> None:
    short = sliced([[1, 0, 0, 0]])
    assert quantiles(short, 2, 0.5).values.size == 0
    assert failed_shares(short, 2).values.size == 0
    assert means(np.array([1.0]), 2).values.size == 0
    assert worst_of(quantiles(short, 2, 0.5), "<", 1.0) is None


def test_what_failed_ranks_above_all_that_was_answered() -> None:
    found = quantiles(sliced([[19, 0, 0, 0], [19, 0, 0, 0]], failed=[1, 2]), 1, 0.95)
    assert found.values.tolist() == [1.0, np.inf]


def test_what_is_pending_counts_as_longer_than_it_has_waited() -> None:
    one = sliced([[10, 0, 0, 0]] * 3, pending=[1, 1, 10], waited=[7.0, 0.2, 60.0])
    found = quantiles(one, 1, 0.95)
    assert found.values.tolist() == [7.0, 1.0, 60.0], "at least so long"
    assert failed_shares(one, 1).values.tolist() == [0.0, 0.0, 0.0]
    assert failed_shares(one, 1).counts.tolist() == [11, 11, 20]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0, 5.0, 10.0, np.inf])), min_size=1, max_size=40
    ),
    st.sampled_from([0.5, 0.9, 0.95]),
    st.integers(1, 3),
)
def test_it_is_the_quantile_of_the_operations_due_in_the_window(
    operations: list[tuple[int, float]], share: float, slices: int
) -> None:
    answered, failed = np.zeros((6, 4), dtype=np.int64), np.zeros(6, dtype=np.int64)
    for place, seconds in operations:
        if np.isinf(seconds):
            failed[place] += 1
        else:
            answered[place, int(np.searchsorted(SECONDS, seconds))] += 1
    found = quantiles(Sliced(SECONDS, answered, failed, 0 * failed, np.zeros(6)), slices, share)
    for first in range(6 - slices + 1):
        held = sorted(seconds for place, seconds in operations if first <= place < first + slices)
        expected = held[rank_of(share, len(held)) - 1] if held else np.nan
        assert found.values[first] == pytest.approx(expected, nan_ok=True)
        assert found.counts[first] == len(held)


@given(
    st.lists(st.integers(0, 20), min_size=4, max_size=4), st.lists(st.integers(0, 5), min_size=4, max_size=4)
)
def test_more_that_ended_makes_no_upper_bound_hold_again(ends: list[int], waiting: list[int]) -> None:
    """Whatever pending operations become, a quantile that was above a bound stays above it."""
    before = sliced([ends], pending=[sum(waiting)], waited=[3.0])
    now = quantiles(before, 1, 0.9).values[0]
    # Each took at least the 3 s that it had waited.
    later = sliced(
        [[ends[0], ends[1], ends[2] + waiting[2], ends[3] + waiting[3]]], [waiting[0] + waiting[1]]
    )
    then = quantiles(later, 1, 0.9).values[0]
    assert np.isnan(now) or then >= now


def test_rates_and_means() -> None:
    found = rates(np.array([10, 0, 20, 30]), 2, 4.0)
    assert found.values.tolist() == [2.5, 5.0, 12.5]
    read = means(np.array([1.0, np.nan, 3.0, np.nan, np.nan]), 2)
    assert read.values.tolist()[:3] == [1.0, 3.0, 3.0]
    assert np.isnan(read.values[3])
    assert sums(np.array([1, 2, 3]), 3).tolist() == [6]


@pytest.mark.parametrize(("comparison", "place"), [("<", 2), ("<=", 2), (">", 0), (">=", 0), ("==", 2)])
def test_the_worst_window_is_furthest_on_the_wrong_side(comparison: str, place: int) -> None:
    figures = WindowFigures(np.array([1.0, 3.0, 9.0, np.nan, 99.0]), np.array([20, 20, 20, 20, 3]))
    found = worst_of(figures, comparison, 2.5, 20)
    assert found is not None
    assert found.place == place
    assert worst_of(figures, comparison, 2.5, 21) is None


def test_a_quantile_that_is_not_reached_is_worse_than_any() -> None:
    figures = WindowFigures(np.array([9.0, np.inf]), np.array([20, 20]))
    found = worst_of(figures, "<", 1.0)
    assert found is not None
    assert np.isinf(found.value)


def test_pending_operations_are_taken_as_the_newest_that_have_not_ended() -> None:
    due, ended = np.array([10, 10, 10, 10]), np.array([9, 11, 10, 4])
    assert spread_pending(due, ended, 6).tolist() == [0, 0, 0, 6], "the first one is a matter of slices"
    assert spread_pending(due, ended, 7).tolist() == [1, 0, 0, 6]
    assert spread_pending(due, ended, 3).tolist() == [0, 0, 0, 3]
    assert spread_pending(due, ended, 99).tolist() == [1, 0, 0, 6], "as many as there can be"
