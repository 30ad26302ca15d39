"""Components of KFP in the Kubernetes API: restarts, what they consume, and what the model makes of an outage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes_world import PODS, World
from small_pipelines import Draft, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.timing import Profile, constant, load_profile
from kfp_emulator.kubernetes.component_documents import MODELLED
from kfp_emulator.kubernetes.component_table import COMPONENTS
from kfp_emulator.server.components import restart_component

if TYPE_CHECKING:
    from collections.abc import Callable

DEPLOYMENTS = "/apis/apps/v1/namespaces/kubeflow/deployments"
USAGE = "/apis/metrics.k8s.io/v1beta1/namespaces/kubeflow/pods"
EVENTS = "/api/v1/namespaces/kubeflow/events"


def hello() -> Any:
    draft = Draft("one")
    draft.container("work")
    return draft.pipeline({"t1": task("work")})


def component_pod(world: World, name: str) -> dict[str, Any]:
    (pod,) = world.get(PODS, labelSelector=f"app={name}")["items"]
    found: dict[str, Any] = pod
    return found


def cores(world: World, name: str) -> float:
    (pod,) = world.get(USAGE, labelSelector=f"app={name}")["items"]
    (container,) = pod["containers"]
    assert container["usage"]["cpu"].endswith("n")
    return int(container["usage"]["cpu"][:-1]) / 1e9


def test_each_component_has_a_deployment_and_a_pod_with_requests_and_limits() -> None:
    world = World(Profile())
    deployments = {each["metadata"]["name"]: each for each in world.get(DEPLOYMENTS)["items"]}
    assert set(deployments) == {component.name for component in COMPONENTS}
    for component in COMPONENTS:
        pod = component_pod(world, component.name)
        (container,) = pod["spec"]["containers"]
        assert container["resources"] == {
            "requests": {"cpu": component.cpu[0], "memory": component.memory[0]},
            "limits": {"cpu": component.cpu[1], "memory": component.memory[1]},
        }
        assert pod["metadata"]["annotations"] == {MODELLED: "cpu, memory"}
        assert deployments[component.name]["status"]["availableReplicas"] == 1
        selector = deployments[component.name]["spec"]["selector"]["matchLabels"]
        assert selector.items() <= pod["metadata"]["labels"].items()


def test_older_releases_keep_their_objects_in_minio() -> None:
    world = World(Profile(), version="2.5.0")
    names = {each["metadata"]["name"] for each in world.get(DEPLOYMENTS)["items"]}
    assert "minio" in names
    assert "seaweedfs" not in names


def test_an_oom_kill_shows_as_kubernetes_shows_it() -> None:
    world = World(Profile())
    world.clock.advance(10 * SECOND)
    watched = world.watch(resourceVersion=world.version(), labelSelector="app=mysql")
    restart_component(world.backend, "mysql", "OOMKilled", None, 5)
    pod = component_pod(world, "mysql")
    (status,) = pod["status"]["containerStatuses"]
    assert status["state"]["terminated"]["reason"] == "OOMKilled"
    assert (status["ready"], status["restartCount"]) == (False, 0)
    (deployment,) = world.get(DEPLOYMENTS, labelSelector="app=mysql")["items"]
    assert "availableReplicas" not in deployment["status"]
    world.clock.advance(5 * SECOND)
    (status,) = component_pod(world, "mysql")["status"]["containerStatuses"]
    last = status["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"]) == ("OOMKilled", 137)
    assert (status["ready"], status["restartCount"]) == (True, 1)
    assert last["finishedAt"] < status["state"]["running"]["startedAt"]
    assert [event["type"] for event in watched.events()] == ["MODIFIED", "MODIFIED"]
    about = f"involvedObject.name={pod['metadata']['name']}"
    reasons = [event["reason"] for event in world.get(EVENTS, fieldSelector=about)["items"]]
    assert reasons == ["BackOff", "Pulled", "Created", "Started"]


def test_cpu_follows_the_stated_formula() -> None:
    world = World(load_profile("fast"))
    world.get(USAGE)
    for number in range(5):
        world.submit(hello(), f"run-{number}")
    world.clock.advance(100 * SECOND)
    counts, spent = world.cluster.counts, {each.name: each.consumption for each in COMPONENTS}
    assert (counts.pods, counts.reports > 0) == (15, True)
    found = {name: cores(world, name) for name in spent}
    for name, rates in spent.items():
        seconds = rates.report * counts.reports + rates.pod * counts.pods + rates.look * counts.looks
        assert found[name] == pytest.approx(rates.idle + seconds / 100, rel=1e-6)
    world.clock.advance(20 * SECOND)
    assert cores(world, "workflow-controller") == pytest.approx(spent["workflow-controller"].idle)


def test_the_mean_is_of_the_time_since_the_look_before() -> None:
    world = World(Profile())
    world.get(USAGE)
    world.clock.advance(10 * SECOND)
    (before,) = world.get(USAGE, labelSelector="app=mysql")["items"]
    world.clock.advance(10 * SECOND)
    (after,) = world.get(USAGE, labelSelector="app=mysql")["items"]
    assert after["window"] == "20.000s"
    assert before["timestamp"] < after["timestamp"]
    assert after["metadata"]["annotations"] == {MODELLED: "cpu, memory"}


def test_only_what_runs_consumes() -> None:
    world = World(Profile(executor_seconds=constant(50)))
    world.submit(hello())
    world.clock.advance(SECOND)
    (pod,) = world.get(USAGE, labelSelector="pipeline/runid=run")["items"]
    assert {each["name"] for each in pod["containers"]} == {"wait", "main"}
    restart_component(world.backend, "mysql", "Error", 3, 5)
    assert world.get(USAGE, labelSelector="app=mysql")["items"] == []
    world.clock.advance(50 * SECOND)
    assert world.get(USAGE, labelSelector="pipeline/runid=run")["items"] == []


def test_a_workflow_controller_that_is_down_looks_at_nothing() -> None:
    world = World(Profile())
    restart_component(world.backend, "workflow-controller", "OOMKilled", None, 30)
    world.submit(hello())
    world.clock.advance(29 * SECOND)
    assert world.run_pods() == []
    world.clock.advance(2 * SECOND)
    assert {pod["status"]["phase"] for pod in world.run_pods()} == {"Succeeded"}


def test_a_persistence_agent_that_is_down_reports_nothing() -> None:
    world = World(Profile())
    restart_component(world.backend, "ml-pipeline-persistenceagent", "Error", None, 30)
    world.submit(hello())
    world.clock.advance(29 * SECOND)
    assert world.cluster.counts.reports == 0
    world.clock.advance(2 * SECOND)
    assert world.cluster.counts.reports == 1


def test_a_restart_of_the_server_is_one_of_its_pod(start: Callable[..., Any]) -> None:
    api = start()
    before = start_time(api)
    api.post("/emulator/v1/restart", {"outage_seconds": 0})
    status = None
    while status is None or not status["restartCount"]:
        (pod,) = api.kubernetes.get(PODS, labelSelector="app=ml-pipeline")["items"]
        (status,) = pod["status"]["containerStatuses"]
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert start_time(api) > before


def start_time(api: Any) -> float:
    text = api.call("GET", "/metrics").body.decode()
    line = next(line for line in text.splitlines() if line.startswith("process_start_time_seconds "))
    return float(line.split()[1])


def test_the_control_api_restarts_components(start: Callable[..., Any]) -> None:
    api = start()
    path = "/emulator/v1/components"
    assert api.post(f"{path}/mysql:restart", {"reason": "OOMKilled", "outage_seconds": 0}) == {}
    found = {each["name"]: each for each in api.get(path)["components"]}
    while not found["mysql"]["up"]:
        found = {each["name"]: each for each in api.get(path)["components"]}
    assert (found["mysql"]["restarts"], found["mysql"]["last_reason"]) == (1, "OOMKilled")
    refused = api.call("POST", f"{path}/oracle:restart")
    assert refused.status == 404
    assert "known: ml-pipeline, " in json.loads(refused.body)["message"]
    for body in ({"reason": 3}, {"outage_seconds": -1}, {"colour": "red"}):
        assert api.call("POST", f"{path}/mysql:restart", body).status == 400
