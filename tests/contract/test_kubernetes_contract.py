"""What a reader of pods relies on, by plain HTTP: true of the emulator's Kubernetes API and of a real one alike.

On the emulator, unless KFP_CONTRACT_KUBERNETES_URL names a real API server; then KFP_CONTRACT_KUBERNETES_TOKEN is
the bearer token, KFP_CONTRACT_KUBERNETES_NAMESPACE (kubeflow) a namespace with at least two pods, and
KFP_CONTRACT_KUBERNETES_CA a file with the certificate of its authority. Nothing is written but access reviews.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.contract

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SETTING = "KFP_CONTRACT_KUBERNETES_"


@dataclass(frozen=True)
class Kubernetes:
    """A plain HTTP client of one API server."""

    url: str
    token: str
    namespace: str
    authority: str = ""

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def _send(self, method: str, path: str, body: Any, query: dict[str, Any]) -> Any:
        parts = urlsplit(self.url)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.authority or None)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname or "", parts.port, timeout=60, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        target = path + (f"?{urlencode(query)}" if query else "")
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        return connection, connection.getresponse()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Return status and decoded body."""
        connection, response = self._send(method, path, body, query)
        try:
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return the body of an answer that must be 200."""
        status, document = self.call("GET", path, **query)
        assert status == 200, document
        return document

    def watch(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return the events of a watch that ends by itself."""
        connection, response = self._send("GET", path, None, {"watch": "1", **query})
        try:
            assert response.status == 200, response.read()
            return [json.loads(line) for line in response if line.strip()]
        finally:
            connection.close()

    def refused(self, code: int, reason: str, path: str, **query: Any) -> str:
        """Return the message of a Status that a request must get."""
        status, document = self.call("GET", path, **query)
        assert (status, document["kind"], document["apiVersion"]) == (code, "Status", "v1"), document
        assert (document["status"], document["code"]) == ("Failure", code)
        assert document["reason"] == reason
        message: str = document["message"]
        return message


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[Kubernetes]:
    given = os.environ.get(f"{_SETTING}URL")
    if given:
        yield Kubernetes(
            given.rstrip("/"),
            os.environ.get(f"{_SETTING}TOKEN", ""),
            os.environ.get(f"{_SETTING}NAMESPACE", "kubeflow"),
            os.environ.get(f"{_SETTING}CA", ""),
        )
        return
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "kfp_emulator", "--port", "0", "--exit-with-stdin"),
            *("--kubernetes-token", "contract=system:serviceaccount:kubeflow:reader"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield Kubernetes(json.loads(process.stdout.readline())["kubernetes_url"], "contract", "kubeflow")
    process.stdin.close()
    process.stdout.close()
    process.wait(20)


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


# --- discovery


def test_the_version(kubernetes: Kubernetes) -> None:
    found = kubernetes.get("/version")
    assert re.fullmatch(r"v\d+\.\d+\..*", found["gitVersion"])
    assert {"major", "minor", "platform"} <= set(found)


def test_the_core_api_lists_its_resources(kubernetes: Kubernetes) -> None:
    assert "v1" in kubernetes.get("/api")["versions"]
    resources = {each["name"]: each for each in kubernetes.get("/api/v1")["resources"]}
    for name, kind in (("pods", "Pod"), ("events", "Event")):
        assert (resources[name]["kind"], resources[name]["namespaced"]) == (kind, True)
        assert {"get", "list", "watch"} <= set(resources[name]["verbs"])


def test_groups_list_their_resources(kubernetes: Kubernetes) -> None:
    groups = {each["name"]: each for each in kubernetes.get("/apis")["groups"]}
    assert groups["apps"]["preferredVersion"]["groupVersion"] == "apps/v1"
    assert "deployments" in names_of(kubernetes.get("/apis/apps/v1"))
    assert "events" in names_of(kubernetes.get("/apis/events.k8s.io/v1"))


def names_of(found: dict[str, Any]) -> list[str]:
    return [each["name"] for each in found["resources"]]


def test_what_is_not_there(kubernetes: Kubernetes) -> None:
    unknown = kubernetes.refused(404, "NotFound", f"{kubernetes.pods}/contract-no-such-pod")
    assert unknown == 'pods "contract-no-such-pod" not found'


# --- lists


def test_a_list_of_pods(kubernetes: Kubernetes) -> None:
    found = kubernetes.get(kubernetes.pods)
    assert (found["kind"], found["apiVersion"]) == ("PodList", "v1")
    assert found["metadata"]["resourceVersion"].isdigit()
    assert len(found["items"]) >= 2
    assert names(found["items"]) == sorted(names(found["items"]))
    for pod in found["items"]:
        assert "kind" not in pod
        assert {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"} <= set(pod["metadata"])
        assert pod["metadata"]["namespace"] == kubernetes.namespace
        assert int(pod["metadata"]["resourceVersion"]) <= int(found["metadata"]["resourceVersion"])
        assert TIME.fullmatch(pod["metadata"]["creationTimestamp"])
        assert pod["status"]["phase"] in {"Pending", "Running", "Succeeded", "Failed"}


def test_conditions_and_containers_have_whole_seconds(kubernetes: Kubernetes) -> None:
    pods = kubernetes.get(kubernetes.pods, fieldSelector="status.phase=Running")["items"]
    for pod in pods:
        conditions = {each["type"]: each for each in pod["status"]["conditions"]}
        assert {"PodScheduled", "Initialized", "ContainersReady", "Ready"} <= set(conditions)
        assert all(TIME.fullmatch(each["lastTransitionTime"]) for each in conditions.values())
        assert pod["spec"]["nodeName"]
        for container in pod["status"]["containerStatuses"]:
            assert {"name", "ready", "restartCount", "state", "lastState", "image"} <= set(container)
            running = container["state"].get("running")
            assert running is None or TIME.fullmatch(running["startedAt"])


def test_the_namespaces_pods_are_among_all(kubernetes: Kubernetes) -> None:
    status, found = kubernetes.call("GET", "/api/v1/pods")
    if status == 403:
        pytest.skip("the token may not list the pods of all namespaces")
    everywhere = {
        each["metadata"]["name"]
        for each in found["items"]
        if each["metadata"]["namespace"] == kubernetes.namespace
    }
    assert len(everywhere & set(names(kubernetes.get(kubernetes.pods)["items"]))) >= 2


def test_pages_are_a_list_at_one_version(kubernetes: Kubernetes) -> None:
    pages = [kubernetes.get(kubernetes.pods, limit=1)]
    while "continue" in pages[-1]["metadata"]:
        query = {"limit": 1, "continue": pages[-1]["metadata"]["continue"]}
        pages.append(kubernetes.get(kubernetes.pods, **query))
    (version,) = {page["metadata"]["resourceVersion"] for page in pages}
    whole = kubernetes.get(kubernetes.pods, resourceVersion=version, resourceVersionMatch="Exact")
    assert [name for page in pages for name in names(page["items"])] == names(whole["items"])
    assert all(len(page["items"]) == 1 for page in pages)


def test_a_page_says_how_many_are_left_unless_selectors_choose(kubernetes: Kubernetes) -> None:
    page = kubernetes.get(kubernetes.pods, limit=1)["metadata"]
    assert page["remainingItemCount"] >= 1
    chosen = kubernetes.get(kubernetes.pods, limit=1, labelSelector="!contract-no-such-label")["metadata"]
    assert "continue" in chosen
    assert "remainingItemCount" not in chosen


def test_a_continue_token_that_is_none(kubernetes: Kubernetes) -> None:
    kubernetes.refused(400, "BadRequest", kubernetes.pods, **{"limit": 1, "continue": "bm9uc2Vuc2U"})


def test_a_version_that_is_too_old_is_gone(kubernetes: Kubernetes) -> None:
    query = {"resourceVersion": "1", "resourceVersionMatch": "Exact"}
    kubernetes.refused(410, "Expired", kubernetes.pods, **query)


def test_a_version_that_is_yet_to_come(kubernetes: Kubernetes) -> None:
    current = int(kubernetes.get(kubernetes.pods, limit=1)["metadata"]["resourceVersion"])
    query = {"resourceVersion": str(current + 1_000_000_000), "resourceVersionMatch": "NotOlderThan"}
    text = kubernetes.refused(504, "Timeout", kubernetes.pods, **query)
    assert text.startswith("Too large resource version")


# --- selectors


def test_labels_by_equality_and_sets(kubernetes: Kubernetes) -> None:
    pods = kubernetes.get(kubernetes.pods)["items"]
    key, value = next(item for pod in pods for item in pod["metadata"].get("labels", {}).items())
    fitting = {pod["metadata"]["name"] for pod in pods if pod["metadata"].get("labels", {}).get(key) == value}
    for selector in (f"{key}={value}", f"{key}=={value}", f"{key} in ({value}, contract-no-such)"):
        assert set(names(kubernetes.get(kubernetes.pods, labelSelector=selector)["items"])) == fitting
    for selector in (f"{key}!={value}", f"{key} notin ({value})"):
        assert not fitting & set(names(kubernetes.get(kubernetes.pods, labelSelector=selector)["items"]))


def test_labels_by_existence(kubernetes: Kubernetes) -> None:
    pods = kubernetes.get(kubernetes.pods)["items"]
    key = next(key for pod in pods for key in pod["metadata"].get("labels", {}))
    having = kubernetes.get(kubernetes.pods, labelSelector=key)["items"]
    lacking = kubernetes.get(kubernetes.pods, labelSelector=f"!{key}")["items"]
    assert all(key in pod["metadata"]["labels"] for pod in having)
    assert not any(key in pod["metadata"].get("labels", {}) for pod in lacking)
    assert len(having) + len(lacking) == len(pods)


def test_a_label_selector_that_is_none(kubernetes: Kubernetes) -> None:
    assert "unable to parse requirement" in kubernetes.refused(
        400, "BadRequest", kubernetes.pods, labelSelector="a in b"
    )


def test_fields(kubernetes: Kubernetes) -> None:
    pods = kubernetes.get(kubernetes.pods)["items"]
    name, node = next(
        (pod["metadata"]["name"], pod["spec"]["nodeName"]) for pod in pods if "nodeName" in pod["spec"]
    )
    found = kubernetes.get(kubernetes.pods, fieldSelector=f"metadata.name={name},spec.nodeName={node}")
    assert names(found["items"]) == [name]
    others = kubernetes.get(kubernetes.pods, fieldSelector=f"metadata.name!={name}")["items"]
    assert name not in names(others)
    assert len(others) == len(pods) - 1


def test_a_field_that_cannot_be_selected_by(kubernetes: Kubernetes) -> None:
    text = kubernetes.refused(400, "BadRequest", kubernetes.pods, fieldSelector="spec.contract=x")
    assert "field label not supported: spec.contract" in text


def test_one_pod(kubernetes: Kubernetes) -> None:
    pod = kubernetes.get(kubernetes.pods, limit=1)["items"][0]
    found = kubernetes.get(f"{kubernetes.pods}/{pod['metadata']['name']}")
    assert (found["kind"], found["apiVersion"]) == ("Pod", "v1")
    assert found["metadata"]["uid"] == pod["metadata"]["uid"]


# --- watches


def test_a_watch_without_a_version_begins_with_what_is_there(kubernetes: Kubernetes) -> None:
    there = names(kubernetes.get(kubernetes.pods)["items"])
    events = kubernetes.watch(kubernetes.pods, timeoutSeconds=1)
    assert [event["type"] for event in events[: len(there)]] == ["ADDED"] * len(there)
    assert sorted(names([event["object"] for event in events[: len(there)]])) == sorted(there)
    assert {event["object"]["kind"] for event in events} == {"Pod"}


def test_a_watch_from_a_list_shows_only_what_is_newer_and_no_bookmarks(kubernetes: Kubernetes) -> None:
    version = kubernetes.get(kubernetes.pods)["metadata"]["resourceVersion"]
    for event in kubernetes.watch(kubernetes.pods, resourceVersion=version, timeoutSeconds=1):
        assert event["type"] in {"ADDED", "MODIFIED", "DELETED"}
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(version)


def test_a_bookmark_comes_before_the_timeout(kubernetes: Kubernetes) -> None:
    version = kubernetes.get(kubernetes.pods)["metadata"]["resourceVersion"]
    query = {"resourceVersion": version, "timeoutSeconds": 3, "allowWatchBookmarks": "true"}
    bookmarks = [each for each in kubernetes.watch(kubernetes.pods, **query) if each["type"] == "BOOKMARK"]
    assert bookmarks
    assert bookmarks[-1]["object"]["kind"] == "Pod"
    assert int(bookmarks[-1]["object"]["metadata"]["resourceVersion"]) >= int(version)


def test_a_watch_from_long_ago_is_gone(kubernetes: Kubernetes) -> None:
    (event,) = kubernetes.watch(kubernetes.pods, resourceVersion="1", timeoutSeconds=2)
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")


# --- other resources


def test_events_are_about_objects(kubernetes: Kubernetes) -> None:
    found = kubernetes.get(f"/api/v1/namespaces/{kubernetes.namespace}/events")
    assert (found["kind"], found["apiVersion"]) == ("EventList", "v1")
    for event in found["items"]:
        assert {"involvedObject", "reason", "message", "type", "source"} <= set(event)


def test_deployments_carry_their_labels(kubernetes: Kubernetes) -> None:
    found = kubernetes.get(f"/apis/apps/v1/namespaces/{kubernetes.namespace}/deployments")
    assert (found["kind"], found["apiVersion"]) == ("DeploymentList", "apps/v1")
    for deployment in found["items"]:
        assert deployment["spec"]["selector"]["matchLabels"]
        assert deployment["spec"]["template"]["spec"]["containers"]


def test_cpu_and_memory_of_pods(kubernetes: Kubernetes) -> None:
    groups = {each["name"] for each in kubernetes.get("/apis")["groups"]}
    if "metrics.k8s.io" not in groups:
        pytest.skip("the cluster has no metrics server")
    status, found = kubernetes.call(
        "GET", f"/apis/metrics.k8s.io/v1beta1/namespaces/{kubernetes.namespace}/pods"
    )
    if status == 403:
        pytest.skip("the token may not read the metrics of pods")
    assert status == 200, found
    assert (found["kind"], found["apiVersion"]) == ("PodMetricsList", "metrics.k8s.io/v1beta1")
    for pod in found["items"]:
        assert TIME.fullmatch(pod["timestamp"])
        assert re.fullmatch(r"(\d+(\.\d+)?(h|m|s|ms|µs))+", pod["window"])
        for container in pod["containers"]:
            assert re.fullmatch(r"\d+[num]?", container["usage"]["cpu"])
            assert re.fullmatch(r"\d+(Ki|Mi|Gi)?", container["usage"]["memory"])


# --- access


def test_an_unknown_token(kubernetes: Kubernetes) -> None:
    stranger = replace(kubernetes, token="contract-no-such-token")
    assert stranger.refused(401, "Unauthorized", kubernetes.pods) == "Unauthorized"


def test_an_access_review(kubernetes: Kubernetes) -> None:
    attributes = {"verb": "list", "resource": "pods", "namespace": kubernetes.namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    status, found = kubernetes.call("POST", path, review)
    assert status == 201
    assert found["status"]["allowed"] is True
