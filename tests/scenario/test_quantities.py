from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from kfp_perf.scenario.quantities import MAX_MINUTES, Rate, parse_minutes, parse_rate, parse_target


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("90s", 1.5),
        ("1m", 1.0),
        ("1min", 1.0),
        ("1h30m", 90.0),
        (" 2 h 30 s ", 120.5),
        ("1d", 1440.0),
        ("600ms", 0.01),
        ("1.5m", 1.5),
    ],
)
def test_a_time_is_minutes_or_has_its_units(given: object, minutes: float) -> None:
    assert parse_minutes(given) == pytest.approx(minutes)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "5",
        "s",
        "5 parsecs",
        "-5s",
        "5s5",
        "1e3s",
        "NaN",
        "٣s",
        None,
        True,
        [],
        {},
        float("nan"),
        float("inf"),
        10**400,
    ],
)
def test_what_is_no_time_is_refused(given: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_minutes(given)


def test_a_time_is_at_most_a_year() -> None:
    assert parse_minutes(MAX_MINUTES) == MAX_MINUTES
    with pytest.raises(PydanticCustomError, match="a year"):
        parse_minutes("367d")


@pytest.mark.parametrize(
    ("given", "per_second", "text"),
    [
        ("5/s", 5.0, "5/s"),
        ("30/min", 0.5, "30/min"),
        ("30 / minute", 0.5, "30/min"),
        ("1800/h", 0.5, "1800/h"),
        ("0.5/sec", 0.5, "0.5/s"),
        ("0/s", 0.0, "0/s"),
        ("1e3/s", 1000.0, "1000/s"),
    ],
)
def test_a_rate_is_how_many_in_what_time(given: str, per_second: float, text: str) -> None:
    rate = parse_rate(given)
    assert rate.per_second == pytest.approx(per_second)
    assert str(rate) == text


@pytest.mark.parametrize(
    "given", ["", "5", 5, "5/day", "-5/s", "1/", "/s", None, True, "inf/s", "nan/s", "1e9/s", "1e999/s"]
)
def test_what_is_no_rate_is_refused(given: object) -> None:
    with pytest.raises(PydanticCustomError):
        parse_rate(given)


def test_a_target_is_slots_or_a_rate() -> None:
    assert parse_target(0) == 0
    assert parse_target(7) == 7
    assert parse_target("60/min") == Rate(60.0, "min")
    for wrong in (-1, 1.5, True, None, 10**9, "7"):
        with pytest.raises(PydanticCustomError):
            parse_target(wrong)
