"""The generator's watch over itself, with a machine whose every figure is given."""

from __future__ import annotations

from typing import Any

import pytest

from kfp_perf.health.bounds import BOUNDS, FEWEST_WINDOWS
from kfp_perf.health.machine import Space
from kfp_perf.result.counters import ScenarioPhase


def test_a_healthy_generator_stays_within_its_bounds(make_test: Any) -> None:
    test = make_test()
    test.seconds(60)
    assert test.exceeded == []
    document = test.watch.document()
    assert document["saturated"] is False
    assert document["windows"] == 59  # the first look finds no beginning to compare with
    assert set(document["process"]) | set(document["scenarios"]["a"]["resources"]) == set(BOUNDS)
    assert document["process"]["process_cpu"]["mean"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("used", "resource", "scenario"),
    [
        ({"cpu": 0.97}, "process_cpu", ""),
        ({"collecting": 0.2}, "garbage_collection", ""),
        ({"late_moments": 5}, "event_loop", "a"),
        ({"late_starts": 1}, "start_lateness", "a"),
        ({"waited": 20}, "connections", "a"),
        ({"decoding": 0.6}, "decoding", "a"),
    ],
)
def test_each_resource_can_give_way(
    make_test: Any, used: dict[str, Any], resource: str, scenario: str
) -> None:
    test = make_test()
    test.seconds(20)
    test.seconds(20, **used)
    assert test.exceeded == [(resource, scenario)]
    assert resource in test.watch.document()["exceeded"][0]


@pytest.mark.parametrize("space", [Space(50_000_000, None, 10, 0.01, 0), Space(10**11, None, 99, 0.99, 0)])
def test_so_can_the_disk_and_the_number_of_open_files(make_test: Any, space: Space) -> None:
    test = make_test()
    test.seconds(10)
    test.space = space
    test.seconds(20)
    assert [resource for resource, _ in test.exceeded] in (["disk"], ["open_files"])


def test_a_machine_that_hiccups_now_and_then_is_no_saturation(make_test: Any) -> None:
    test = make_test()
    for _ in range(int(FEWEST_WINDOWS) - 1):
        test.seconds(4)
        test.second(cpu=1.0, late_moments=20, late_starts=10, collecting=0.5)
    assert test.exceeded == []


def test_nor_are_some_bad_seconds_in_hours(make_test: Any) -> None:
    test = make_test()
    test.seconds(1000)
    test.seconds(19, late_moments=20)
    assert test.exceeded == []
    test.seconds(2, late_moments=20)
    assert test.exceeded == [("event_loop", "a")]


def test_what_explains_most_is_named_first(make_test: Any) -> None:
    test = make_test()
    test.seconds(20, cpu=1.0, late_moments=10, late_starts=5)
    assert [resource for resource, _ in test.exceeded] == ["process_cpu", "event_loop", "start_lateness"]


def test_a_loop_that_is_blocked_for_seconds_feels_nothing_and_is_seen_all_the_same(make_test: Any) -> None:
    test = make_test()
    test.seconds(3)
    test.seconds(9, moments=0, starts=0, requests=0)
    assert test.exceeded == [("event_loop", "a")]


def test_a_scenario_that_gave_way_is_named_and_the_others_are_not(make_test: Any, stand_in: Any) -> None:
    late, good = stand_in("late"), stand_in("good")
    test = make_test(late, good)
    test.seconds(20, late_starts=5, only=late)
    assert test.exceeded == [("start_lateness", "late")]


def test_readers_that_never_pause_saturate_on_purpose_and_that_is_said(make_test: Any, stand_in: Any) -> None:
    reader = stand_in("reader", mode="RANDOM_GETS", thinkTime=0)
    test = make_test(reader)
    test.seconds(20, cpu=1.0, late_moments=20, late_starts=5, decoding=0.9)
    assert test.exceeded == []
    assert test.watch.document()["saturated_on_purpose"] == ["reader"]


def test_but_what_they_do_to_another_scenario_counts(make_test: Any, stand_in: Any) -> None:
    reader, other = stand_in("reader", mode="RANDOM_GETS", thinkTime=0), stand_in("other")
    test = make_test(reader, other)
    test.seconds(20, cpu=1.0, late_starts=5)
    assert test.exceeded == [("start_lateness", "other")]


def test_readers_that_think_are_no_excuse(make_test: Any, stand_in: Any) -> None:
    test = make_test(stand_in("reader", mode="RANDOM_GETS"))
    test.seconds(20, cpu=1.0)
    assert test.exceeded == [("process_cpu", "")]


@pytest.mark.parametrize(
    "phase", [ScenarioPhase.PREPARING, ScenarioPhase.WAITING, ScenarioPhase.CLEANING, ScenarioPhase.ENDED]
)
def test_only_a_scenario_at_work_is_judged(make_test: Any, stand_in: Any, phase: ScenarioPhase) -> None:
    runner = stand_in()
    runner.phase = phase
    test = make_test(runner)
    test.seconds(20, cpu=1.0, late_moments=20)
    assert test.exceeded == []
    assert test.watch.windows == 0


def test_a_runner_without_an_event_loop_is_not_judged_by_one(make_test: Any, stand_in: Any) -> None:
    runner = stand_in()
    runner.lateness.is_measured = False
    test = make_test(runner)
    test.seconds(20, moments=0)
    assert test.exceeded == []


@pytest.mark.parametrize(
    ("used", "words"),
    [
        ({"machine": 1.0}, "the machine's CPUs were busy for 100%"),
        ({"throttled": 0.4}, "CPU limit held this process for 40%"),
        ({"machine": 0.4}, "something blocked the thread"),
    ],
)
def test_why_it_was_late_is_said_as_far_as_the_machine_tells(
    make_test: Any, used: dict[str, float], words: str
) -> None:
    test = make_test()
    test.seconds(20, late_moments=10, **used)
    assert words in str(test.watch.saturations()[0])


def stand_still(test: Any, seconds: float) -> None:
    """Stop the process (SIGSTOP, a paused container): the next look closes a window that is as long."""

    def lag(runner: Any) -> None:
        runner.lateness.longest_lag_seconds = seconds

    test.time += seconds - 1.0
    test.second(late_moments=int(20 * seconds), moments=int(20 * seconds), others=lag)


def test_one_long_standstill_counts_by_its_length(make_test: Any) -> None:
    test = make_test()
    test.seconds(10)
    begin = test.time
    stand_still(test, 30.0)
    test.seconds(10)
    assert test.exceeded[0] == ("standstill", "")
    assert ("event_loop", "a") in test.exceeded
    assert test.watch.document()["standstills"] == [[begin, begin + 30.0]]
    assert "was suspended) was beyond 10 s for 30 of 49 s, at worst 30 s" in str(test.watch.saturations()[0])


def test_so_it_does_in_a_test_of_hours(make_test: Any) -> None:
    test = make_test()
    test.seconds(7000)
    stand_still(test, 12.0)
    assert test.exceeded == [("standstill", "")]


def test_a_short_one_does_not(make_test: Any) -> None:
    test = make_test()
    test.seconds(10)
    stand_still(test, 4.0)
    test.seconds(10)
    assert test.exceeded == []
    assert test.watch.document()["standstills"] == []


def test_a_suspended_machine_stood_still_though_the_monotonic_clock_does_not_count_it(make_test: Any) -> None:
    test = make_test()
    test.seconds(10)
    test.suspended = 3600.0
    test.seconds(10)
    assert test.exceeded == [("standstill", "")]


def test_a_slow_look_is_no_standstill_of_the_scenarios(make_test: Any) -> None:
    test = make_test()
    test.seconds(10)
    test.time += 29.0
    test.second(moments=600)
    assert test.exceeded == []


def test_requests_that_failed_on_this_machine_make_a_test_invalid_by_themselves(make_test: Any) -> None:
    test = make_test()
    test.seconds(1000)
    test.second(local_failures=1)
    test.seconds(1000)
    assert test.exceeded == [("local_failures", "a")]
    assert "for 1 of 2000 s" in str(test.watch.saturations()[0])
