from __future__ import annotations

import math

import numpy as np
import pytest

from kfp_perf.statistics.survival import Survival, Unfinished, kaplan_meier, survival, treatment


def estimate(ended: list[float], censored: list[float] | None = None) -> Survival:
    found = kaplan_meier(ended, censored or [])
    assert found is not None
    return found


def test_leukaemia_remissions() -> None:
    # Remission times under 6-mercaptopurine in weeks (Freireich et al. 1963), the textbook example: the median is
    # 23 weeks, and survival at 10 weeks 0.753.
    ended = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    found = estimate([float(week) for week in ended], [float(week) for week in censored])
    assert (found.ended, found.censored, found.longest) == (9, 12, 23.0)
    assert found.quantile(0.5) == 23.0
    assert found.quantile(0.9) is None
    at_ten = found.curve.values[np.flatnonzero(found.curve.times == 10.0)[0]]
    assert at_ten == pytest.approx(0.7529, abs=1e-4)
    # The limits of the median that R's survfit gives with conf.type = "log-log".
    assert found.interval(0.5) == (13.0, None)


def test_without_censoring_it_is_the_order_statistics() -> None:
    values = [float(value) for value in range(1, 101)]
    found = estimate(values)
    assert [found.quantile(share) for share in (0.5, 0.9, 0.95, 0.99)] == [50.0, 90.0, 95.0, 99.0]
    assert found.mean == pytest.approx(np.mean(values))
    low, high = found.interval(0.5)
    assert low is not None
    assert high is not None
    assert low < 50.0 < high


def test_censored_runs_move_quantiles_up() -> None:
    values = [float(value) for value in range(1, 101)]
    median = estimate(values, [50.0] * 40).quantile(0.5)
    assert median is not None
    assert median > 50.0


def test_half_still_going_on() -> None:
    found = estimate([float(value) for value in range(1, 51)], [60.0] * 50)
    assert found.quantile(0.5) == 50.0
    assert found.quantile(0.51) is None
    assert found.interval(0.5)[1] is None


def test_nothing_ended() -> None:
    found = estimate([], [3.0, 5.0])
    assert (found.ended, found.censored, found.longest, found.mean) == (0, 2, None, 5.0)
    assert found.quantile(0.01) is None
    assert found.interval(0.5) == (None, None)


def test_nothing_at_all() -> None:
    assert kaplan_meier([]) is None


def test_one_run() -> None:
    found = estimate([3.0])
    assert (found.quantile(0.5), found.quantile(0.99), found.mean) == (3.0, 3.0, 3.0)
    assert found.interval(0.5) == (None, None)


def test_negative_times_are_kept() -> None:
    found = estimate([-0.5, 1.0, 1.0, 2.5])
    assert found.mean == pytest.approx(1.0)
    assert found.quantile(0.25) == -0.5


def test_intervals_cover_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    truth = -math.log(0.5)
    covered = 0
    for _ in range(200):
        ends, leaves = random.exponential(1.0, 60), random.exponential(2.0, 60)
        seen = ends <= leaves
        low, high = estimate(list(ends[seen]), list(leaves[~seen])).interval(0.5)
        covered += (low is not None and low <= truth) and (high is None or truth <= high)
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize(
    ("unfinished", "cut_short", "fell_behind", "how"),
    [
        (0, False, False, Unfinished.NONE),
        (0, True, True, Unfinished.NONE),
        (3, False, False, Unfinished.RANK_LAST),
        (3, True, False, Unfinished.CENSORED),
        (3, False, True, Unfinished.EXCLUDED),
        (3, True, True, Unfinished.EXCLUDED),
    ],
)
def test_why_runs_did_not_end_decides_what_is_made_of_them(
    unfinished: int, cut_short: bool, fell_behind: bool, how: Unfinished
) -> None:
    assert treatment(unfinished, cut_short=cut_short, fell_behind=fell_behind) is how


def test_unfinished_ones_rank_above_all_that_ended() -> None:
    ended = [float(value) for value in range(1, 61)]
    # Kaplan and Meier spread the 40 that were followed for 20 s over the times of those that ended later.
    assert estimate(ended, [20.0] * 40).quantile(0.9) == 55.0
    found = survival(ended, [20.0] * 40, Unfinished.RANK_LAST)
    assert found is not None
    assert found.quantile(0.5) == 50.0
    assert found.quantile(0.6) == 60.0
    assert found.quantile(0.61) is None
    assert found.quantile(0.9) is None
    assert (found.ended, found.censored, found.longest) == (60, 40, 60.0)
    low, high = found.interval(0.5)
    assert low is not None
    assert low < 50.0
    assert high is not None
    assert found.interval(0.6)[1] is None


def test_a_quantile_that_is_not_reached_has_a_lower_bound() -> None:
    found = survival([10.0, 20.0, 70.0], [40.0, 50.0, 60.0], Unfinished.RANK_LAST)
    assert found is not None
    assert found.quantile(0.9) is None
    nothing = survival([], [40.0, 50.0], Unfinished.RANK_LAST)
    assert nothing is not None
    assert nothing.quantile(0.1) is None


def test_of_a_load_that_fell_behind_nothing_is_told() -> None:
    assert survival([1.0, 2.0], [3.0], Unfinished.EXCLUDED) is None
    assert survival([], [], Unfinished.NONE) is None
    with pytest.raises(ValueError, match="1 are unfinished"):
        survival([1.0], [3.0], Unfinished.NONE)


def test_kaplan_meier_is_wrong_where_a_server_falls_behind() -> None:
    # Places for half of the load: the later a run is due, the longer it takes, and the shorter it is followed.
    due = np.arange(0.0, 600.0)
    left = 10.0 + 2.0 * due
    ended = left <= 660.0
    estimated = estimate(list((left - due)[ended]), list(660.0 - due[~ended]))
    truth = float(np.median(left - due))
    assert truth == pytest.approx(310.0, abs=1.0)
    assert estimated.quantile(0.5) is None or abs(estimated.quantile(0.5) - truth) > 5.0  # type: ignore[operator]
