"""Lists, watches, history and permissions of the emulator's Kubernetes API, beyond what a real one is asked for."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from kubernetes_world import PODS, World
from small_pipelines import Draft, task

from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.cluster.timing import Profile, load_profile
from kfp_emulator.kubernetes import journal
from kfp_emulator.kubernetes.failures import Refusal
from kfp_emulator.kubernetes.permissions import Denial
from kfp_emulator.kubernetes.selectors import matches, parse_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def hello() -> Any:
    draft = Draft("one")
    draft.container("work")
    return draft.pipeline({"t1": task("work")})


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


@pytest.mark.parametrize(
    ("text", "labels", "fits"),
    [
        ("", {}, True),
        ("a=1", {"a": "1"}, True),
        ("a==1,b!=2", {"a": "1"}, True),
        ("a = 1 , b != 2", {"a": "1", "b": "2"}, False),
        ("pipeline/runid in (x, y)", {"pipeline/runid": "y"}, True),
        ("a in (x,y),!b", {"a": "x", "b": ""}, False),
        ("a notin (x)", {}, True),
        ("a", {"b": "1"}, False),
        ("! a", {"b": "1"}, True),
        ("a=", {"a": ""}, True),
    ],
)
def test_label_selectors(text: str, labels: dict[str, str], fits: bool) -> None:
    assert matches(parse_labels(text), labels) is fits


@pytest.mark.parametrize("text", ["a in b", "=1", "a=1,", "a=1 b=2", "a in (b", "-a", "a,,b"])
def test_label_selectors_that_are_none(text: str) -> None:
    with pytest.raises(Refusal, match="unable to parse requirement") as refused:
        parse_labels(text)
    assert refused.value.code == 400


def test_a_continued_list_is_of_its_own_version() -> None:
    world = World(Profile())
    world.submit(hello(), "first")
    world.clock.run_until_idle()
    page = world.get(PODS, limit=4)
    world.cluster.delete("first")
    world.submit(hello(), "second")
    world.clock.run_until_idle()
    rest = world.get(PODS, **{"limit": 100, "continue": page["metadata"]["continue"]})
    found = names(page["items"] + rest["items"])
    assert len(found) == len(set(found)) == 11
    assert rest["metadata"]["resourceVersion"] == page["metadata"]["resourceVersion"]
    runs = [pod["metadata"]["labels"].get("pipeline/runid") for pod in page["items"] + rest["items"]]
    assert runs.count("first") == 3
    assert "second" not in runs


@pytest.mark.parametrize("path", [PODS, "/api/v1/pods", "/api/v1/events", "/api/v1/nodes"])
@pytest.mark.parametrize("older", [True, False])
def test_the_number_of_objects_that_are_left_is_exact(path: str, older: bool) -> None:
    world = World(load_profile("fast"))
    world.submit(hello(), "first")
    world.clock.run_until_idle()
    page = world.get(path, limit=3)
    if older:
        world.cluster.delete("first")
        world.submit(hello(), "second")
        world.clock.run_until_idle()
    lefts = [page["metadata"]["remainingItemCount"]]
    seen = len(page["items"])
    while "continue" in page["metadata"]:
        page = world.get(path, **{"limit": 3, "continue": page["metadata"]["continue"]})
        seen += len(page["items"])
        lefts.append(page["metadata"].get("remainingItemCount", 0))
    assert lefts[0] == seen - 3
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[-1] == 0


def test_a_compacted_history_is_gone_but_for_the_inconsistent_rest() -> None:
    world = World(Profile())
    page = world.get(PODS, limit=3)
    version = page["metadata"]["resourceVersion"]
    world.submit(hello())
    world.clock.run_until_idle()
    world.installation.journal.compact()
    with pytest.raises(Refusal) as refused:
        world.get(PODS, **{"limit": 3, "continue": page["metadata"]["continue"]})
    status = refused.value.document
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"].startswith("The provided continue parameter is too old")
    rest = world.get(PODS, **{"limit": 100, "continue": status["metadata"]["continue"]})
    assert int(rest["metadata"]["resourceVersion"]) > int(version)
    assert not set(names(page["items"])) & set(names(rest["items"]))
    watched = world.get(PODS, watch="1", resourceVersion=version)
    with pytest.raises(Refusal, match=f"too old resource version: {version}"):
        watched.begin()
    fresh = world.watch(resourceVersion=rest["metadata"]["resourceVersion"])
    assert fresh.events() == []


def test_a_watch_that_is_compacted_away_under_its_reader_goes_on() -> None:
    world = World(Profile())
    watched = world.watch(resourceVersion=world.version())
    world.submit(hello())
    world.clock.run_until_idle()
    world.installation.journal.compact()
    assert [event["type"] for event in watched.events()].count("ADDED") == 3


def test_the_journal_keeps_the_newest_changes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT_CHANGES", 8)
    kept = journal.Journal(lambda: 0, kept=8)
    shown = journal.Recorded("pods", "kubeflow", "a")
    for _ in range(30):
        kept.record(shown, 0)
    assert len(list(kept.kept())) <= 10
    first = kept.position(0)
    assert kept.changes(first, 100) is not None
    assert kept.changes(0, 100) is None
    assert kept.compacted < kept.version


def test_a_slow_watch_that_falls_out_of_the_history_is_gone() -> None:
    world = World(Profile())
    watched = world.watch(resourceVersion=world.version())
    changed = journal.Recorded("nothing", "kubeflow", "a")
    for _ in range(journal.KEPT_CHANGES * 5 // 4 + 100):
        world.installation.journal.record(changed, 0)
    with pytest.raises(Refusal, match="too old resource version"):
        watched.events()


def test_events_and_pods_do_not_share_versions() -> None:
    world = World(load_profile("fast"))
    version = world.version()
    pods = world.watch(resourceVersion=version)
    events = world.watch("/api/v1/namespaces/kubeflow/events", resourceVersion=version)
    world.submit(hello())
    world.clock.run_until_idle()
    numbers = [int(each["object"]["metadata"]["resourceVersion"]) for each in pods.events() + events.events()]
    assert len(numbers) == len(set(numbers)) > 40


def test_a_watch_of_events_resumes_between_those_of_one_change() -> None:
    world = World(Profile())
    version = world.version()
    world.submit(hello())
    world.clock.run_until_idle()
    path = "/api/v1/namespaces/kubeflow/events"
    whole = [
        each["object"]["metadata"]["name"] for each in world.watch(path, resourceVersion=version).events()
    ]
    found: list[str] = []
    while True:
        more = world.watch(path, resourceVersion=version).events()[:1]
        if not more:
            break
        found.append(more[0]["object"]["metadata"]["name"])
        version = more[0]["object"]["metadata"]["resourceVersion"]
    assert found == whole


@pytest.mark.parametrize(
    ("path", "query", "code", "text"),
    [
        (PODS, {"resourceVersionMatch": "Exact"}, 422, "unless resourceVersion is provided"),
        (PODS, {"resourceVersion": 0, "resourceVersionMatch": "Exact"}, 422, "forbidden for resourceVersion"),
        (PODS, {"resourceVersion": 0, "resourceVersionMatch": "Newest"}, 422, "Unsupported value"),
        (PODS, {"watch": 1, "sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden"),
        (PODS, {"limit": "many"}, 400, "invalid syntax"),
        (PODS, {"limit": "-1"}, 400, "invalid syntax"),
        (PODS, {"fieldSelector": "metadata.name"}, 400, "can't understand"),
        ("/api/v1/namespaces/kubeflow/pods/none", {}, 404, 'pods "none" not found'),
        ("/api/v1/namespaces/kubeflow/secrets", {}, 404, "could not find the requested resource"),
        ("/api/v1/pods/one", {}, 404, "could not find the requested resource"),
        ("/apis/apps/v1beta1/deployments", {}, 404, "could not find the requested resource"),
        ("/nowhere", {}, 404, "could not find the requested resource"),
        ("/apis/metrics.k8s.io/v1beta1/pods", {"watch": 1}, 405, "does not allow this method"),
    ],
)
def test_refusals(path: str, query: dict[str, Any], code: int, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        World(Profile()).get(path, **query)
    assert refused.value.document["code"] == code
    assert text in refused.value.message


def test_the_namespaces_of_runs_are_there() -> None:
    world = World(Profile())
    pipeline = hello()
    world.cluster.submit(RunRequest("r", "r", pipeline, {}, namespace="team-a"))
    world.clock.run_until_idle()
    assert "team-a" in names(world.get("/api/v1/namespaces")["items"])
    assert len(world.get("/api/v1/namespaces/team-a/pods")["items"]) == 3
    assert world.get("/api/v1/namespaces/team-a")["status"] == {"phase": "Active"}


def test_nothing_can_be_written() -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(Refusal, match="does not allow this method"):
            World(Profile()).answer(method, PODS, {})


def test_denials_are_worded_as_the_authorizer_does() -> None:
    world = World(Profile(), kubernetes_tokens={"secret": "system:serviceaccount:kubeflow:reader"})
    with pytest.raises(Refusal, match=r"^Unauthorized$") as refused:
        world.get(PODS)
    assert refused.value.code == 401
    assert world.answer("GET", PODS, token="secret")["items"]
    world.installation.permissions.denials = (Denial(verb="watch", resource="pods", namespace=""),)
    with pytest.raises(Refusal) as refused:
        world.answer("GET", "/api/v1/pods", token="secret", watch=1)
    assert refused.value.document == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods is forbidden: User "system:serviceaccount:kubeflow:reader" cannot watch resource "pods" '
        'in API group "" at the cluster scope',
        "reason": "Forbidden",
        "details": {"kind": "pods"},
        "code": 403,
    }
    assert world.answer("GET", PODS, token="secret", watch=1) is not None
    answers = {
        namespace: world.answer(
            "POST",
            REVIEWS,
            {"spec": {"resourceAttributes": {"verb": "watch", "resource": "pods", "namespace": namespace}}},
            token="secret",
        )["status"]["allowed"]
        for namespace in ("", "kubeflow")
    }
    assert answers == {"": False, "kubeflow": True}


def test_metrics_of_pods_are_denied_by_their_own_group() -> None:
    world = World(Profile())
    world.installation.permissions.denials = (Denial(group="metrics.k8s.io"),)
    assert world.get(PODS)["items"]
    with pytest.raises(
        Refusal, match=r'pods\.metrics\.k8s\.io is forbidden: User "kubernetes-admin" cannot list'
    ):
        world.get("/apis/metrics.k8s.io/v1beta1/namespaces/kubeflow/pods")


# --- over a socket


class Connection:
    """One connection to a Kubernetes API, that can read a watch line by line."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)

    def watch(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a watch until it ends, or is broken."""
        self._connection.request("GET", path)
        try:
            for line in self._connection.getresponse():
                yield json.loads(line)
        except (ConnectionResetError, http.client.IncompleteRead):
            return
        finally:
            self._connection.close()


@pytest.mark.parametrize("reset", [True, False])
def test_a_watch_that_is_cut_again_and_again_loses_no_change(start: Callable[..., Any], reset: bool) -> None:
    api = start("fast")
    api.post(
        "/emulator/v1/faults",
        [
            {
                "target": "kubernetes",
                "operation": "WatchPods",
                "effect": {"kind": "cut_watch", "seconds": 0.1, "reset": reset},
            }
        ],
    )
    version = api.kubernetes.get(PODS, limit=1)["metadata"]["resourceVersion"]
    runs = {api.run(f"r{number}")["run_id"] for number in range(5)}
    steps: dict[str, list[str]] = {}
    watches = 0
    while sum(found[-1] == "true" for found in steps.values()) < 15:
        watches += 1
        query = f"watch=1&labelSelector=pipeline/runid&resourceVersion={version}"
        for event in Connection(api.urls["kubernetes_url"]).watch(f"{PODS}?{query}"):
            metadata = event["object"]["metadata"]
            version = metadata["resourceVersion"]
            steps.setdefault(metadata["name"], []).append(
                metadata["labels"]["workflows.argoproj.io/completed"]
            )
            runs.discard(metadata["labels"]["pipeline/runid"])
    assert runs == set()
    assert watches > 3
    for pod in (json.loads(line) for line in api.call("GET", "/emulator/v1/pods").body.splitlines()):
        assert len(steps[pod["name"]]) == 7
    assert api.get("/emulator/v1/faults")["injected"]["cut_watch"] == watches


def test_a_watch_whose_history_expires_ends_with_410(start: Callable[..., Any]) -> None:
    api = start()
    effect = {"kind": "expire_watch", "seconds": 0}
    api.post("/emulator/v1/faults", [{"target": "kubernetes", "operation": "Watch*", "effect": effect}])
    version = api.kubernetes.get(PODS, limit=1)["metadata"]["resourceVersion"]
    (event,) = Connection(api.urls["kubernetes_url"]).watch(f"{PODS}?watch=1&resourceVersion={version}")
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_a_compaction_by_the_control_api(start: Callable[..., Any]) -> None:
    api = start()
    version = api.kubernetes.get(PODS, limit=1)["metadata"]["resourceVersion"]
    api.wait(api.run()["run_id"])
    api.post("/emulator/v1/kubernetes/compact")
    (event,) = Connection(api.urls["kubernetes_url"]).watch(f"{PODS}?watch=1&resourceVersion={version}")
    assert (event["type"], event["object"]["reason"]) == ("ERROR", "Expired")


def test_denials_by_the_control_api(start: Callable[..., Any]) -> None:
    api = start()
    path = "/emulator/v1/kubernetes/denials"
    api.post(path, [{"resource": "events"}])
    assert api.get(path)["denials"][0]["resource"] == "events"
    refused = api.kubernetes.call("GET", "/api/v1/events")
    assert (refused.status, refused.json["reason"]) == (403, "Forbidden")
    assert api.call("POST", path, [{"resources": "x"}]).status == 400
    api.delete(path)
    assert api.kubernetes.get("/api/v1/events")["kind"] == "EventList"


def test_other_faults_reach_the_kubernetes_api_only_when_they_are_aimed_at_it(
    start: Callable[..., Any],
) -> None:
    api = start()
    effect = {"kind": "status", "status": 503, "body": "html"}
    api.post("/emulator/v1/faults", [{"effect": effect}])
    assert api.kubernetes.get(PODS)["items"]
    assert api.call("GET", "runs").status == 503
    api.delete("/emulator/v1/faults")
    api.post("/emulator/v1/faults", [{"target": "kubernetes", "operation": "ListPods", "effect": effect}])
    assert api.kubernetes.call("GET", PODS).status == 503
    assert api.kubernetes.get("/api/v1/events")
    assert api.call("GET", "runs").status == 200


def test_an_emulator_without_further_ports(spawn: Callable[..., Any]) -> None:
    api, _ = spawn("--no-kubernetes", "--no-controller-metrics", "--profile", "instant")
    api.wait(api.run()["run_id"])
    assert api.call("GET", "/emulator/v1/pods").body == b""
    assert len(api.get("/emulator/v1/components")["components"]) == 8
