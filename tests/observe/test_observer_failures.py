"""What fails, hangs, contradicts itself or never ends while runs are followed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kfp_perf.client.messages import Page
from kfp_perf.errors import ApiInterrupted, ApiStatusError, ApiUnreachable
from kfp_perf.observe.sweep import most_pages
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_kfp import FakeKfp

    from kfp_perf.client.protocol import ListQuery
    from kfp_perf.observe import TrackedRun

    World = Any
    Observe = Callable[..., Any]


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
