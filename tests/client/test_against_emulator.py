"""The client and the observer against the emulator, over real sockets in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from emulated import emulator
from virtual_time import VirtualClock, run_virtually

from kfp_perf.catalog import PIPELINES
from kfp_perf.client import ListQuery, Operator, Predicate, RestClient, check_target
from kfp_perf.client.messages import RecurringRunSpec, RunSpec
from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiStatusError, TargetError
from kfp_perf.observe import PHASES, Observer, TrackedRun, shape_of
from kfp_perf.pipelines.package import read_pipeline
from kfp_perf.result.records import Outcome, Purpose, RunRecord, Sample

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PACKAGE = read_pipeline(PIPELINES / "sequential.yaml")


class Target:
    """A client of an emulator, and a pipeline that was uploaded to it."""

    def __init__(self, url: str, token: str = "", user: str = "", namespace: str = "") -> None:
        self.clock = VirtualClock()
        self.samples: list[Sample] = []
        self.namespace = namespace
        config = TestConfig(KFP_API_HOST=url, KFP_TOKEN=token or None, KFP_USER=user or None)
        self.client = RestClient(config, self.clock, self.samples.append)

    async def upload(self, name: str) -> None:
        made = await self.client.upload_pipeline(PACKAGE.content(False), name=name, namespace=self.namespace)
        self.pipeline_id = made.pipeline_id
        versions = await self.client.list_pipeline_versions(made.pipeline_id, ListQuery())
        self.version_id = versions.items[0].pipeline_version_id

    def spec(self, name: str, experiment_id: str) -> RunSpec:
        return RunSpec(
            name=name,
            experiment_id=experiment_id,
            pipeline_id=self.pipeline_id,
            pipeline_version_id=self.version_id,
        )


def _play(
    scene: Callable[[Target], Awaitable[Any]],
    profile: str,
    options: dict[str, Any] | None = None,
    **given: str,
) -> None:
    """Play a scene against an emulator of its own, in virtual time."""

    async def main() -> None:
        async with emulator(profile, options or {}) as (_, url):
            target = Target(url, **given)
            try:
                await scene(target)
            finally:
                await target.client.aclose()

    run_virtually(main)


def test_every_call_works() -> None:
    async def scene(it: Target) -> None:
        client = it.client
        assert (await check_target(client)).multi_user is False
        await it.upload("every-call")
        assert (await client.get_pipeline(it.pipeline_id)).display_name == "every-call"
        assert (
            await client.get_pipeline_version(it.pipeline_id, it.version_id)
        ).pipeline_id == it.pipeline_id
        found = await client.find_pipeline("every-call")
        assert found is not None
        assert found.pipeline_id == it.pipeline_id
        assert await client.find_pipeline("no such + 100 % pipeline") is None
        version = await client.upload_pipeline_version(
            PACKAGE.content(True), pipeline_id=it.pipeline_id, name="second"
        )
        made = await client.create_experiment("every call + 100 %", description="d")
        assert await client.get_experiment(made.experiment_id) == await client.find_experiment(
            made.display_name
        )
        with pytest.raises(ApiStatusError, match="already exists") as caught:
            await client.create_experiment(made.display_name)
        assert caught.value.status == 409

        calls: list[Sample] = []
        run = await client.create_run(it.spec("run + 1", made.experiment_id), on_sample=calls.append)
        assert calls[-1].due <= calls[-1].sent < calls[-1].ended
        assert run.state == "PENDING"
        found_run = await client.find_run("run + 1", experiment_id=made.experiment_id)
        assert found_run is not None
        assert found_run.run_id == run.run_id
        await client.terminate_run(run.run_id)
        assert (await client.get_run(run.run_id)).state in {"CANCELING", "FAILED"}
        await client.delete_run(run.run_id)
        with pytest.raises(ApiStatusError) as caught:
            await client.get_run(run.run_id)
        assert (caught.value.status, caught.value.message) == (404, f"Run {run.run_id} not found")

        schedule = RecurringRunSpec(
            name="schedule",
            experiment_id=made.experiment_id,
            pipeline_id=it.pipeline_id,
            pipeline_version_id=it.version_id,
            cron="0 0 0 1 1 *",
        )
        recurring = await client.create_recurring_run(schedule)
        await client.disable_recurring_run(recurring.recurring_run_id)
        page = await client.list_recurring_runs(ListQuery(experiment_id=made.experiment_id))
        assert [(each.display_name, each.status) for each in page.items] == [("schedule", "DISABLED")]
        await client.delete_recurring_run(recurring.recurring_run_id)

        await client.delete_experiment(made.experiment_id)
        await client.delete_pipeline_version(it.pipeline_id, version.pipeline_version_id)
        with pytest.raises(ApiStatusError, match="cascade=true"):
            await client.delete_pipeline(it.pipeline_id)
        await client.delete_pipeline(it.pipeline_id, cascade=True)
        assert [sample.error for sample in it.samples if sample.error] == ["409", "404", "400"]

    _play(scene, "fast")


def test_pages_and_filters_mean_the_same_to_both() -> None:
    async def scene(it: Target) -> None:
        await it.upload("pages")
        made = await it.client.create_experiment("pages")
        names = [f"run-{index:02}" for index in range(25)]
        for name in names:
            await it.client.create_run(it.spec(name, made.experiment_id))
        filters = (
            Predicate("name", Operator.IN, tuple(names[:20])),
            Predicate("created_at", Operator.GREATER_THAN, 1.0),
        )
        query = ListQuery(experiment_id=made.experiment_id, page_size=8, sort_by="name desc", filter=filters)
        seen: list[str] = []
        while True:
            page = await it.client.list_runs(query)
            assert page.total_size == 20
            seen += [run.display_name for run in page.items]
            if not page.next_page_token:
                break
            query = query.next(page.next_page_token)
        assert seen == sorted(names[:20], reverse=True)

    _play(scene, "instant")


@pytest.mark.parametrize(
    "options", [{}, {"retry_nodes": True, "cache_entries": True, "clock_offset_seconds": 3.0}], ids=str
)
def test_runs_are_followed_to_their_ends(options: dict[str, Any]) -> None:
    async def scene(it: Target) -> None:
        await it.upload("follow")
        made = await it.client.create_experiment("follow")
        records: list[RunRecord] = []
        observer = Observer(
            it.client.for_purpose(Purpose.OBSERVE),
            it.clock,
            experiment_id=made.experiment_id,
            shape=shape_of(PACKAGE.spec),
            on_record=records.append,
        )
        observing = asyncio.ensure_future(observer.run())
        seen = []
        for index in range(12):
            tracked = TrackedRun(scenario="s", name=f"run-{index}", due=it.clock.now())
            calls: list[Sample] = []
            run = await it.client.create_run(
                it.spec(tracked.name, made.experiment_id), on_sample=calls.append
            )
            tracked.run_id, tracked.created_at = run.run_id, run.created_at
            tracked.sent, tracked.ended = calls[-1].sent, calls[-1].ended
            seen.append(observer.watch(tracked))
        lost = TrackedRun(scenario="s", name="lost", due=it.clock.now())
        await it.client.create_run(it.spec("lost", made.experiment_id))
        seen.append(observer.watch(lost))
        await asyncio.gather(*seen)
        await observer.aclose()
        await observing
        assert [record.outcome for record in records] == [Outcome.SUCCEEDED] * 13
        for record in records:
            if record.adopted:
                continue
            assert record.phases.keys() == record.phase_errors.keys() == PHASES.keys()
            assert record.duration_seconds is not None
            assert record.duration_error_seconds is not None
            between = sum(
                record.phases[name] for name in ("queue", "driver", "execute", "transition", "finish")
            )
            # They lead from creation to finish; each is the middle of its own bounds.
            assert abs(between - record.duration_seconds) <= sum(record.phase_errors.values())
        (adopted,) = [record for record in records if record.adopted]
        assert adopted.name == "lost"
        assert adopted.phases.keys() == PHASES.keys() - {"submit"}
        report = observer.report()
        assert (report.anomalies, report.adopted, report.failures) == ({}, 1, 0)
        assert report.components["echo"].executed == report.components["echo"].on_critical_path == 13
        offset = 3.0 if options else 0.0
        assert report.offset_low_seconds is not None
        assert report.offset_high_seconds is not None
        assert report.offset_low_seconds <= offset <= report.offset_high_seconds

    _play(scene, "fast", options)


def test_many_users() -> None:
    options = {"multi_user": True, "grants": {"me@x": frozenset({"ns-1"})}, "tokens": {"secret": "me@x"}}

    async def stranger(it: Target) -> None:
        with pytest.raises(ApiStatusError, match="KFP_TOKEN") as caught:
            await it.client.list_experiments(ListQuery(namespace="ns-1"))
        assert caught.value.status == 401
        with pytest.raises(TargetError, match=r"(?s)refuses access.*KFP_TOKEN"):
            await check_target(it.client, ["ns-1"])

    async def intruder(it: Target) -> None:
        with pytest.raises(ApiStatusError, match="KFP_USER") as caught:
            await it.client.list_experiments(ListQuery(namespace="ns-2"))
        assert caught.value.status == 403
        with pytest.raises(TargetError, match=r"(?s)refuses access.*NAMESPACE"):
            await check_target(it.client, ["ns-1", "ns-2"])

    async def member(it: Target) -> None:
        assert (await check_target(it.client, ["ns-1"])).multi_user is True
        made = await it.client.create_experiment("mine", namespace="ns-1")
        found = await it.client.find_experiment("mine", namespace="ns-1")
        assert found is not None
        assert (found.experiment_id, found.namespace) == (made.experiment_id, "ns-1")
        await it.client.delete_experiment(made.experiment_id)

    _play(stranger, "instant", options)
    _play(intruder, "instant", options, user="me@x")
    _play(member, "instant", options, user="me@x", namespace="ns-1")
    _play(member, "instant", options, token="secret", namespace="ns-1")
