"""The emulator's Kubernetes API: consistent with what the modelled cluster did."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PODS = "/api/v1/namespaces/kubeflow/pods"


def watch(url: str, path: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a watch until it ends; the first request is sent at the first item."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.request("GET", path)
        for line in connection.getresponse():
            yield json.loads(line)
    finally:
        connection.close()


def test_the_pods_of_a_run(start: Callable[..., Any]) -> None:
    api = start()
    run_id = api.run()["run_id"]
    api.wait(run_id)
    found = api.kubernetes.get(PODS, labelSelector=f"pipeline/runid={run_id}")
    assert (found["kind"], found["apiVersion"]) == ("PodList", "v1")
    roles = [pod["metadata"]["annotations"]["pipelines.kubeflow.org/runtime-role"] for pod in found["items"]]
    assert sorted(roles) == ["driver", "driver", "launcher"]
    assert {pod["status"]["phase"] for pod in found["items"]} == {"Succeeded"}
    assert {pod["metadata"]["labels"]["workflows.argoproj.io/completed"] for pod in found["items"]} == {
        "true"
    }


@pytest.mark.parametrize("pieces", [1, 2, 100])
def test_a_list_in_pages_is_the_list(start: Callable[..., Any], pieces: int) -> None:
    api = start().kubernetes
    whole = [pod["metadata"]["name"] for pod in api.get(PODS)["items"]]
    found: list[str] = []
    query = {"limit": pieces}
    while True:
        page = api.get(PODS, **query)
        found += [pod["metadata"]["name"] for pod in page["items"]]
        if "continue" not in page["metadata"]:
            break
        query["continue"] = page["metadata"]["continue"]
    assert found == whole
    assert len(whole) == 8


def test_a_watch_shows_every_change_of_a_run(start: Callable[..., Any]) -> None:
    api = start("fast")
    version = api.kubernetes.get(PODS, limit=1)["metadata"]["resourceVersion"]
    run_id = api.run()["run_id"]
    path = f"{PODS}?watch=1&resourceVersion={version}&labelSelector=pipeline/runid={run_id}&timeoutSeconds=30"
    seen: dict[str, list[str]] = {}
    for event in watch(api.urls["kubernetes_url"], path):
        pod = event["object"]
        seen.setdefault(pod["metadata"]["name"], []).append(f"{event['type']} {pod['status']['phase']}")
        if sum(steps[-1].endswith("Succeeded") for steps in seen.values()) == 3:
            break
    for steps in seen.values():
        assert steps[0] == "ADDED Pending"
        assert "MODIFIED Running" in steps
        assert set(steps[1:]) <= {"MODIFIED Pending", "MODIFIED Running", "MODIFIED Succeeded"}
