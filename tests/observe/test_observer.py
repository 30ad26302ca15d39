from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kfp_perf.client.messages import Page, RunSpec
from kfp_perf.client.protocol import ListQuery, Operator
from kfp_perf.errors import ApiInterrupted, ApiStatusError, ApiUnreachable
from kfp_perf.observe.sweep import ADOPTION_SECONDS, most_pages
from kfp_perf.pipelines.shape import Dag, TaskKind, TaskShape
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_kfp import FakeKfp

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


def test_a_run_that_vanishes_ends_as_unknown(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        seen = await world.start()
        await asyncio.sleep(2.0)
        world.kfp.runs.clear()
        return await seen, world.observer.report()

    record, report = observe(scene)
    assert record.outcome is Outcome.LOST
    assert record.error.startswith("vanished: ")
    assert report.vanished == 1


def test_a_404_of_a_proxy_loses_no_run(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        seen = await world.start()
        page = ApiStatusError("GetRun", "<html>404</html>", status=404, from_kfp=False)
        world.kfp.failures["GetRun"] = [page] * 5
        return await seen, world.observer.report()

    record, report = observe(scene, run_seconds=60.0)
    assert record.outcome is Outcome.SUCCEEDED
    assert report.vanished == 0


def test_an_outage_is_survived(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        seen = await world.start()
        refused = ApiUnreachable("GetRun", "refused", kind="refused")
        world.kfp.failures["GetRun"] = [refused] * 5
        return await seen, world.observer.report()

    record, report = observe(scene, run_seconds=60.0)
    assert record.outcome is Outcome.SUCCEEDED
    assert report.failures == 5


def test_pauses_grow_while_the_target_fails(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        await world.start()
        world.kfp.failures["GetRun"] = [ApiUnreachable("GetRun", "refused", kind="refused")] * 1000
        await asyncio.sleep(100.0)
        return world.observer.report()

    report = observe(scene)
    assert 10 <= report.failures <= 25
    assert report.longest_poll_seconds == 10.0


def test_a_search_by_name_that_fails_ends_nothing_else(observe: Observe) -> None:
    """A run whose creation got no answer does not delay others, for any answer to the search."""

    async def scene(world: World) -> tuple[list[TrackedRun], Any]:
        lists = world.kfp.list_runs

        async def list_runs(query: ListQuery, **given: Any) -> Any:
            if any(predicate.key == "name" for predicate in query.filter):
                await asyncio.sleep(0.01)
                raise failure
            return await lists(query, **given)

        world.kfp.list_runs = list_runs
        world.kfp.failures["CreateRun"] = [ApiInterrupted("CreateRun", "lost", kind="reset")]
        lost = await world.start("lost")
        found = [await (await world.start(f"run-{number}")) for number in range(20)]
        report = world.observer.report()
        await asyncio.wait({lost}, timeout=1.0)
        return [*found, *([lost.result()] if lost.done() else [])], report

    failure: Exception = ApiStatusError("ListRuns", "away", status=503)
    runs, report = observe(scene)
    assert [run.outcome for run in runs] == [Outcome.SUCCEEDED] * 20
    assert all(run.seen_finished - run.due < 8.0 for run in runs)
    assert 10 < report.failures < 40
    failure = ApiStatusError("ListRuns", "no such filter", status=400)
    runs, report = observe(scene)
    assert [run.outcome for run in runs] == [Outcome.SUCCEEDED] * 20 + [Outcome.LOST]
    assert report.anomalies["lookup_failed:400"] == report.failures


def test_where_only_lists_fail_runs_are_read_by_id(observe: Observe) -> None:
    """Also where the failure may pass, as when ListRuns times out in a large database."""

    async def scene(world: World) -> tuple[list[TrackedRun], Any]:
        world.kfp.failures["ListRuns"] = [ApiStatusError("ListRuns", "too slow", status=504)] * 1000
        seen = [await world.start(f"run-{index}") for index in range(20)]
        return list(await asyncio.gather(*seen)), world.observer.report()

    runs, report = observe(scene)
    assert {run.outcome for run in runs} == {Outcome.SUCCEEDED}
    assert all(run.seen_finished - run.due < 12.0 for run in runs)
    assert report.failures == report.sweeps == 3


def test_runs_whose_reading_fails_do_not_keep_others_from_being_read(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        reads = world.kfp.get_run

        async def get_run(run_id: str, **given: Any) -> Any:
            if world.kfp.runs[run_id].spec.name != "good":
                raise ApiStatusError("GetRun", "too slow", status=504)
            return await reads(run_id, **given)

        world.kfp.get_run = get_run
        world.kfp.failures["ListRuns"] = [ApiStatusError("ListRuns", "too large", status=500)] * 1000
        for index in range(10):
            await world.start(f"bad-{index}")
        return await (await world.start("good")), world.observer.report()

    run, report = observe(scene)
    assert run.outcome is Outcome.SUCCEEDED
    assert run.seen_finished - run.due < 8.0
    assert report.failures > 10


@pytest.mark.parametrize("hanging", ["GetRun", "search"])
def test_a_request_that_hangs_delays_no_other_run(observe: Observe, hanging: str) -> None:
    async def scene(world: World) -> tuple[list[TrackedRun], int]:
        lists, reads = world.kfp.list_runs, world.kfp.get_run

        async def list_runs(query: ListQuery, **given: Any) -> Any:
            if any(predicate.key == "name" for predicate in query.filter):
                await asyncio.sleep(120.0)
            return await lists(query, **given)

        async def get_run(run_id: str, **given: Any) -> Any:
            if world.kfp.runs[run_id].spec.name.startswith("hangs"):
                await asyncio.sleep(120.0)
            return await reads(run_id, **given)

        world.kfp.list_runs, world.kfp.get_run = list_runs, get_run
        if hanging == "search":
            world.kfp.failures["CreateRun"] = [ApiInterrupted("CreateRun", "lost", kind="reset")]
        hangs = [await world.start(f"hangs-{number}") for number in range(2)]
        seen = [await (await world.start(f"run-{number}")) for number in range(3)]
        await asyncio.wait(hangs)
        return seen, world.observer.in_flight()

    seen, in_flight = observe(scene)
    assert all(run.seen_finished - run.due < 12.0 for run in seen)
    assert in_flight == 0


def test_where_the_server_cannot_produce_the_list_runs_are_read_by_id(observe: Observe) -> None:
    """A run beyond the server's message limit makes every page that holds it fail."""

    async def scene(world: World) -> tuple[list[TrackedRun], Any]:
        world.kfp.failures["ListRuns"] = [ApiStatusError("ListRuns", "too large", status=500)] * 1000
        seen = [await world.start(f"run-{index}") for index in range(20)]
        return list(await asyncio.gather(*seen)), world.observer.report()

    records, report = observe(scene)
    assert {record.outcome for record in records} == {Outcome.SUCCEEDED}
    assert report.failures == 0
    assert report.anomalies == {"list_failed:500": 1}


def test_a_run_that_cannot_be_read_does_not_affect_the_others(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        good = world.kfp.get_run
        broken = await world.start("broken")

        async def get_run(run_id: str, **given: Any) -> Any:
            if world.kfp.runs[run_id].spec.name == "broken":
                raise ApiStatusError("GetRun", "too large", status=500)
            return await good(run_id, **given)

        world.kfp.get_run = get_run
        record = await (await world.start("good"))
        assert not broken.done()
        return record, world.observer.report()

    record, report = observe(scene)
    assert record.outcome is Outcome.SUCCEEDED
    assert report.anomalies["get_failed:500"] > 0


class _Lister:
    """Puts another list in place of the fake's."""

    def __init__(self, kfp: FakeKfp, change: Callable[[Any, int], Any]) -> None:
        self.list_runs = kfp.list_runs
        self.change = change
        self.calls = 0

    async def __call__(self, query: ListQuery, **named: Any) -> Any:
        page = await self.list_runs(query.next(""), **named)
        self.calls += 1
        return self.change(page, self.calls)


def test_a_list_without_end_is_ended(observe: Observe) -> None:
    async def scene(world: World) -> tuple[list[TrackedRun], Any, int]:
        # The rows are foreign ones, so the sweep never finds what it looks for.
        lister = _Lister(world.kfp, lambda page, calls: Page(items=[], next_page_token=str(calls)))
        world.kfp.list_runs = lister
        seen = [await world.start(f"run-{index}") for index in range(20)]
        return list(await asyncio.gather(*seen)), world.observer.report(), lister.calls

    records, report, calls = observe(scene, run_seconds=30.0)
    assert {record.outcome for record in records} == {Outcome.SUCCEEDED}
    assert report.anomalies["list_without_end"] == report.sweeps
    assert calls == report.sweeps * most_pages(20)


def test_a_page_token_that_repeats_ends_the_sweep(observe: Observe) -> None:
    async def scene(world: World) -> tuple[list[TrackedRun], Any]:
        same = lambda page, _: msgspec.structs.replace(page, items=page.items[:1], next_page_token="again")  # noqa: E731
        world.kfp.list_runs = _Lister(world.kfp, same)
        seen = [await world.start(f"run-{index}") for index in range(20)]
        return list(await asyncio.gather(*seen)), world.observer.report()

    records, report = observe(scene)
    assert {record.outcome for record in records} == {Outcome.SUCCEEDED}
    assert report.pages == 2 * report.sweeps
    assert report.anomalies == {"page_token_repeated": report.sweeps}


def test_an_unknown_state_is_counted(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        return await (await world.start(active_state="DREAMING")), world.observer.report()

    record, report = observe(scene)
    assert record.outcome is Outcome.SUCCEEDED
    assert report.anomalies["unknown_state:DREAMING"] > 1


def test_an_end_in_an_unknown_state_is_an_unknown_outcome(observe: Observe) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        return await (await world.start(final_state="DISSOLVED")), world.observer.report()

    record, report = observe(scene)
    assert (record.outcome, record.state) == (Outcome.LOST, "DISSOLVED")
    assert "DISSOLVED" in record.error
    assert report.anomalies == {"unknown_state:DISSOLVED": 1}


def test_states_without_end_are_counted_in_bounded_memory(observe: Observe) -> None:
    async def scene(world: World) -> Any:
        numbers = iter(range(10_000))
        shown = world.kfp.shown
        world.kfp.shown = lambda run: msgspec.structs.replace(shown(run), state=f"STATE_{next(numbers)}")
        await world.start(reported=world.clock.now() + 1e6)
        await asyncio.sleep(100.0)
        return world.observer.report()

    report = observe(scene)
    assert len(report.anomalies) == 51
    assert report.anomalies["others"] > 100


def test_a_run_without_a_state_is_in_flight(observe: Observe) -> None:
    async def scene(world: World) -> tuple[list[TrackedRun], Any]:
        seen = [await world.start(f"run-{index}", active_state="") for index in range(10)]
        return list(await asyncio.gather(*seen)), world.observer.report()

    records, report = observe(scene)
    assert {record.outcome for record in records} == {Outcome.SUCCEEDED}
    assert report.gets == 10
    assert report.anomalies == {}


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "next Tuesday"])
def test_a_missing_end_is_counted(observe: Observe, text: str) -> None:
    async def scene(world: World) -> tuple[TrackedRun, Any]:
        return await (await world.start(finished_text=text)), world.observer.report()

    tracked, report = observe(scene)
    assert report.anomalies == {"time_missing": 1}
    assert tracked.outcome is Outcome.SUCCEEDED
    assert (tracked.duration_seconds, tracked.clock_conflict) == (None, "")


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
