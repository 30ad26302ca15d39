from __future__ import annotations

import pytest

from kfp_perf.reports.charts import clock_axis, count_axis, log_seconds_axis, seconds_axis, share_axis
from kfp_perf.reports.charts.axes import clock_ticks, even_ticks, log_ticks


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0, 1, 4, [0, 0.5, 1]),
        (0, 7, 4, [0, 2, 4, 6]),
        (-3, 3, 4, [-2, 0, 2]),
        (0, 0.003, 3, [0, 0.001, 0.002, 0.003]),
    ],
)
def test_even_ticks_are_round_and_inside(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert even_ticks(low, high, count) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("high", "count", "ticks"),
    [
        (23, 5, [0, 5, 10, 15, 20]),
        (60, 4, [0, 15, 30, 45, 60]),
        (7200, 4, [0, 1800, 3600, 5400, 7200]),
        (86400 * 20, 5, [0, 345600, 691200, 1036800, 1382400, 1728000]),
    ],
)
def test_clock_ticks_are_times_that_people_say(high: float, count: int, ticks: list[float]) -> None:
    assert clock_ticks(0, high, count) == ticks


@pytest.mark.parametrize(
    ("low", "high", "count", "ticks"),
    [
        (0.001, 0.01, 4, [0.001, 0.002, 0.005, 0.01]),
        (0.002, 1, 4, [0.01, 0.1, 1]),
        (1e-6, 1e6, 4, [1e-6, 1e-3, 1, 1e3, 1e6]),
    ],
)
def test_log_ticks(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert log_ticks(low, high, count) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("low", "high", "edges"),
    [(0.003, 0.4, (0.002, 0.5)), (0.03, 0.03, (0.02, 0.1)), (0.0, 1e12, (1e-6, 5e8)), (1e9, 1e9, (1e8, 5e8))],
)
def test_a_logarithmic_axis_holds_its_values(low: float, high: float, edges: tuple[float, float]) -> None:
    axis = log_seconds_axis(low, high, "latency")
    assert (axis.low, axis.high) == pytest.approx(edges)


def test_places_run_from_end_to_end_and_never_beyond() -> None:
    axis = seconds_axis(10.0, "s")
    assert [axis.place(value, 100.0, 200.0) for value in (-5, 0, 5, 10, 50)] == [100, 100, 150, 200, 200]
    downwards = log_seconds_axis(0.01, 0.6, "s")
    assert downwards.place(0.1, 300.0, 100.0) == pytest.approx(200.0)


@pytest.mark.parametrize("high", [0.0, 1e-12, 0.3, 1, 7, 99, 123456])
def test_a_count_axis_ends_at_a_tick_that_is_not_below_its_values(high: float) -> None:
    axis = count_axis(high, "runs")
    ticks = axis.ticks(axis.low, axis.high, 4)
    assert axis.high >= high
    assert axis.high > 0
    assert ticks[-1] == pytest.approx(axis.high)


def test_ticks_say_their_unit() -> None:
    assert [seconds_axis(2, "s").text(value) for value in (0, 0.25, 1.5, 90)] == [
        "0 s",
        "250 ms",
        "1.5 s",
        "90 s",
    ]
    assert seconds_axis(600, "s").text(300) == "5 min"
    assert share_axis("%").text(0.5) == "50 %"
    assert clock_axis(600).text(65) == "1:05"
    for seconds in (3599, 3600, 9000):
        assert ("h:min:s" in clock_axis(seconds).label) is (clock_axis(seconds).text(seconds).count(":") == 2)
