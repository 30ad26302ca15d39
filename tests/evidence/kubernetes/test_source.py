"""The source as a whole: what it asks a cluster for, and what it says of what it does not get."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from fake_cluster import Asked, FakeCluster, ObjectStore, refusal
from in_a_loop import in_a_loop

from kfp_perf.config import TestConfig
from kfp_perf.evidence import SOURCES
from kfp_perf.evidence.kubernetes import source
from kfp_perf.evidence.kubernetes.records import (
    CLUSTER_FILE,
    COMPONENTS_FILE,
    PODS_FILE,
    USAGE_FILE,
    cluster_decoder,
    component_decoder,
    pod_decoder,
    usage_decoder,
)
from kfp_perf.evidence.source import Notice, Sink
from kfp_perf.result.append_file import read_lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DEPLOY = Path(__file__).parents[3] / "deploy"
CREATED = "2026-11-28T20:58:24Z"


class Cluster:
    """A cluster with run pods, events, a component, and its use; `refused` are the parts that it refuses."""

    def __init__(self) -> None:
        self.runs, self.events, self.components = ObjectStore(), ObjectStore(), ObjectStore()
        self.refused: dict[str, int] = {}
        self.usage: list[dict[str, Any]] = []

    async def handle(self, asked: Asked) -> None:
        """Serve it."""
        part = part_of(asked)
        if part in self.refused:
            status = self.refused[part]
            await asked.answer(refusal(status, f"{part} is forbidden"), status)
        elif part == source.CLUSTER:
            await asked.answer({"gitVersion": "v1.31.4"})
        elif part == source.USAGE:
            await asked.answer({"items": self.usage})
        else:
            stores = {source.PODS: self.runs, source.EVENTS: self.events, source.COMPONENTS: self.components}
            await stores[part].handle(asked)

    def put_component(self, restarts: int = 0) -> None:
        """Set the state of the API server's pod."""
        limits = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "500Mi"}}
        killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": CREATED}}
        status = {"name": "api", "restartCount": restarts, "lastState": killed if restarts else {}}
        labels = {"app": "ml-pipeline"}
        document = {
            "metadata": {"name": "ml-pipeline-1", "labels": labels, "creationTimestamp": CREATED},
            "spec": {"nodeName": "node-1", "containers": [{"name": "api", "resources": limits}]},
            "status": {"phase": "Running", "containerStatuses": [status]},
        }
        self.components.put("c-1", document)

    def put_usage(self, cpu: str, memory: str, at: str = CREATED) -> None:
        """Set what the API server's pod uses, and a pod that is none of KFP's."""
        one = {
            "timestamp": at,
            "window": "15s",
            "containers": [{"name": "api", "usage": {"cpu": cpu, "memory": memory}}],
        }
        self.usage = [{"metadata": {"name": "ml-pipeline-1"}, **one}, {"metadata": {"name": "other"}, **one}]


def part_of(asked: Asked) -> str:
    """Which part of the source asks this."""
    if asked.path == "/version":
        return source.CLUSTER
    if asked.path.startswith("/apis/metrics.k8s.io/"):
        return source.USAGE
    if asked.path.endswith("/events"):
        return source.EVENTS
    return source.PODS if asked.query.get("labelSelector") == "pipeline/runid" else source.COMPONENTS


class Collected:
    """The source at work."""

    def __init__(self, cluster: Cluster, server: FakeCluster, sink: Sink, notices: list[Notice]) -> None:
        self.cluster = cluster
        self.server = server
        self.sink = sink
        self.notices = notices

    def said(self) -> list[str]:
        """What was said that is no live line."""
        return [
            f"{one.part}: {one.failed or (one.state and (one.state.found or one.state.missing))}"
            for one in self.notices
            if not one.live
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until something holds."""
        while not condition():  # noqa: ASYNC110  there is no event for it
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def collecting(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster, **settings: Any
) -> AsyncIterator[Collected]:
    """Collect from a cluster; the pauses of the source are short."""
    for name in ("_RETRY_SECONDS", "_TICK_SECONDS", "_USAGE_SECONDS", "_QUIET_SECONDS"):
        monkeypatch.setattr(source, name, 0.01)
    async with FakeCluster(cluster.handle) as server:
        config = TestConfig(kubernetes_url=server.url, evidence_interval_seconds=1.0, **settings)
        notices: list[Notice] = []
        sink = Sink(folder, source.parts(config), 2**20, lambda: 100.0, notices.append)
        stop = asyncio.Event()
        task = asyncio.create_task(source.collect(config, sink, stop))
        try:
            yield Collected(cluster, server, sink, notices)
        finally:
            stop.set()
            await task
            sink.close()


def run_pod(phase: str = "Running") -> dict[str, Any]:
    """A pod of a run."""
    metadata = {
        "name": "hello-system-dag-driver-1",
        "labels": {"pipeline/runid": "run-1"},
        "creationTimestamp": CREATED,
    }
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": {"phase": phase}}


@in_a_loop
async def test_everything_is_found_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    cluster.put_component()
    cluster.put_usage("250m", "512Mi")
    async with collecting(tmp_path, monkeypatch, cluster) as it:
        await it.until(lambda: cluster.runs.open and cluster.components.open)
        cluster.runs.put("p-1", run_pod())
        cluster.put_component(restarts=1)
        await it.until(lambda: any("restarts" in one.part for one in it.notices))
        await it.until((tmp_path / USAGE_FILE).exists)
    assert [one.missing for one in it.sink.states] == [""] * 5
    (named,) = read_lines(tmp_path / CLUSTER_FILE, cluster_decoder)
    assert (named.version, named.named) == ("v1.31.4", True)
    (pod,) = read_lines(tmp_path / PODS_FILE, pod_decoder)
    assert (pod.run_id, pod.over, pod.node) == ("run-1", False, "node-1")
    before, after = read_lines(tmp_path / COMPONENTS_FILE, component_decoder)
    assert (before.component, before.containers[0].memory_limit) == ("ml-pipeline", 2.0**30)
    assert (after.containers[0].restarts, after.containers[0].oom_kills, after.containers[0].last_exit) == (
        1,
        1,
        137,
    )
    (usage,) = read_lines(tmp_path / USAGE_FILE, usage_decoder)
    assert usage.cores == {"ml-pipeline-1": {"api": 0.25}}, (
        "once: nothing was measured anew, and one is not KFP's"
    )
    assert any(one.live == "ml-pipeline at 50 % of its limit" for one in it.notices)


@pytest.mark.parametrize("part", [source.PODS, source.EVENTS, source.COMPONENTS, source.USAGE])
@in_a_loop
async def test_a_right_that_is_missing_is_said_once_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    cluster = Cluster()
    cluster.refused[part] = 403
    monkeypatch.setattr("kfp_perf.evidence.kubernetes.watch._LONGEST_DELAY_SECONDS", 0.01)
    async with collecting(tmp_path, monkeypatch, cluster) as it:
        others = {source.CLUSTER, source.PODS, source.EVENTS, source.COMPONENTS, source.USAGE} - {part}
        await it.until(lambda: others <= {one.name for one in it.sink.states if one.found})
        await it.until(lambda: sum(part_of(asked) == part for asked in it.server.asked) > 3)
    assert [text for text in it.said() if text.startswith(f"{part}:")] == [
        f"{part}: {part} is forbidden (403)"
    ]
    (state,) = [one for one in it.sink.states if one.name == part]
    assert state.remedy == "deploy/ has a Role that gives the right."


@in_a_loop
async def test_a_cluster_without_a_metrics_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    cluster.refused[source.USAGE] = 404
    async with collecting(tmp_path, monkeypatch, cluster) as it:
        await it.until(lambda: any(one.name == source.USAGE and one.missing for one in it.sink.states))
    assert "usage: the cluster has no metrics.k8s.io (404)" in it.said()


@in_a_loop
async def test_what_comes_just_after_the_end_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    async with collecting(tmp_path, monkeypatch, cluster) as it:
        monkeypatch.setattr(source, "_QUIET_SECONDS", 0.3)
        await it.until(lambda: cluster.runs.open)
        cluster.runs.put("p-1", run_pod("Pending"))
        await it.until(lambda: any(one.live.endswith("1 on a node") for one in it.notices))
        cluster.runs.put("p-1", run_pod("Succeeded"))
    (pod,) = read_lines(tmp_path / PODS_FILE, pod_decoder)
    assert (pod.phase, pod.over) == ("Succeeded", True)


@in_a_loop
async def test_a_cluster_that_comes_later_is_found_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    cluster.refused[source.CLUSTER] = 503
    async with collecting(tmp_path, monkeypatch, cluster) as it:
        await it.until(lambda: any(one.missing for one in it.sink.states))
        assert all(one.missing for one in it.sink.states)
        cluster.refused.clear()
        await it.until(lambda: all(one.found for one in it.sink.states))
    assert it.said()[0].endswith("cluster is forbidden (503)")


@in_a_loop
async def test_a_cluster_that_hides_its_version_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    cluster.refused[source.CLUSTER] = 403
    async with collecting(tmp_path, monkeypatch, cluster) as it:
        await it.until(lambda: all(one.found for one in it.sink.states))
    assert it.said()[0].endswith(", of an unknown version")


@in_a_loop
async def test_every_namespace_of_a_multi_user_test_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"IS_KUBEFLOW_MODE": True, "run_namespaces": "alice, bob"}
    async with collecting(tmp_path, monkeypatch, Cluster(), **settings) as it:
        await it.until(lambda: all(one.found for one in it.sink.states) and it.cluster.runs.open == 2)
    paths = {asked.path for asked in it.server.asked}
    assert {f"/api/v1/namespaces/{name}/pods" for name in ("alice", "bob", "kubeflow")} <= paths
    assert "/apis/metrics.k8s.io/v1beta1/namespaces/kubeflow/pods" in paths
    assert "/api/v1/namespaces/kubeflow/events" not in paths


@in_a_loop
async def test_a_look_beforehand_asks_for_one_object_of_each_part() -> None:
    cluster = Cluster()
    cluster.refused[source.EVENTS] = 403
    async with FakeCluster(cluster.handle) as server:
        config = TestConfig(kubernetes_url=server.url)
        found = {part: await source.look(config, part) for part, _ in source.parts(config)}
    assert found.pop(source.EVENTS).missing == "events is forbidden (403)"
    assert found.pop(source.CLUSTER).found == f"{server.url}, v1.31.4"
    assert {one.found for one in found.values()} == {"in namespace kubeflow"}
    assert {asked.query.get("limit") for asked in server.asked} == {None, "1"}
    gone = await source.look(config, source.PODS)
    assert "cannot be reached" in gone.missing


def test_without_a_cluster_one_part_says_so(tmp_path: Path) -> None:
    config = TestConfig(KUBECONFIG=str(tmp_path / "none"))
    (part,) = source.parts(config)
    assert part == (source.CLUSTER, "Kubernetes API")
    finding = asyncio.run(source.look(config, source.CLUSTER))
    assert finding.missing == f"the kubeconfig {tmp_path / 'none'} does not exist"
    assert "kubernetes" in [one.name for one in SOURCES]


def rights(asked: Asked) -> tuple[str, str, str]:
    """The API group, the resource and the verb that a request needs."""
    if asked.path == "/version":
        return "", "", ""  # everyone may read that, system:public-info-viewer
    group, resource = re.fullmatch(
        r"/apis?/(?:([^/]+)/)?v1(?:beta1)?/namespaces/[^/]+/(\w+)", asked.path
    ).groups()  # type: ignore[union-attr]
    return group or "", resource, "watch" if asked.query.get("watch") else "list"


@pytest.mark.parametrize("file", ["evidence-role.yaml", "evidence-cluster-role.yaml"])
@in_a_loop
async def test_the_roles_give_the_rights_that_are_used_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    documents = list(yaml.safe_load_all((DEPLOY / file).read_text()))
    (role,) = [one for one in documents if one["kind"] in {"Role", "ClusterRole"}]
    given = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    cluster = Cluster()
    async with collecting(tmp_path, monkeypatch, cluster) as it:
        await it.until(
            lambda: all(store.open for store in (cluster.runs, cluster.events, cluster.components))
        )
        await it.until(lambda: any(part_of(asked) == source.USAGE for asked in it.server.asked))
    assert {rights(asked) for asked in it.server.asked} - {("", "", "")} == given
    (binding,) = [one for one in documents if one["kind"] == "RoleBinding"]
    assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) == (
        role["kind"],
        role["metadata"]["name"],
    )
