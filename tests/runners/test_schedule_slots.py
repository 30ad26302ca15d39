from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kfp_perf.runners.schedule_slots import SlotMatch, Timetable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def timetable(created: float = NOON, lasts_seconds: float = 86400, **fields: Any) -> Timetable:
    return Timetable(created, lasts_seconds=lasts_seconds, **fields)


def minutes(*after_noon: float) -> list[float]:
    return [NOON + 60 * minute for minute in after_noon]


@pytest.mark.parametrize(
    ("created", "cron", "until", "slots"),
    [
        (NOON, "*/5 * * * *", NOON + 900, minutes(5, 10, 15)),
        (NOON - 1, "*/5 * * * *", NOON + 300, minutes(0, 5)),
        (NOON + 0.9, "*/5 * * * *", NOON + 299.9, []),
        (NOON, "30 12 * * *", NOON + 3600, minutes(30)),
        (NOON, "30 11 * * *", NOON + 3600, []),
    ],
)
def test_cron_fires_at_the_first_match_after_the_creation(
    created: float, cron: str, until: float, slots: list[float]
) -> None:
    assert timetable(created, cron=cron).waiting(until) == slots


def test_an_interval_counts_from_the_creation() -> None:
    table = timetable(NOON + 0.7, interval_seconds=20)
    assert table.waiting(NOON + 19) == []
    assert table.waiting(NOON + 60) == [NOON + 20, NOON + 40, NOON + 60]


def test_a_run_takes_its_slot_whenever_it_comes() -> None:
    table = timetable(interval_seconds=60)
    assert table.place(NOON + 120, NOON + 131) == SlotMatch(NOON + 120)
    assert table.place(NOON + 60, NOON + 200) == SlotMatch(NOON + 60)
    assert table.waiting(NOON + 240) == minutes(3, 4)


def test_a_second_run_of_a_slot_is_a_double() -> None:
    table = timetable(interval_seconds=60)
    table.place(NOON + 60, NOON + 61)
    assert table.place(NOON + 60, NOON + 75) == SlotMatch(NOON + 60, doubled=True)
    assert table.waiting(NOON + 130) == minutes(2)


@pytest.mark.parametrize("apart", [-5, -1, 1, 2, 5])
def test_what_the_server_counts_from_may_be_seconds_apart_and_its_slot_is_believed(apart: int) -> None:
    table = timetable(interval_seconds=60)
    assert table.place(NOON + 60 + apart, NOON + 75) == SlotMatch(NOON + 60 + apart)
    assert table.place(NOON + 60 + apart, NOON + 90) == SlotMatch(NOON + 60 + apart, doubled=True)
    assert table.waiting(NOON + 120) == minutes(2)


def test_slots_that_are_closer_than_that_are_told_apart() -> None:
    table = timetable(interval_seconds=5)
    for second in (6, 11, 16):
        assert table.place(NOON + second, NOON + 30) == SlotMatch(NOON + second)
    assert table.waiting(NOON + 20) == [NOON + 20]


def test_a_time_far_off_is_no_slot_and_does_not_make_the_table_endless() -> None:
    table = timetable(interval_seconds=1, lasts_seconds=3)
    assert table.place(2e11, 2e11 + 3) == SlotMatch(None)
    assert table.waiting(2e11) == [NOON + 1, NOON + 2, NOON + 3]
    assert timetable(0.0, lasts_seconds=3600, cron="*/30 * * * *").waiting(NOON) == [1800, 3600]


def test_a_run_that_belongs_to_no_slot_has_none() -> None:
    table = timetable(cron="0 * * * *")
    assert table.place(NOON + 300, NOON + 310) == SlotMatch(None)
    assert table.place(None, None) == SlotMatch(None)
    assert table.waiting(NOON + 3600) == minutes(60)


def test_where_the_server_shows_no_slot_runs_come_for_the_earliest_one_that_waits() -> None:
    table = timetable(interval_seconds=60)
    assert table.place(NOON + 130, NOON + 130) == SlotMatch(NOON + 60)
    assert table.place(None, NOON + 140) == SlotMatch(NOON + 120)
    assert table.place(NOON + 150, NOON + 150) == SlotMatch(None)


def test_every_second_has_a_slot_of_its_own() -> None:
    table = timetable(interval_seconds=1)
    for second in range(1, 50):
        assert table.place(NOON + second, NOON + second + 3) == SlotMatch(NOON + second)
    assert table.place(NOON + 7, NOON + 60) == SlotMatch(NOON + 7, doubled=True)
