"""The official Python client of Kubernetes understands what the emulator's Kubernetes API says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

kubernetes = pytest.importorskip("kubernetes")  # the real kfp SDK brings it


@pytest.fixture
def connected(start: Callable[..., Any]) -> Any:
    """An emulator, and a client of its Kubernetes API."""
    api = start("fast")
    configuration = kubernetes.client.Configuration()
    configuration.host = api.urls["kubernetes_url"]
    return api, kubernetes.client.ApiClient(configuration)


def test_lists_can_be_read(connected: Any) -> None:
    _, client = connected
    core = kubernetes.client.CoreV1Api(client)
    pods = core.list_namespaced_pod("kubeflow").items
    assert {pod.status.container_statuses[0].restart_count for pod in pods} == {0}
    assert {pod.spec.containers[0].resources.limits["memory"] for pod in pods} >= {"1Gi", "2Gi"}
    assert core.list_node().items[0].status.node_info.kubelet_version.startswith("v1.31")
    assert "kubeflow" in {each.metadata.name for each in core.list_namespace().items}
    deployments = kubernetes.client.AppsV1Api(client).list_namespaced_deployment("kubeflow").items
    assert {each.status.available_replicas for each in deployments} == {1}
    version = kubernetes.client.VersionApi(client).get_code()
    assert version.git_commit == "kfp-perf-emulator"
    metrics = kubernetes.client.CustomObjectsApi(client).list_namespaced_custom_object(
        "metrics.k8s.io", "v1beta1", "kubeflow", "pods"
    )
    assert len(metrics["items"]) == len(pods)
    wanted = kubernetes.client.V1ResourceAttributes(verb="list", resource="pods", namespace="kubeflow")
    spec = kubernetes.client.V1SelfSubjectAccessReviewSpec(resource_attributes=wanted)
    review = kubernetes.client.AuthorizationV1Api(client).create_self_subject_access_review(
        kubernetes.client.V1SelfSubjectAccessReview(spec=spec)
    )
    assert review.status.allowed is True


def test_a_run_can_be_watched(connected: Any) -> None:
    api, client = connected
    core = kubernetes.client.CoreV1Api(client)
    version = core.list_namespaced_pod("kubeflow", limit=1).metadata.resource_version
    run_id = api.run()["run_id"]
    seen: Counter[tuple[str, str]] = Counter()
    watch = kubernetes.watch.Watch()
    query = {"label_selector": f"pipeline/runid={run_id}", "resource_version": version}
    for event in watch.stream(core.list_namespaced_pod, "kubeflow", timeout_seconds=20, **query):
        pod = event["object"]
        seen[event["type"], pod.status.phase] += 1
        if seen["MODIFIED", "Succeeded"] == 6:
            watch.stop()
    assert seen == {
        ("ADDED", "Pending"): 3,
        ("MODIFIED", "Pending"): 9,
        ("MODIFIED", "Running"): 3,
        ("MODIFIED", "Succeeded"): 6,
    }
    reasons = Counter(event.reason for event in core.list_namespaced_event("kubeflow").items)
    assert reasons["Scheduled"] == 3
    assert reasons["Started"] == 10


def test_an_expired_watch_is_an_exception_of_the_client(connected: Any) -> None:
    api, client = connected
    core = kubernetes.client.CoreV1Api(client)
    version = core.list_namespaced_pod("kubeflow").metadata.resource_version
    api.post("/emulator/v1/components/mysql:restart", {"outage_seconds": 0})
    api.post("/emulator/v1/kubernetes/compact")
    stream = kubernetes.watch.Watch().stream(core.list_namespaced_pod, "kubeflow", resource_version=version)
    with pytest.raises(kubernetes.client.ApiException, match="too old resource version") as expired:
        next(stream)
    assert expired.value.status == 410
