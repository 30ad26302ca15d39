from __future__ import annotations

import pytest

from kfp_perf.reports.quantities import brief_of, range_of, rate_of, seconds_of, span_of


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.00087, "870 us"),
        (-0.0222, "-22.2 ms"),
        (4.556, "4.56 s"),
        (240.2, "4 min"),
        (200, "3 min 20 s"),
        (7200, "2.0 h"),
    ],
)
def test_times(seconds: float | None, text: str) -> None:
    assert seconds_of(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (4.556, "4.56 s"), (200, "3:20 min"), (7200, "2.0 h")]
)
def test_times_in_one_number(seconds: float | None, text: str) -> None:
    assert brief_of(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (22.9, "23 s"),
        (59.7, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (7199.9, "2 h"),
        (12000, "3 h 20 min"),
    ],
)
def test_how_long_something_lasted(seconds: float, text: str) -> None:
    assert span_of(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (69.01, 71.13, "69.0 to 71.1 s"),
        (0.7, 1.2, "700 ms to 1.20 s"),
        (124, 130, "2:04 to 2:10 min"),
        (100, 130, "100.0 s to 2 min 10 s"),
    ],
)
def test_ranges_say_their_unit_once(low: float, high: float, text: str) -> None:
    assert range_of(low, high) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(None, "–"), (0, "0"), (0.1254, "0.125"), (1.834, "1.83"), (24.62, "24.6"), (1204.4, "1,204")],
)
def test_rates_have_three_digits(rate: float | None, text: str) -> None:
    assert rate_of(rate) == text
