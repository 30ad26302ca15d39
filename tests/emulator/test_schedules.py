from __future__ import annotations

from typing import Any

import pytest

from kfp_emulator.clock import SECOND, ManualClock
from kfp_emulator.cluster.schedules import (
    Firing,
    RecurringRun,
    ScheduleController,
    Trigger,
    next_slot,
    run_name,
    swf_name,
)
from kfp_emulator.cluster.timing import Profile, load_profile

HOUR = 3_600
MINUTE = 60
START = 1_790_000_000 - 1_790_000_000 % HOUR


class Scheduled:
    """A controller on a clock, with the runs that it started."""

    def __init__(self, profile: Profile | None = None, ahead: int = 0) -> None:
        self.clock = ManualClock(START * SECOND)
        self.firings: list[Firing] = []
        self.refuse = False
        self.controller = ScheduleController(
            profile or load_profile("kfp-2.17"), self.clock, self._start, seed=1, ahead=ahead
        )

    def _start(self, firing: Firing) -> str | None:
        if self.refuse:
            return None
        self.firings.append(firing)
        return firing.name

    def add(self, trigger: Trigger, **given: Any) -> RecurringRun:
        recurring = RecurringRun("id-1", "My Schedule!", self.clock.now(), trigger, **given)
        self.controller.add(recurring)
        return recurring

    def pass_seconds(self, seconds: float, *, ending: bool = True) -> list[int]:
        """Let time pass, ending runs as they start if told to; return the slots that fired."""
        before = len(self.firings)
        end = self.clock.now() + round(seconds * SECOND)
        while self.clock.now() < end:
            self.clock.advance(SECOND)
            if ending:
                for firing in self.firings[before:]:
                    self.controller.run_ended(firing.name)
        return [firing.slot for firing in self.firings[before:]]


def test_runs_start_late_by_design_and_in_their_order() -> None:
    scheduled = Scheduled()
    scheduled.add(Trigger(cron="0 */2 * * * *"))
    slots = scheduled.pass_seconds(15 * MINUTE)
    assert slots == [START + 2 * MINUTE * number for number in range(1, len(slots) + 1)]
    assert len(slots) == 7
    lateness = [firing.at / SECOND - firing.slot for firing in scheduled.firings]
    assert all(0 <= late <= 45 for late in lateness)
    assert [firing.index for firing in scheduled.firings] == list(range(1, 8))


def test_missed_slots_are_caught_up_one_look_at_a_time() -> None:
    scheduled = Scheduled()
    created = (START - HOUR) * SECOND
    recurring = RecurringRun("id", "late", created, Trigger(interval_seconds=10 * MINUTE))
    scheduled.controller.add(recurring)
    slots = scheduled.pass_seconds(3 * MINUTE)
    assert slots == [START - HOUR + 10 * MINUTE * number for number in range(1, 7)]
    gaps = {
        later.at - former.at for former, later in zip(scheduled.firings, scheduled.firings[1:], strict=False)
    }
    assert gaps == {10 * SECOND}


def test_without_catchup_the_missed_slots_are_jumped_over() -> None:
    scheduled = Scheduled()
    recurring = RecurringRun(
        "id", "late", (START - HOUR) * SECOND, Trigger(cron="0 */7 * * * *"), catchup=False
    )
    scheduled.controller.add(recurring)
    assert scheduled.pass_seconds(MINUTE) == [START]


def test_nothing_starts_at_the_maximum_of_active_runs() -> None:
    scheduled = Scheduled()
    recurring = scheduled.add(Trigger(interval_seconds=1), max_concurrency=2)
    assert len(scheduled.pass_seconds(10 * MINUTE, ending=False)) == 2
    assert recurring.active == {firing.name for firing in scheduled.firings}
    scheduled.controller.run_ended(scheduled.firings[0].name)
    assert len(scheduled.pass_seconds(MINUTE, ending=False)) == 1


def test_a_disabled_schedule_starts_nothing_and_its_runs_go_on() -> None:
    scheduled = Scheduled()
    recurring = scheduled.add(Trigger(interval_seconds=1), max_concurrency=5)
    scheduled.pass_seconds(15, ending=False)
    active = set(recurring.active)
    assert active
    scheduled.controller.set_enabled("id-1", enabled=False)
    assert not scheduled.pass_seconds(5 * MINUTE, ending=False)
    assert recurring.active == active
    scheduled.controller.set_enabled("id-1", enabled=True)
    assert scheduled.pass_seconds(MINUTE)


def test_without_a_trigger_one_run_starts_at_once() -> None:
    scheduled = Scheduled()
    scheduled.add(Trigger())
    assert scheduled.pass_seconds(HOUR) == [START]
    assert scheduled.firings[0].at == (START + 10) * SECOND


def test_a_deleted_schedule_is_forgotten() -> None:
    scheduled = Scheduled()
    scheduled.add(Trigger(interval_seconds=1))
    scheduled.pass_seconds(15, ending=False)
    scheduled.controller.remove("id-1")
    scheduled.controller.remove("id-1")
    assert scheduled.controller.get("id-1") is None
    scheduled.controller.run_ended(scheduled.firings[0].name)
    assert not scheduled.pass_seconds(MINUTE)


def test_a_run_that_could_not_start_is_tried_again_with_the_same_name() -> None:
    scheduled = Scheduled()
    recurring = scheduled.add(Trigger(interval_seconds=60))
    scheduled.refuse = True
    scheduled.pass_seconds(3 * MINUTE)
    assert recurring.last_index == 0
    scheduled.refuse = False
    assert scheduled.pass_seconds(MINUTE)[0] == START + 60
    assert scheduled.firings[0].index == 1


def test_the_instant_profile_starts_runs_on_the_second() -> None:
    scheduled = Scheduled(load_profile("instant"))
    scheduled.add(Trigger(cron="*/5 * * * * *"), max_concurrency=10)
    slots = scheduled.pass_seconds(MINUTE)
    assert slots == [START + 5 * number for number in range(1, 13)]
    assert [firing.at for firing in scheduled.firings] == [slot * SECOND for slot in slots]


@pytest.mark.parametrize("ahead", [-100, 25])
def test_slots_are_times_of_the_clusters_clock(ahead: int) -> None:
    scheduled = Scheduled(load_profile("instant"), ahead * SECOND)
    scheduled.controller.add(
        RecurringRun("id", "shifted", (START + ahead) * SECOND, Trigger(cron="0 * * * * *"))
    )
    slots = scheduled.pass_seconds(5 * MINUTE)
    assert len(slots) == 5
    assert all(slot % MINUTE == 0 for slot in slots)
    # The true time is what the firing tells: a cluster whose clock is ahead fires early.
    assert [firing.at - (firing.slot - ahead) * SECOND for firing in scheduled.firings] == [0] * 5


def test_schedules_end_and_begin() -> None:
    scheduled = Scheduled()
    window = {"start_time": START + 10 * MINUTE, "end_time": START + 20 * MINUTE}
    scheduled.add(Trigger(cron="0 */3 * * * *", **window))
    slots = scheduled.pass_seconds(HOUR)
    assert slots == [START + minute * MINUTE for minute in (12, 15, 18)]


def slot(trigger: Trigger, now: int = START, **given: Any) -> int | None:
    return next_slot(RecurringRun("id", "name", START * SECOND, trigger, **given), now)


@pytest.mark.parametrize(
    ("trigger", "given", "now", "expected"),
    [
        # the cases of periodic_schedule_test.go of kubeflow/pipelines
        (Trigger(interval_seconds=60), {}, 0, 60),
        (Trigger(interval_seconds=60, start_time=START + 600), {}, 0, 660),
        (Trigger(interval_seconds=60, start_time=START + 600), {"last_slot": START}, 0, 600),
        (Trigger(interval_seconds=60), {"last_slot": START + 100}, 0, 160),
        (Trigger(interval_seconds=60, end_time=START + 30), {}, 0, None),
        (Trigger(interval_seconds=60), {"catchup": False}, 90, 60),
        (Trigger(interval_seconds=60), {"catchup": False}, 500, 500),
        (Trigger(interval_seconds=60, end_time=START + 300), {"catchup": False}, 500, 300),
        (Trigger(cron="0 * * * * *"), {}, 500, 60),
        (Trigger(cron="0 * * * * *"), {"catchup": False}, 500, 480),
        (Trigger(cron="0 * * * * *"), {"catchup": False, "last_slot": START + 480}, 500, 540),
        (Trigger(cron="0 * * * * *", end_time=START + 200), {"catchup": False}, 500, 180),
        (Trigger(cron="0 * * * * *", end_time=START + 30), {}, 0, None),
        (Trigger(), {"last_slot": START}, 500, None),
    ],
)
def test_next_slots(trigger: Trigger, given: dict[str, Any], now: int, expected: int | None) -> None:
    found = slot(trigger, START + now, **given)
    assert found == (None if expected is None else START + expected)


def test_names() -> None:
    name = swf_name("My Schedule! with a very long name indeed", 1, "id")
    assert name[:25] == "myschedulewithaverylongna"
    assert len(name) == 30
    assert swf_name("ÄÖÜ", 1, "id").startswith("job-")
    hashed = 2166136261
    for byte in b"abc12-7":
        hashed = (hashed ^ byte) * 16777619 % 2**32
    assert run_name("abc12", 7) == f"abc12-7-{hashed}"
