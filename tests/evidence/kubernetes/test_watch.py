"""Following a list of objects through everything that may happen to a watch."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import msgspec
from fake_cluster import Asked, FakeCluster, ObjectStore, refusal
from in_a_loop import in_a_loop

from kfp_perf.evidence.kubernetes.access import Access
from kfp_perf.evidence.kubernetes.api import KubernetesApi
from kfp_perf.evidence.kubernetes.objects import RunPod
from kfp_perf.evidence.kubernetes.watch import Follower, ObjectList, Resource, WatchEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

PODS = Resource(
    "/api/v1/namespaces/kubeflow/pods",
    msgspec.json.Decoder(ObjectList[RunPod]),
    msgspec.json.Decoder(WatchEvent[RunPod]),
    {"labelSelector": "pipeline/runid"},
)


class Kept:
    """The phases of pods by uid as a follower passed them on, and what it said."""

    def __init__(self) -> None:
        self.phases: dict[str, str] = {}
        self.seen: list[str] = []
        self.failures: list[str] = []
        self.read = 0

    def changed(self, pod: RunPod) -> None:
        self.phases[pod.metadata.uid] = pod.status.phase
        self.seen.append(pod.metadata.uid)

    def deleted(self, pod: RunPod) -> None:
        self.phases.pop(pod.metadata.uid, None)

    def listed(self, pods: Sequence[RunPod]) -> None:
        self.phases = {pod.metadata.uid: pod.status.phase for pod in pods}
        self.seen += self.phases

    def reading(self) -> None:
        self.read += 1

    def failed(self, why: str, status: int) -> None:
        self.failures.append(f"{status} {why}")


def pod(phase: str) -> dict[str, Any]:
    """A pod."""
    return {"kind": "Pod", "metadata": {"name": "p", "labels": None}, "status": {"phase": phase}}


@contextlib.asynccontextmanager
async def following(handle: Any, **options: Any) -> AsyncIterator[tuple[Kept, FakeCluster]]:
    """Follow what a server has; the pauses between looks are not waited for."""

    async def at_once(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    pauses: list[float] = []
    async with FakeCluster(handle) as cluster:
        kept = Kept()
        api = KubernetesApi(Access(title="test", server=cluster.url), batch_seconds=0.0)
        task = asyncio.create_task(Follower(api, PODS, kept, sleep=at_once, **options).run())
        try:
            yield kept, cluster
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Any) -> None:
    """Let the loop run until something holds; the test's own time-out ends one that never does."""
    while not condition():  # noqa: ASYNC110  there is no event for it
        await asyncio.sleep(0)


@in_a_loop
async def test_what_was_there_and_what_changes_is_seen() -> None:
    store = ObjectStore()
    store.put("a", pod("Running"))
    async with following(store.handle) as (kept, cluster):
        await until(lambda: store.open)
        store.put("b", pod("Pending"))
        store.put("a", pod("Succeeded"))
        await until(lambda: kept.phases == {"a": "Succeeded", "b": "Pending"})
        store.delete("a")
        await until(lambda: kept.phases == {"b": "Pending"})
        assert cluster.asked[0].query["labelSelector"] == "pipeline/runid"
    assert kept.failures == []


@in_a_loop
async def test_from_now_reads_none_of_what_was_there() -> None:
    store = ObjectStore()
    for number in range(2000):
        store.put(f"old-{number}", pod("Succeeded"))
    async with following(store.handle, from_now=True) as (kept, cluster):
        await until(lambda: store.open)
        store.put("new", pod("Pending"))
        await until(lambda: kept.phases)
        assert kept.phases == {"new": "Pending"}
        assert [one.query["limit"] for one in cluster.asked if "watch" not in one.query] == ["1"]


@in_a_loop
async def test_a_long_list_is_read_page_by_page() -> None:
    store = ObjectStore()
    for number in range(601):
        store.put(f"pod-{number}", pod("Running"))
    async with following(store.handle) as (kept, _cluster):
        await until(lambda: store.open)
        assert len(kept.phases) == 601
        assert store.lists == 3


@in_a_loop
async def test_a_watch_that_is_cut_goes_on_where_it_was() -> None:
    store = ObjectStore()
    async with following(store.handle) as (kept, cluster):
        await until(lambda: store.open)
        for number in range(30):
            store.put(f"pod-{number}", pod("Running"))
            if number % 3 == 0:
                store.cut()
            await until(lambda: store.open and f"pod-{number}" in kept.phases)  # noqa: B023  waited for here
        assert store.lists == 1
        assert store.watches > 10
        versions = [int(one.query["resourceVersion"]) for one in cluster.asked if "watch" in one.query]
        assert versions == sorted(versions)
    assert sorted(kept.seen) == sorted(set(kept.seen)), "none is seen twice"


@in_a_loop
async def test_a_history_that_is_gone_makes_it_list_again_and_notice_what_went() -> None:
    store = ObjectStore()
    store.put("stays", pod("Running"))
    store.put("goes", pod("Running"))
    async with following(store.handle) as (kept, _cluster):
        await until(lambda: len(kept.phases) == 2 and store.open)
        store.delete("goes")
        store.put("new", pod("Pending"))
        store.compact()
        store.oldest = store.version + 1
        store.put("newer", pod("Pending"))
        store.cut()
        await until(lambda: kept.phases == {"stays": "Running", "new": "Pending", "newer": "Pending"})
        assert store.lists == 2
    assert kept.failures == [], "that is no failure"


@in_a_loop
async def test_nothing_is_lost_or_left_over_whatever_happens_to_the_watch() -> None:
    """The state that was passed on equals the server's after any sequence of changes, cuts and compactions."""
    draws = random.Random(7)
    store = ObjectStore(page=20)
    there: dict[str, str] = {}
    async with following(store.handle) as (kept, _cluster):
        for step in range(600):
            chance = draws.random()
            if chance < 0.5 or not there:
                uid = f"pod-{step}"
                there[uid] = "Pending"
                store.put(uid, pod("Pending"))
            elif chance < 0.8:
                uid = draws.choice(sorted(there))
                there[uid] = draws.choice(["Running", "Succeeded"])
                store.put(uid, pod(there[uid]))
            elif chance < 0.9:
                uid = draws.choice(sorted(there))
                del there[uid]
                store.delete(uid)
            elif chance < 0.97:
                store.cut()
            else:
                store.compact()
                store.cut()
            for _ in range(draws.choice([0, 0, 1, 5, 40])):
                await asyncio.sleep(0)
        await until(lambda: kept.phases == there)
    assert store.watches > 20


@in_a_loop
async def test_a_list_that_is_refused_is_asked_for_again_and_says_so() -> None:
    store = ObjectStore()
    refused: list[Asked] = []

    async def handle(asked: Asked) -> None:
        if len(refused) < 2:
            refused.append(asked)
            await asked.answer(refusal(403, "pods is forbidden: User cannot list"), 403)
        else:
            await store.handle(asked)

    store.put("a", pod("Running"))
    async with following(handle) as (kept, _cluster):
        await until(lambda: kept.phases)
    assert kept.failures == ["403 pods is forbidden: User cannot list (403)"] * 2
    assert kept.read == 1


@in_a_loop
async def test_a_list_without_an_end_is_named() -> None:
    async def handle(asked: Asked) -> None:
        await asked.answer({"metadata": {"continue": "the-same"}, "items": [pod("Running")]})

    async with following(handle) as (kept, _cluster):
        await until(lambda: kept.failures)
    assert kept.failures[0] == "0 the list has no end: a page names itself as the next one"


@in_a_loop
async def test_an_event_that_cannot_be_read_is_skipped_and_the_others_are_not() -> None:
    store = ObjectStore()
    async with following(store.handle) as (kept, _cluster):
        await until(lambda: store.open)
        store.put("odd", {"metadata": {"name": "p"}, "status": {"phase": ["not", "a", "text"]}})
        store.put("good", pod("Running"))
        await until(lambda: "good" in kept.phases)
        store.cut()
        store.put("next", pod("Running"))
        await until(lambda: "next" in kept.phases)
    assert kept.phases == {"good": "Running", "next": "Running"}
    assert len(kept.failures) == 1
    assert "an event of the watch cannot be read" in kept.failures[0]


@in_a_loop
async def test_what_is_no_watch_at_all_is_named_and_asked_for_again() -> None:
    answers = [b"<html>log in</html>\n", b'{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}\n']
    store = ObjectStore()

    async def handle(asked: Asked) -> None:
        if asked.query.get("watch") and answers:
            await asked.begin()
            await asked.send(answers.pop(0))
            await asked.end()
        else:
            await store.handle(asked)

    async with following(handle) as (kept, _cluster):
        await until(lambda: store.open)
    assert kept.failures == ["0 what the watch gives is no event", "500 etcd (500)"]
