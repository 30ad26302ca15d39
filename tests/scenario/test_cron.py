from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic_core import PydanticCustomError

from kfp_perf.scenario.cron import checked_cron, cron_for_kfp, firings

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "for_kfp"),
    [
        ("*/5 * * * *", "0 */5 * * * *"),
        ("0 0 29 2 *", "0 0 0 29 2 *"),
        ("15,45 9-17 * * MON-FRI", "0 15,45 9-17 * * MON-FRI"),
        ("0 0 1 JAN sun", "0 0 0 1 JAN sun"),
        ("0 0 * * 7", "0 0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 0 * * 0,5,6"),
        ("0 0 * * */7", "0 0 0 * * */7"),
        ("0 0 30 2 1", "0 0 0 30 2 1"),  # the 30th of February or a Monday: it fires on Mondays
        ("  0  0  *  *  * ", "0 0 0 * * *"),
    ],
)
def test_a_standard_expression_gets_seconds_for_kfp(expression: str, for_kfp: str) -> None:
    assert checked_cron(expression) == expression
    assert cron_for_kfp(expression) == for_kfp


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("", "must have five fields, got 0"),
        ("* * * *", "must have five fields, got 4"),
        ("0 */5 * * * *", "must have five fields, got 6"),
        ("@daily", "must have five fields"),
        ("@every 5m", "must have five fields"),
        ("60 * * * *", 'has a wrong minute: "60"'),
        ("*/0 * * * *", 'has a wrong minute: "*/0"'),
        ("a * * * *", 'has a wrong minute: "a"'),
        ("* 24 * * *", 'has a wrong hour: "24"'),
        ("* 5-1 * * *", 'has a wrong hour: "5-1"'),
        ("* * 0 * *", 'has a wrong day of month: "0"'),
        ("* * 32 * *", 'has a wrong day of month: "32"'),
        ("* * L * *", 'has a wrong day of month: "L"'),
        ("* * ? * *", 'has a wrong day of month: "?"'),
        ("* * * 13 *", 'has a wrong month: "13"'),
        ("* * * FOO *", 'has a wrong month: "FOO"'),
        ("* * * * 8", 'has a wrong day of week: "8"'),
        ("* * * * 5#1", 'has a wrong day of week: "5#1"'),
        ("* * * * 5L", 'has a wrong day of week: "5L"'),
        ("0 0 30 2 *", "can never fire"),
        ("0 0 31 4,6,9,11 *", "can never fire"),
    ],
)
def test_what_is_not_standard_or_never_fires_is_refused(expression: str, what: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        checked_cron(expression)
    assert str(caught.value).startswith(what)


def test_macros_are_answered_with_what_to_write() -> None:
    with pytest.raises(PydanticCustomError) as caught:
        checked_cron("@Daily")
    assert caught.value.context is not None
    assert caught.value.context["remedy"] == 'write "0 0 * * *"'


@pytest.mark.parametrize(
    ("expression", "remedy"),
    [
        ("@every 90s", 'write interval "90s" in place of cron'),
        ("@reboot", "write five fields"),
        ("0 */5 * * * *", "leave the first one out"),
        ("0 12 * * * 2026", "no field for years"),
        ("0 0 12 * * ? 2026", "and that for years"),
        ("TZ=Europe/Paris 0 12 * * *", "hours in UTC"),
        ("0 12 * * ?", "write * in place of ?"),
        ("0 12 L * *", "KFP's scheduler does not have"),
        ("0 12 * * 5#3", "KFP's scheduler does not have"),
        ("*/5", "write five fields"),
        ("61 * * * *", "write five fields"),
    ],
)
def test_each_other_form_is_answered_with_what_to_write(expression: str, remedy: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        checked_cron(expression)
    assert caught.value.context is not None
    assert remedy in caught.value.context["remedy"]


def test_firings_are_after_the_one_time_and_up_to_the_other() -> None:
    times = list(firings("*/5 * * * *", START, START + timedelta(minutes=15)))
    assert times == [START + timedelta(minutes=minutes) for minutes in (5, 10, 15)]
    assert not list(firings("0 0 1 2 *", START, START + timedelta(days=1)))
