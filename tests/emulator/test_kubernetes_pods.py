"""Pods of runs in the Kubernetes API, against what the modelled cluster really did, in simulated time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from kubernetes_world import PODS, World
from random_pipelines import random_pipeline
from small_pipelines import Draft, task

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.nodes import fnv1a
from kfp_emulator.cluster.outcomes import Outcome
from kfp_emulator.cluster.timing import Profile, constant, load_profile
from kfp_emulator.kubernetes import run_pods
from kfp_emulator.kubernetes.pod_truth import pod_truth
from kfp_emulator.pipelines.ir import Pipeline, parse_pipeline

SLOW = Profile(
    controller_requeue_seconds=constant(1),
    scheduling_seconds=constant(0.5),
    image_pull_seconds=constant(3),
    startup_seconds=constant(2),
    driver_seconds=constant(2),
    executor_seconds=constant(5),
    termination_seconds=constant(3),
    report_delay_seconds=constant(1),
)
EVENTS = "/api/v1/namespaces/kubeflow/events"


def one_task(**given: Any) -> Pipeline:
    draft = Draft("one")
    draft.container("work")
    return draft.pipeline({"t1": task("work", **given)})


def role(pod: dict[str, Any]) -> str:
    found: str = pod["metadata"]["annotations"]["pipelines.kubeflow.org/runtime-role"]
    return found


def microseconds(stamp: str) -> int:
    return int(datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()) * SECOND


def transition(pod: dict[str, Any], kind: str) -> str:
    found: str = next(
        each["lastTransitionTime"] for each in pod["status"]["conditions"] if each["type"] == kind
    )
    return found


@pytest.mark.parametrize("doubled", [True, False])
def test_node_names_are_those_that_argos_ids_are_hashes_of(doubled: bool) -> None:
    seen = 0
    for seed in range(25):
        world = World(Profile(), seed=seed, retry_nodes=doubled)
        world.submit(parse_pipeline(random_pipeline(seed)))
        world.clock.run_until_idle()
        for pod in world.run_pods():
            annotations = pod["metadata"]["annotations"]
            name, node_id = (annotations[f"workflows.argoproj.io/node-{key}"] for key in ("name", "id"))
            workflow = pod["metadata"]["labels"]["workflows.argoproj.io/workflow"]
            assert node_id == f"{workflow}-{fnv1a(name)}"
            assert pod["metadata"]["name"].endswith(f"-{fnv1a(name)}")
            seen += 1
    assert seen > 200


def test_times_are_the_truth_in_whole_seconds_of_the_clusters_clock() -> None:
    ahead = 3.7
    world = World(load_profile("kfp-2.17"), cluster_clock_offset_seconds=ahead)
    for number in range(40):
        world.submit(one_task(), f"run-{number}")
        world.clock.advance(SECOND // 3)
    world.clock.run_until_idle()
    seen = 0
    for number in range(40):
        truth = {pod.name: pod_truth(pod) for pod in world.installation.pods.of_run(f"run-{number}")}
        for pod in world.run_pods(f"run-{number}"):
            true = truth[pod["metadata"]["name"]]
            statuses = {each["name"]: each for each in pod["status"]["containerStatuses"]}
            init = pod["status"]["initContainerStatuses"]
            main = statuses["main"]["state"]["terminated"]
            shown = {
                "created_us": pod["metadata"]["creationTimestamp"],
                "scheduled_us": transition(pod, "PodScheduled"),
                "first_container_us": init[0]["state"]["terminated"]["startedAt"],
                "initialized_us": transition(pod, "Initialized"),
                "started_us": main["startedAt"],
                "ended_us": main["finishedAt"],
            }
            for name, stamp in shown.items():
                assert 0 <= true[name] + ahead * SECOND - microseconds(stamp) < SECOND, name
            assert init[-1]["state"]["terminated"]["finishedAt"] == shown["initialized_us"]
            assert pod["spec"]["nodeName"] == true["node"]
            seen += 1
    assert seen == 120


def test_a_pod_goes_through_its_stages() -> None:
    world = World(SLOW)
    watched = world.watch(resourceVersion=world.version(), labelSelector="pipeline/runid")
    world.submit(one_task())
    world.clock.run_until_idle()
    steps: dict[str, list[Any]] = {}
    for event in watched.events():
        pod = event["object"]
        status = pod["status"]
        (main,) = (
            each for each in status.get("containerStatuses", [{}]) if each.get("name") in {None, "main"}
        )
        init = status.get("initContainerStatuses", [{"state": {}}])[0]["state"]
        steps.setdefault(pod["metadata"]["name"], []).append(
            (
                event["type"],
                status["phase"],
                bool(pod["spec"].get("nodeName")),
                next(iter(init), ""),
                next(iter(main.get("state", {})), ""),
                pod["metadata"]["labels"]["workflows.argoproj.io/completed"],
            )
        )
    assert len(steps) == 3
    for found in steps.values():
        assert found == [
            ("ADDED", "Pending", False, "", "", "false"),
            ("MODIFIED", "Pending", True, "", "", "false"),
            ("MODIFIED", "Pending", True, "running", "waiting", "false"),
            ("MODIFIED", "Pending", True, "terminated", "waiting", "false"),
            ("MODIFIED", "Running", True, "terminated", "running", "false"),
            ("MODIFIED", "Succeeded", True, "terminated", "terminated", "false"),
            ("MODIFIED", "Succeeded", True, "terminated", "terminated", "true"),
        ]


def test_pods_are_about_as_big_as_real_ones() -> None:
    world = World(SLOW)
    world.submit(one_task())
    world.clock.run_until_idle()
    sizes = {role(pod): len(msgspec.json.encode(pod)) for pod in world.run_pods()}
    # Recorded without managedFields: drivers 11 to 12 KB, an executor 18 KB; those add a half.
    assert 15_000 < sizes["driver"] < 22_000
    assert 22_000 < sizes["launcher"] < 32_000


def test_a_pod_without_a_place_is_unschedulable_until_it_has_one() -> None:
    world = World(replace(SLOW, nodes=1, pods_per_node=1))
    world.submit(one_task(), "first")
    world.submit(one_task(), "second")
    world.clock.advance(SECOND // 10)
    (waiting,) = world.run_pods("second")
    (condition,) = waiting["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "False")
    assert condition["reason"] == "Unschedulable"
    assert condition["message"].startswith("0/1 nodes are available: 1 Too many pods.")
    (event,) = world.get(EVENTS, fieldSelector="reason=FailedScheduling")["items"]
    assert event["involvedObject"]["uid"] == waiting["metadata"]["uid"]
    assert (event["type"], event["source"]) == ("Warning", {"component": "default-scheduler"})
    world.clock.run_until_idle()
    assert {pod["status"]["phase"] for pod in world.run_pods("second")} == {"Succeeded"}


@pytest.mark.parametrize("modern", [False, True])
def test_the_events_of_a_pod(modern: bool) -> None:
    world = World(SLOW)
    world.submit(one_task())
    world.clock.run_until_idle()
    (executor,) = (pod["metadata"]["name"] for pod in world.run_pods() if role(pod) == "launcher")
    path = EVENTS.replace("/api/v1", "/apis/events.k8s.io/v1") if modern else EVENTS
    about = "regarding" if modern else "involvedObject"
    found = [each for each in world.get(path)["items"] if each[about]["name"] == executor]
    said = [(each["reason"], each[about].get("fieldPath", "").partition("{")[2].strip("}")) for each in found]
    assert said == [
        ("Scheduled", ""),
        *((reason, "init") for reason in ("Pulled", "Created", "Started")),
        *((reason, "kfp-launcher") for reason in ("Pulled", "Created", "Started")),
        ("Pulling", "main"),
        *((reason, "wait") for reason in ("Pulled", "Created", "Started")),
        *((reason, "main") for reason in ("Pulled", "Created", "Started")),
    ]
    texts = [each["note" if modern else "message"] for each in found]
    assert texts[0].startswith("Successfully assigned kubeflow/one-")
    assert texts[-3].startswith('Successfully pulled image "python:3.11" in 3s (3s including waiting).')
    pulling, pulled = found[7], found[-3]
    key = "deprecatedLastTimestamp" if modern else "lastTimestamp"
    assert microseconds(pulled[key]) - microseconds(pulling[key]) == 3 * SECOND


def test_an_instant_run_has_all_of_its_events() -> None:
    world = World(Profile())
    world.submit(one_task())
    world.clock.run_until_idle()
    reasons = [each["reason"] for each in world.get(EVENTS)["items"]]
    assert reasons.count("Scheduled") == 3
    assert reasons.count("Started") == 3 * 3 + 1  # init, wait and main; and the launcher's init container


def test_a_watch_by_phase_deletes_what_does_not_fit_any_more() -> None:
    world = World(SLOW)
    query = {"labelSelector": "pipeline/runid=run", "fieldSelector": "status.phase!=Succeeded"}
    watched = world.watch(resourceVersion=world.version(), **query)
    world.submit(one_task())
    world.clock.run_until_idle()
    events = watched.events()
    kinds = [event["type"] for event in events]
    assert kinds.count("ADDED") == kinds.count("DELETED") == 3
    assert all(
        event["object"]["status"]["phase"] == "Running" for event in events if event["type"] == "DELETED"
    )
    numbers = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert numbers == sorted(set(numbers))


def test_a_deleted_run_takes_its_pods_along_after_a_while() -> None:
    world = World(SLOW)
    world.submit(one_task())
    world.clock.run_until_idle()
    watched = world.watch(resourceVersion=world.version())
    world.cluster.delete("run")
    assert len(world.run_pods()) == 3
    world.clock.advance(run_pods.DELETION_MICROSECONDS)
    assert world.run_pods() == []
    assert [event["type"] for event in watched.events()] == ["DELETED"] * 3
    assert world.installation.pods.runs() == []


def test_a_run_deleted_on_its_way_leaves_no_pod() -> None:
    world = World(SLOW)
    world.submit(one_task())
    world.clock.advance(12 * SECOND)
    assert world.run_pods()
    world.cluster.delete("run")
    world.clock.run_until_idle()
    assert world.run_pods() == []


def test_a_failed_task_shows_its_exit_code_and_a_retry_makes_another_pod_of_its_name() -> None:
    world = World(SLOW)
    world.cluster.set_outcome(Outcome(failures=-1))
    world.submit(one_task())
    world.clock.run_until_idle()
    (failed,) = (pod for pod in world.run_pods() if pod["status"]["phase"] == "Failed")
    codes = {
        each["name"]: each["state"]["terminated"]["exitCode"]
        for each in failed["status"]["containerStatuses"]
    }
    assert codes == {"wait": 0, "main": 1}
    watched = world.watch(resourceVersion=world.version())
    world.cluster.clear_outcomes()
    world.cluster.retry("run")
    world.clock.run_until_idle()
    events = [
        event
        for event in watched.events()
        if event["object"]["metadata"]["name"] == failed["metadata"]["name"]
    ]
    assert [event["type"] for event in events[:2]] == ["DELETED", "ADDED"]
    assert events[1]["object"]["metadata"]["uid"] != failed["metadata"]["uid"]
    assert events[-1]["object"]["status"]["phase"] == "Succeeded"


def test_a_task_that_takes_too_much_memory_shows_it() -> None:
    world = World(SLOW)
    world.cluster.set_outcome(Outcome(failures=-1, oom_killed=True))
    world.submit(one_task())
    world.clock.run_until_idle()
    (failed,) = (pod for pod in world.run_pods() if pod["status"]["phase"] == "Failed")
    ends = {each["name"]: each["state"]["terminated"] for each in failed["status"]["containerStatuses"]}
    assert (ends["main"]["reason"], ends["main"]["exitCode"]) == ("OOMKilled", 137)
    assert (ends["wait"]["reason"], ends["wait"]["exitCode"]) == ("Completed", 0)


def test_a_terminated_run_ends_its_running_pods_and_deletes_those_that_wait() -> None:
    world = World(SLOW)
    world.submit(one_task(), "running")
    world.clock.advance(15 * SECOND)
    (executor,) = (pod for pod in world.run_pods("running") if role(pod) == "launcher")
    assert executor["status"]["phase"] == "Pending"
    world.clock.advance(4 * SECOND)
    world.submit(one_task(), "waiting")
    world.clock.advance(SECOND)
    for run_id in ("running", "waiting"):
        world.cluster.terminate(run_id)
    world.clock.advance(5 * SECOND // 2)
    (dying,) = world.run_pods("waiting")
    assert "deletionTimestamp" in dying["metadata"]
    world.clock.run_until_idle()
    assert world.run_pods("waiting") == []
    (executor,) = (pod for pod in world.run_pods("running") if role(pod) == "launcher")
    codes = {each["state"]["terminated"]["exitCode"] for each in executor["status"]["containerStatuses"]}
    assert (executor["status"]["phase"], codes) == ("Failed", {143})


def test_the_oldest_pods_that_have_ended_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_pods, "MOST_ENDED", 7)
    world = World(Profile())
    for number in range(5):
        world.submit(one_task(), f"run-{number}")
        world.clock.run_until_idle()
    kept = [len(world.run_pods(f"run-{number}")) for number in range(5)]
    assert kept == [0, 0, 1, 3, 3]


def test_a_lost_database_takes_the_pods_of_all_runs_along() -> None:
    world = World(SLOW)
    world.submit(one_task())
    world.clock.advance(10 * SECOND)
    world.backend.forget()
    assert world.get(PODS, labelSelector="pipeline/runid")["items"] == []
    world.clock.run_until_idle()
    assert world.get(PODS, labelSelector="pipeline/runid")["items"] == []
