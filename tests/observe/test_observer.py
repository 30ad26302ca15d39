"""Following runs to their end with few requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.client.messages import RunSpec
from kfp_perf.client.protocol import Operator
from kfp_perf.errors import ApiInterrupted
from kfp_perf.observe.sweep import ADOPTION_SECONDS
from kfp_perf.pipelines.shape import Dag, TaskKind, TaskShape
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.observe import TrackedRun

    World = Any
    Observe = Callable[..., Any]


def test_a_run_is_followed_to_its_end(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        assert world.observer.in_flight() == 0
        seen = await world.start()
        assert world.observer.in_flight() == 1
        return await seen

    record = observe(scene, run_seconds=20.0)
    assert (record.outcome, record.state, record.error) == (Outcome.SUCCEEDED, "SUCCEEDED", "")
    assert record.created_at < record.finished_at
    assert record.seen_running < record.seen_unfinished < record.seen_finished
    assert abs(record.duration_seconds - 21.0) <= record.duration_error_seconds <= 1.0


def test_the_end_became_visible_between_the_two_sightings(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, float]:
        seen = await world.start()
        reported = next(iter(world.kfp.runs.values())).reported
        return await seen, reported

    record, reported = observe(scene)
    assert record.seen_unfinished < reported <= record.seen_finished
    assert record.seen_finished - record.seen_unfinished < 0.5


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            b'{"code": 13, "message": "no room\\nfor s3cret"}',
            "FAILED: task train failed: no room for [hidden]",
        ),
        (b'"words"', "FAILED: task train failed: words"),
        (b"[1]", "FAILED: task train failed"),
        (b"", "FAILED: task train failed"),
    ],
)
def test_a_run_that_failed_says_which_task_did_and_what_kfp_says(
    observe: Observe, error: bytes, text: str
) -> None:
    second = {"start_time": "2026-08-01T10:00:00Z", "end_time": "2026-08-01T10:00:05Z"}
    details = [
        {"display_name": name, "state": state, **second}
        for name, state in (("root", "FAILED"), ("train", "FAILED"), ("executor", "FAILED"))
    ]

    async def scene(world: World) -> Any:
        return await (await world.start(final_state="FAILED", error=error, task_details=details))

    dag = Dag({"train": TaskShape("train", TaskKind.CONTAINER, frozenset())})
    assert observe(scene, {"shape": dag}).error == text


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "SKIPPED"])
def test_a_run_that_ends_otherwise_has_failed(observe: Observe, state: str) -> None:
    async def scene(world: World) -> Any:
        return await (await world.start(final_state=state))

    record = observe(scene)
    assert (record.outcome, record.state, record.error) == (Outcome.FAILED, state, state)


def test_a_closed_observer_cancels_what_it_is_asked_to_follow(observe: Observe) -> None:
    async def scene(world: World) -> asyncio.Future[TrackedRun]:
        await world.observer.aclose()
        late: asyncio.Future[TrackedRun] = await world.start()
        return late

    assert observe(scene).cancelled()


def test_a_sweep_serves_a_thousand_runs(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        for index in range(1000):
            await world.start(
                f"run-{index}", finishes=world.clock.now() + 1e6, reported=world.clock.now() + 1e6
            )
        ticks, before = world.observer.report().ticks, len(world.kfp.calls)
        await asyncio.sleep(10.0)
        return (len(world.kfp.calls) - before) / (world.observer.report().ticks - ticks)

    assert observe(scene, answer_seconds=0.001) <= 6


def test_one_request_more_for_each_run_that_ended(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        records = [await world.start(f"run-{index}") for index in range(250)]
        await asyncio.gather(*records)
        return world.observer.report()

    report = observe(scene, answer_seconds=0.0001)
    assert report.gets == 250
    assert report.pages <= 2 * report.sweeps
    assert report.anomalies == {}


def test_later_pages_are_requested_by_their_token_alone(observe: Observe) -> None:
    async def scene(world: World) -> list[Any]:
        records = [await world.start(f"run-{index}") for index in range(250)]
        await asyncio.gather(*records)
        return [query for name, query in world.kfp.calls if name == "ListRuns"]

    queries = observe(scene, answer_seconds=0.0001)
    first, second = queries[0], next(query for query in queries if query.page_token)
    assert {predicate.key: predicate.operator for predicate in first.filter} == {
        "state": Operator.IN,
        "created_at": Operator.GREATER_THAN_EQUALS,
    }
    assert "filter" in first.encode()
    assert "filter" not in second.encode()
    assert "page_token" in second.encode()


def test_a_single_run_is_read_by_its_id(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        await (await world.start())
        return world.observer.report()

    report = observe(scene)
    assert (report.pages, report.sweep_ticks) == (0, 0)
    assert report.gets == report.get_ticks > 1


def test_where_pages_cost_much_more_than_runs_the_observer_reads_runs(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        slow = world.kfp.list_runs

        async def list_runs(*given: Any, **named: Any) -> Any:
            await asyncio.sleep(15.0)
            return await slow(*given, **named)

        world.kfp.list_runs = list_runs
        records = [await world.start(f"run-{index}") for index in range(100)]
        await asyncio.gather(*records)
        return world.observer.report()

    report = observe(scene, run_seconds=300.0)
    assert report.get_ticks > 3 * report.sweep_ticks > 0
    assert report.page_seconds > 15.0 > report.get_seconds


def test_a_run_whose_creation_got_no_answer_is_adopted_by_its_name(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        world.kfp.failures["CreateRun"] = [ApiInterrupted("CreateRun", "lost", kind="reset")]
        seen = await world.start("lost")
        world.kfp.add_run(RunSpec(name="lost", experiment_id="experiment-1"))
        world.kfp.add_run(RunSpec(name="other", experiment_id="experiment-1"))
        return await seen, world.observer.report()

    record, report = observe(scene)
    assert record.adopted
    assert record.run_id
    assert record.outcome is Outcome.SUCCEEDED
    assert record.duration_error_seconds == 1.0
    assert (report.adopted, report.never_seen) == (1, 0)


def test_a_run_that_had_ended_before_it_was_looked_for_is_adopted_too(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        world.kfp.failures["CreateRun"] = [ApiInterrupted("CreateRun", "lost", kind="reset")]
        now = world.clock.now()
        world.kfp.add_run(RunSpec(name="lost", experiment_id="experiment-1"), finishes=now, reported=now)
        return await (await world.start("lost"))

    assert observe(scene).outcome is Outcome.SUCCEEDED


def test_a_run_that_is_never_found_stays_unknown(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any, float]:
        world.kfp.failures["CreateRun"] = [ApiInterrupted("CreateRun", "lost", kind="reset")]
        began = world.clock.now()
        record = await (await world.start("lost"))
        return record, world.observer.report(), world.clock.now() - began

    record, report, took = observe(scene)
    assert (record.outcome, record.run_id) == (Outcome.LOST, "")
    assert "lost" in record.error
    assert report.never_seen == 1
    assert took == pytest.approx(ADOPTION_SECONDS, rel=0.05)


def test_names_are_looked_up_many_at_a_time(observe: Observe) -> None:
    async def scene(world: World) -> tuple[int, int]:
        lost = ApiInterrupted("CreateRun", "lost", kind="reset")
        world.kfp.failures["CreateRun"] = [lost] * 60
        seen = [await world.start(f"lost-{index}") for index in range(60)]
        for index in range(60):
            world.kfp.add_run(RunSpec(name=f"lost-{index}", experiment_id="experiment-1"))
        await asyncio.gather(*seen)
        return world.observer.report().adopted, world.observer.report().lookups

    adopted, lookups = observe(scene, answer_seconds=0.0)
    assert (adopted, lookups) == (60, 2)


@pytest.mark.parametrize("offset", [-3.2, 0.0, 3.2])
def test_the_servers_clock_is_bracketed(observe: Observe, offset: float) -> None:
    async def scene(world: World) -> Any:
        seen = []
        for index in range(20):
            seen.append(await world.start(f"run-{index}"))
            await asyncio.sleep(0.137)
        await asyncio.gather(*seen)
        return world.observer.report()

    report = observe(scene, offset_seconds=offset)
    assert report.offset_low_seconds <= offset <= report.offset_high_seconds
    assert report.offset_high_seconds - report.offset_low_seconds < 0.15
    assert report.clock_steps == 0
    assert report.anomalies == {}


def test_a_cancelled_run_is_no_longer_followed(observe: Observe) -> None:
    async def scene(world: World) -> None:
        seen = await world.start()
        seen.cancel()
        await asyncio.sleep(0)
        assert world.observer.in_flight() == 0
        calls = len(world.kfp.calls)
        await asyncio.sleep(60.0)
        assert len(world.kfp.calls) == calls

    observe(scene)


def test_closing_cancels_what_is_still_followed(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        return await world.start()

    assert observe(scene).cancelled()


def test_a_given_poll_interval_is_kept(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        await (await world.start())
        return world.observer.report()

    report = observe(scene, {"poll_seconds": 3.0})
    assert report.shortest_poll_seconds == report.longest_poll_seconds == report.poll_seconds == 3.0


def test_without_one_it_follows_the_servers_answers(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        await (await world.start())
        return world.observer.report().longest_poll_seconds

    assert observe(scene, answer_seconds=0.001, run_seconds=60.0) == 0.25
    assert observe(scene, answer_seconds=0.1, run_seconds=60.0) == pytest.approx(2.0)
    assert observe(scene, answer_seconds=9.0, run_seconds=600.0) == 30.0


def test_the_report_says_how_late_ends_may_have_been_seen(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        records = [await (await world.start(f"run-{number}")) for number in range(3)]
        return records, world.observer.report()

    records, report = observe(scene, {"poll_seconds": 2.0}, answer_seconds=0.1)
    late = [record.seen_finished - record.seen_unfinished for record in records]
    assert report.ends_seen == 3
    assert report.seen_late_seconds == pytest.approx(sum(late) / 3)
    assert report.longest_seen_late_seconds == pytest.approx(max(late))
    # Two seconds between looks, and a few answers: of a sweep, and of a run's own before and after.
    assert 2.0 < max(late) < 2.31
    assert all(record.phases["visible"].error <= max(late) / 2 + 1.0 for record in records)
