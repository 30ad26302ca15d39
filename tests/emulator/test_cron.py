from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_emulator.cluster.cron import CronError, parse_cron


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # the table of spec_test.go of robfig/cron, in UTC
        ("0 0/15 * * *", "2012-07-09T14:45:00", "2012-07-09T15:00:00"),
        ("0 0/15 * * * *", "2012-07-09T14:59:59", "2012-07-09T15:00:00"),
        ("0 20-35/15 * * * *", "2012-07-09T15:45:00", "2012-07-09T16:20:00"),
        ("0 */15 * * * *", "2012-07-09T23:46:00", "2012-07-10T00:00:00"),
        ("15/35 20-35/15 1/2 * * *", "2012-07-09T23:35:51", "2012-07-10T01:20:15"),
        ("15/35 20-35/15 10-12 * * *", "2012-07-09T23:35:51", "2012-07-10T10:20:15"),
        ("0 0 0 9 Apr-Oct ?", "2012-07-09T23:35:00", "2012-08-09T00:00:00"),
        ("0 0 0 */5 Apr,Aug,Oct Mon", "2012-07-09T23:35:00", "2012-08-06T00:00:00"),
        ("0 0 0 * Feb Mon", "2012-07-09T23:35:00", "2013-02-04T00:00:00"),
        ("0 0 0 * Feb Mon/2", "2012-07-09T23:35:00", "2013-02-01T00:00:00"),
        ("0 0 0 29 Feb ?", "2012-07-09T23:35:00", "2016-02-29T00:00:00"),
        ("@hourly", "2012-07-09T14:45:00", "2012-07-09T15:00:00"),
        ("@daily", "2012-07-09T14:45:00", "2012-07-10T00:00:00"),
        ("@weekly", "2012-07-09T14:45:00", "2012-07-15T00:00:00"),
        ("@monthly", "2012-07-09T14:45:00", "2012-08-01T00:00:00"),
        ("@yearly", "2012-07-09T14:45:00", "2013-01-01T00:00:00"),
        ("@every 1h30m", "2012-07-09T14:45:00", "2012-07-09T16:15:00"),
        ("@every 500ms", "2012-07-09T14:45:00", "2012-07-09T14:45:01"),
        ("@every 1.5h", "2012-07-09T14:45:00", "2012-07-09T16:15:00"),
    ],
)
def test_next(expression: str, after: str, expected: str) -> None:
    assert parse_cron(expression).next(seconds(after)) == seconds(expected)


def test_five_fields_begin_with_seconds() -> None:
    """A user who means every five minutes gets every five seconds, as with the real server."""
    schedule = parse_cron("*/5 * * * *")
    assert schedule.next(seconds("2026-01-01T00:00:00")) == seconds("2026-01-01T00:00:05")


def test_days_are_alternatives_unless_one_has_a_star() -> None:
    start = seconds("2026-11-01T00:00:00")  # a Sunday
    either = parse_cron("0 0 0 13 * Fri")
    assert either.next(start) == seconds("2026-11-06T00:00:00")
    both = parse_cron("0 0 0 13 * *")
    assert both.next(start) == seconds("2026-11-13T00:00:00")
    starred = parse_cron("0 0 0 */2 * Fri")
    assert starred.next(start) == seconds("2026-11-13T00:00:00")


def test_a_date_that_never_comes() -> None:
    assert parse_cron("0 0 0 30 2 ?").next(0) is None
    assert parse_cron("0 0 0 , 2 1").next(0) is not None
    assert parse_cron(", * * * *").next(0) is None


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "Empty spec string"),
        ("* * * *", "Expected 5 to 6 fields, found 4: * * * *"),
        ("* * * * * * *", "Expected 5 to 6 fields, found 7"),
        ("60 * * * *", "End of range (60) above maximum (59): 60"),
        ("* * * 0 *", "Beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "Beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "Step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "Too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "Too many slashes: 1/2/3"),
        ("x * * * *", 'Failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("* * * * Foo", "Failed to parse int from Foo"),
        ("@fortnightly", "Unrecognized descriptor: @fortnightly"),
        ("@every", "Unrecognized descriptor: @every"),
        ("@every soon", 'Failed to parse duration @every soon: time: invalid duration "soon"'),
        ("@every 5", "missing unit in duration"),
        ("* * * * * 7", "End of range (7) above maximum (6): 7"),
    ],
)
def test_what_robfig_refuses(expression: str, message: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(expression)
    assert message in str(caught.value)


def test_the_latest_slot_is_found_over_years_of_missed_ones() -> None:
    until = seconds("2026-11-24T09:00:30")
    for expression, expected in (
        ("* * * * * *", "2026-11-24T09:00:30"),
        ("0 */5 * * * *", "2026-11-24T09:00:00"),
        ("0 0 0 1 * *", "2026-11-01T00:00:00"),
        ("0 0 0 29 2 ?", "2024-02-29T00:00:00"),
    ):
        schedule = parse_cron(expression)
        first = schedule.next(seconds("2000-01-01T00:00:00"))
        assert first is not None
        assert schedule.latest(first, until) == seconds(expected)
    every = parse_cron("@every 7s")
    assert every.latest(0, 100) == 98
    assert every.latest(200, 100) == 200


FIELD = st.one_of(
    st.just("*"),
    st.integers(0, 70).map(str),
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
    st.integers(0, 40).map(lambda step: f"*/{step}"),
    st.sampled_from(["mon", "JAN", "?", "1,2,3", "", "-", "/", "1-", "a-b", "٣"]),
    st.text(max_size=4),
)


@given(
    st.one_of(st.lists(FIELD, min_size=4, max_size=7).map(" ".join), st.text(max_size=12)),
    st.integers(0, 4_000_000_000),
)
def test_any_text_is_a_schedule_or_a_cron_error(expression: str, after: int) -> None:
    try:
        schedule = parse_cron(expression)
    except CronError as error:
        assert str(error)  # noqa: PT017  either outcome is right, and each is checked
        return
    found = schedule.next(after)
    assert found is None or found > after
