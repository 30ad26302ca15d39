from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kfp_perf.runners.timetable import Place, Timetable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


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
    assert Timetable(created, cron=cron).waiting(until) == slots


def test_an_interval_counts_from_the_creation() -> None:
    table = Timetable(NOON + 0.7, interval_seconds=20)
    assert table.waiting(NOON + 19) == []
    assert table.waiting(NOON + 60) == [NOON + 20, NOON + 40, NOON + 60]


def test_a_run_takes_its_slot_whenever_it_comes() -> None:
    table = Timetable(NOON, interval_seconds=60)
    assert table.place(NOON + 120, NOON + 131) == Place(NOON + 120)
    assert table.place(NOON + 60, NOON + 200) == Place(NOON + 60)
    assert table.waiting(NOON + 240) == minutes(3, 4)


def test_a_second_run_of_a_slot_is_a_double() -> None:
    table = Timetable(NOON, interval_seconds=60)
    table.place(NOON + 60, NOON + 61)
    assert table.place(NOON + 60, NOON + 75) == Place(NOON + 60, doubled=True)
    assert table.waiting(NOON + 130) == minutes(2)


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_second_more_or_less_is_rounding(shift: int) -> None:
    table = Timetable(NOON, interval_seconds=60)
    assert table.place(NOON + 60 + shift, NOON + 65) == Place(NOON + 60)


def test_a_run_that_belongs_to_no_slot_has_none() -> None:
    table = Timetable(NOON, cron="0 * * * *")
    assert table.place(NOON + 300, NOON + 310) == Place(None)
    assert table.place(None, None) == Place(None)
    assert table.waiting(NOON + 3600) == minutes(60)


def test_where_the_server_shows_no_slot_runs_come_for_the_earliest_one_that_waits() -> None:
    table = Timetable(NOON, interval_seconds=60)
    assert table.place(NOON + 130, NOON + 130) == Place(NOON + 60)
    assert table.place(None, NOON + 140) == Place(NOON + 120)
    assert table.place(NOON + 150, NOON + 150) == Place(None)


def test_every_second_has_a_slot_of_its_own() -> None:
    table = Timetable(NOON, interval_seconds=1)
    for second in range(1, 50):
        assert table.place(NOON + second, NOON + second + 3) == Place(NOON + second)
    assert table.place(NOON + 7, NOON + 60) == Place(NOON + 7, doubled=True)
