"""Pods from their first state to the line that is written of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kfp_perf.evidence.kubernetes.objects import Event, RunPod, amount_of
from kfp_perf.evidence.kubernetes.records import pod_decoder
from kfp_perf.evidence.kubernetes.run_pods import RunPods, duration_of

if TYPE_CHECKING:
    from kfp_perf.evidence.kubernetes.records import PodRecord

_pod_decoder = msgspec.json.Decoder(RunPod)
_event_decoder = msgspec.json.Decoder(Event)

CREATED = "2026-11-28T20:58:24Z"


def at(second: int) -> str:
    """A time of the cluster, so many seconds after the pod's creation."""
    return f"2026-11-28T20:58:{24 + second:02d}Z"


def container(name: str, begin: int, end: int | None = None, **ended: Any) -> dict[str, Any]:
    """The status of a container that started, and perhaps ended."""
    if end is None:
        state: dict[str, Any] = {"running": {"startedAt": at(begin)}}
    else:
        how = {"exitCode": 0, "reason": "Completed", **ended}
        state = {"terminated": {"startedAt": at(begin), "finishedAt": at(end), **how}}
    return {"name": name, "restartCount": 0, "state": state, "lastState": {}}


def pod(uid: str = "u", phase: str = "Pending", *, node: str = "", name: str = "", **status: Any) -> RunPod:
    """A pod of a driver, as the API has it."""
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(2)}] if node else []
    given = {
        "metadata": {
            "name": name or f"hello-system-container-driver-{uid}",
            "uid": uid,
            "creationTimestamp": CREATED,
            "labels": {"pipeline/runid": "run-1"},
            "annotations": {"pipelines.kubeflow.org/runtime-role": "driver"} if not name else None,
        },
        "spec": {"nodeName": node, "containers": [{"name": "main", "env": [{"name": "A"}]}]},
        "status": {"phase": phase, "conditions": conditions, **status},
    }
    return _pod_decoder.decode(json.dumps(given))


def event(
    reason: str, message: str, second: int = 0, uid: str = "u", path: str = "spec.containers{main}"
) -> Event:
    """An event of a pod."""
    given = {
        "metadata": {"name": f"{uid}.{reason}"},
        "involvedObject": {"kind": "Pod", "uid": uid, "fieldPath": path},
        "reason": reason,
        "message": message,
        "lastTimestamp": at(second),
        "eventTime": None,
        "count": 1,
    }
    return _event_decoder.decode(json.dumps(given))


class Scene:
    """Pods that are followed, with a clock that the test sets."""

    def __init__(self) -> None:
        self.time = 100.0
        self.written: list[PodRecord] = []
        self.pods = RunPods(self.written.append, lambda: self.time)

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        self.pods.write_ended()


@pytest.fixture
def it() -> Scene:
    """A scene."""
    return Scene()


DONE: dict[str, Any] = {"containerStatuses": [container("wait", 8, 15), container("main", 9, 14)]}


def test_a_pod_is_written_once_when_it_is_over(it: Scene) -> None:
    it.pods.changed(pod())
    it.pods.changed(pod(node="node-1"))
    assert it.pods.open() == (0, 1)
    it.pods.changed(pod(phase="Succeeded", node="node-1", **DONE))
    it.later(1.0)
    assert it.written == [], "its events may be late"
    it.later(3.0)
    it.pods.changed(pod(phase="Succeeded", node="node-1", **DONE))
    it.pods.deleted(pod(phase="Succeeded", node="node-1", **DONE))
    it.later(9.0)
    it.pods.close()
    (record,) = it.written
    assert (record.run_id, record.role, record.node, record.phase) == (
        "run-1",
        "driver",
        "node-1",
        "Succeeded",
    )
    assert record.times == (2, None, 9, 14, 15)
    assert record.created == 1795899504
    assert (record.exit_code, record.over, record.deleted) == (0, True, False)


def test_the_line_of_a_usual_pod_is_short_and_loses_nothing(it: Scene) -> None:
    it.pods.changed(pod(phase="Succeeded", node="node-1", **DONE))
    it.later(3.0)
    (record,) = it.written
    line = msgspec.json.encode(record)
    assert json.loads(line) == {
        "run_id": "run-1",
        "pod": record.pod,
        "role": "driver",
        "node": "node-1",
        "created": 1795899504,
        "times": [2, None, 9, 14, 15],
        "pulls": None,
    }
    assert pod_decoder.decode(line) == record


def test_pods_that_are_not_over_are_written_at_the_end(it: Scene) -> None:
    it.pods.changed(pod("waits"))
    it.pods.changed(pod("runs", "Running", node="node-1", containerStatuses=[container("main", 9)]))
    assert it.pods.open() == (1, 1)
    it.pods.close()
    waits, runs = it.written
    assert (waits.over, waits.times.scheduled, waits.times.started) == (False, None, None)
    assert (runs.over, runs.times.started, runs.times.finished, runs.times.ended) == (False, 9, None, None)
    it.pods.close()
    assert len(it.written) == 2


def test_pods_that_were_over_before_the_test_are_left_out(it: Scene) -> None:
    it.time = 2e9
    it.pods = RunPods(it.written.append, lambda: it.time)
    it.pods.listed([pod("old", "Succeeded", node="node-1", **DONE), pod("runs", "Running", node="node-1")])
    it.pods.deleted(pod("older", "Succeeded", node="node-1", **DONE))
    it.later(9.0)
    assert it.written == []
    it.pods.changed(pod("runs", "Succeeded", node="node-1", **DONE))
    it.later(9.0)
    assert len(it.written) == 1, "that one ended during the test"


def test_a_pod_that_goes_before_its_end_is_written_as_it_was_last(it: Scene) -> None:
    it.pods.changed(pod("a", node="node-1"))
    it.pods.deleted(pod("a", node="node-1"))
    it.pods.changed(pod("b", node="node-2"))
    it.pods.changed(pod("c"))
    it.pods.listed([pod("c")])
    it.later(9.0)
    assert [(one.node, one.deleted, one.over) for one in it.written] == [
        ("node-1", True, False),
        ("node-2", True, False),
    ]


def test_a_list_of_what_is_known_already_changes_nothing(it: Scene) -> None:
    over = pod("a", "Succeeded", node="node-1", **DONE)
    it.pods.changed(over)
    it.later(4.0)
    it.pods.listed([over, pod("b")])
    it.later(4.0)
    assert len(it.written) == 1
    assert it.pods.open() == (1, 0)


PULLED = (
    'Successfully pulled image "busybox:1.36" in 1.5s (2.25s including waiting). Image size: 4261550 bytes.'
)


def test_image_pulls_come_from_events_that_may_be_late_or_early(it: Scene) -> None:
    it.pods.happened(event("Pulled", 'Container image "argoexec" already present on machine', 3, path="init"))
    it.pods.changed(pod(phase="Succeeded", node="node-1", **DONE))
    it.pods.all_happened([event("Pulling", 'Pulling image "busybox:1.36"', 4), event("Pulled", PULLED, 6)])
    it.later(4.0)
    (record,) = it.written
    assert (record.pulls, record.pull_seconds) == (1, 2.25)


def test_events_that_come_again_count_once(it: Scene) -> None:
    events = [event("Pulling", 'Pulling image "busybox:1.36"', 4), event("Pulled", PULLED, 6)]
    it.pods.changed(pod(phase="Succeeded", node="node-1", **DONE))
    it.pods.all_happened([*events, *events])
    it.later(4.0)
    it.pods.all_happened(events)
    (record,) = it.written
    assert (record.pulls, record.pull_seconds) == (1, 2.25)


def test_the_end_of_a_pull_is_waited_for_longer(it: Scene) -> None:
    it.pods.happened(event("Pulled", 'Container image "argoexec" already present on machine', 3, path="init"))
    it.pods.happened(event("Pulling", 'Pulling image "busybox:1.36"', 4))
    it.pods.changed(pod(phase="Succeeded", node="node-1", **DONE))
    it.pods.changed(pod("b", "Succeeded", node="node-1", **DONE))
    it.later(4.0)
    assert len(it.written) == 1, "the other pod is not held back"
    it.pods.happened(event("Pulled", PULLED, 6))
    it.later(40.0)
    assert it.written[1].pull_seconds == 2.25
    it.pods.happened(event("Pulling", 'Pulling image "busybox:1.36"', 4, uid="c"))
    it.pods.changed(pod("c", "Succeeded", node="node-1", **DONE))
    it.later(4.0)
    it.later(40.0)
    lost = it.written[2]
    assert (lost.pulls, lost.pulling) == (None, False), "it has started, so the image is there"


def test_older_releases_give_one_duration_or_none(it: Scene) -> None:
    it.pods.happened(event("Pulled", 'Successfully pulled image "a" in 345ms', 3, path="a"))
    it.pods.happened(event("Pulling", 'Pulling image "b"', 4, path="b"))
    it.pods.happened(event("Pulled", 'Pulled image "b"', 7, path="b"))
    it.pods.changed(pod(phase="Succeeded", node="node-1", **DONE))
    it.pods.close()
    assert it.written[0].pulls == 2
    assert it.written[0].pull_seconds == 3.345


def test_without_events_the_pull_is_unknown_and_one_that_does_not_end_is_named(it: Scene) -> None:
    it.pods.changed(pod("a", "Succeeded", node="node-1", **DONE))
    it.pods.changed(pod("b", node="node-1"))
    it.pods.happened(event("Pulling", 'Pulling image "gone:latest"', 4, uid="b"))
    it.pods.close()
    known, stuck = it.written
    assert (known.pulls, known.pulling) == (None, False)
    assert (stuck.pulls, stuck.pulling) == (None, True)


def test_why_a_pod_had_no_node(it: Scene) -> None:
    it.pods.happened(event("FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.", 1))
    it.pods.changed(pod())
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    it.pods.changed(pod("b", conditions=[condition]))
    it.pods.close()
    assert [one.unschedulable for one in it.written] == [
        "0/3 nodes are available: 3 Insufficient memory.",
        "0/3 nodes",
    ]


def test_a_pod_that_was_ended_for_its_memory(it: Scene) -> None:
    killed = container("main", 9, 14, exitCode=137, reason="OOMKilled")
    it.pods.changed(pod(phase="Failed", node="node-1", containerStatuses=[container("wait", 8, 15), killed]))
    it.pods.close()
    (record,) = it.written
    assert (record.phase, record.reason, record.oom_killed, record.exit_code) == (
        "Failed",
        "OOMKilled",
        True,
        137,
    )


def test_an_evicted_pod_has_a_reason_and_no_containers(it: Scene) -> None:
    it.pods.changed(
        pod(phase="Failed", node="node-1", reason="Evicted", message="The node was low on memory")
    )
    it.later(4.0)
    (record,) = it.written
    assert (record.reason, record.message, record.times.ended) == (
        "Evicted",
        "The node was low on memory",
        None,
    )


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("hello-system-container-driver-1", "driver"),
        ("hello-system-dag-driver-2", "driver"),
        ("hello-system-container-impl-3", "executor"),
        ("hello-4", "other"),
    ],
)
def test_pods_of_releases_without_the_annotation_are_known_by_their_name(
    it: Scene, name: str, role: str
) -> None:
    it.pods.changed(pod(name=name))
    it.pods.close()
    assert it.written[0].role == role


def test_durations_as_go_writes_them() -> None:
    texts = {"1.5s": 1.5, "345.678ms": 0.345678, "1m2.5s": 62.5, "2h0m1s": 7201.0, "120µs": 0.00012, "x": 0.0}
    assert {text: duration_of(text) for text in texts} == pytest.approx(texts)


def test_quantities_as_kubernetes_writes_them() -> None:
    texts = {"250m": 0.25, "2": 2.0, "123456n": 0.000123456, "512Mi": 512 * 2.0**20, "1G": 1e9, "1e3": 1000.0}
    assert {text: amount_of(text) for text in texts} == pytest.approx(texts)
    assert [amount_of(text) for text in (None, "", "much", "Mi")] == [None] * 4
