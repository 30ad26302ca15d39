"""The status of a run's pod at a stage, as the scheduler and the kubelet write it: in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kfp_emulator.cluster.nodes import ERROR, SUCCEEDED
from kfp_emulator.kubernetes.argo_template import ARGO_IMAGE, DRIVER_IMAGE, LAUNCHER_IMAGE
from kfp_emulator.kubernetes.identity import address, digest, host_address
from kfp_emulator.kubernetes.pod_spec import containers_of
from kfp_emulator.kubernetes.pod_stages import (
    CREATED,
    ENDED,
    INITIALIZED,
    INITIALIZING,
    RUNNING,
    SCHEDULED,
    TERMINATING,
    UNSCHEDULABLE,
    phase_at,
)

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.run_pod import RunPod

KILLED_EXIT_CODE = 143
"""What a container ends with on SIGTERM."""
OOM_EXIT_CODE = 137
"""What it ends with on SIGKILL, with which the kernel ends what takes too much memory."""


def stamp(pod: RunPod, at: int) -> str:
    """Write a true time as the cluster's clock had it: RFC 3339 in whole seconds."""
    return rfc3339(pod.time.seconds(at))


@lru_cache(maxsize=4096)
def rfc3339(second: int) -> str:
    """Write a second."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main_image(kind: str, image: str) -> str:
    """Return the image of a pod's main container."""
    return {"driver": DRIVER_IMAGE, "importer": LAUNCHER_IMAGE}.get(kind, image)


def pod_status(pod: RunPod, stage: int) -> dict[str, Any]:
    """Return the status, as far as the scheduler and the kubelet had come."""
    if pod.moments is None and stage == TERMINATING:
        stage = CREATED
    if stage == CREATED:
        return {"phase": "Pending", "qosClass": "Burstable"}
    if stage == UNSCHEDULABLE:
        message = unschedulable_message(pod.nodes)
        condition = _condition(pod, "PodScheduled", pod.created, reason="Unschedulable", message=message)
        return {"conditions": [condition], "phase": "Pending", "qosClass": "Burstable"}
    scheduled, first, initialized, _, _ = _moments(pod)
    if stage == SCHEDULED:
        conditions = [_condition(pod, "PodScheduled", scheduled, holds=True)]
        return {"conditions": conditions, "phase": "Pending", "qosClass": "Burstable"}
    stage = INITIALIZING if stage == TERMINATING else stage
    status: dict[str, Any] = {
        "conditions": _conditions(pod, stage, scheduled, initialized),
        "containerStatuses": [_container(pod, stage, name) for name in containers_of(pod.kind)[1]],
        "hostIP": host_address(pod.node),
        "hostIPs": [{"ip": host_address(pod.node)}],
        "initContainerStatuses": _init_containers(pod, stage, first, initialized),
        "phase": phase_at(stage, pod.phase),
        "podIP": address(pod.uid),
        "podIPs": [{"ip": address(pod.uid)}],
        "qosClass": "Burstable",
        "startTime": stamp(pod, scheduled),
    }
    return status


def unschedulable_message(nodes: int) -> str:
    """Return the scheduler's message where no node has a place."""
    return (
        f"0/{nodes} nodes are available: {nodes} Too many pods. preemption: 0/{nodes} nodes are available: "
        f"{nodes} No preemption victims found for incoming pod."
    )


def _moments(pod: RunPod) -> tuple[int, int, int, int, int]:
    """Return when a pod was scheduled, its first container ran, it was initialized, pulled and started."""
    moments = pod.moments
    if moments is None:
        raise AssertionError("only a pod with a place gets that far")
    return moments


def _condition(
    pod: RunPod, kind: str, at: int, *, holds: bool = False, reason: str = "", message: str = ""
) -> dict[str, Any]:
    condition: dict[str, Any] = {
        "lastProbeTime": None,
        "lastTransitionTime": stamp(pod, at),
        "message": message,
        "reason": reason,
        "status": "True" if holds else "False",
        "type": kind,
    }
    return {key: value for key, value in condition.items() if value != ""}


def _conditions(pod: RunPod, stage: int, scheduled: int, initialized: int) -> list[dict[str, Any]]:
    ended = stage >= ENDED and pod.ended is not None
    ready_since = pod.ended if ended else pod.started if stage == RUNNING else scheduled
    since = scheduled if ready_since is None else ready_since
    message = "containers with unready status: [wait main]"
    not_ready: dict[str, str] = {"reason": "ContainersNotReady", "message": message}
    if ended:
        not_ready = {"reason": "PodCompleted"} if pod.phase == SUCCEEDED else {"reason": "PodFailed"}
    ready = {} if stage == RUNNING else not_ready
    if stage >= INITIALIZED:
        done = {"reason": "PodCompleted"} if ended and pod.phase == SUCCEEDED else {}
        first = _condition(pod, "Initialized", initialized, holds=True, **done)
    else:
        unready = f"containers with incomplete status: [{' '.join(containers_of(pod.kind)[0])}]"
        first = _condition(pod, "Initialized", scheduled, reason="ContainersNotInitialized", message=unready)
    return [
        _condition(pod, "PodReadyToStartContainers", _moments(pod)[1], holds=not ended),
        first,
        _condition(pod, "Ready", since, holds=stage == RUNNING, **ready),
        _condition(pod, "ContainersReady", since, holds=stage == RUNNING, **ready),
        _condition(pod, "PodScheduled", scheduled, holds=True),
    ]


def _init_containers(pod: RunPod, stage: int, first: int, initialized: int) -> list[dict[str, Any]]:
    """Return the statuses of the init containers, which run one after the other."""
    names = containers_of(pod.kind)[0]
    bounds = [first + (initialized - first) * number // len(names) for number in range(len(names) + 1)]
    statuses = []
    for number, name in enumerate(names):
        image = ARGO_IMAGE if name == "init" else LAUNCHER_IMAGE
        if stage >= INITIALIZED:
            state = _terminated(pod, name, bounds[number], bounds[number + 1])
        elif number == 0:
            state = {"running": {"startedAt": stamp(pod, first)}}
        else:
            state = {"waiting": {"reason": "PodInitializing"}}
        began = stage >= INITIALIZED or number == 0
        statuses.append(_status_of(pod, name, image, state, ready=stage >= INITIALIZED, started=began))
    return statuses


def _container(pod: RunPod, stage: int, name: str) -> dict[str, Any]:
    image = ARGO_IMAGE if name == "wait" else main_image(pod.kind, pod.image)
    started = pod.started
    if stage >= ENDED and started is not None and pod.ended is not None:
        state = _terminated(pod, name, started, pod.ended, *_ending(pod, name))
        return _status_of(pod, name, image, state, ready=False, started=True)
    if stage == RUNNING and started is not None:
        state = {"running": {"startedAt": stamp(pod, started)}}
        return _status_of(pod, name, image, state, ready=True, started=True)
    return _status_of(
        pod, name, image, {"waiting": {"reason": "PodInitializing"}}, ready=False, started=False
    )


def _ending(pod: RunPod, name: str) -> tuple[int, str]:
    """Return a container's exit code and reason: Argo's Error is of its own container, Failed of the main one."""
    faulty = "wait" if pod.phase == ERROR else "main"
    if pod.phase == SUCCEEDED:
        return 0, "Completed"
    if pod.killed is not None:
        return KILLED_EXIT_CODE, "Error"
    if pod.oom_killed and name == "main":
        return OOM_EXIT_CODE, "OOMKilled"
    return (1, "Error") if name == faulty else (0, "Completed")


def _terminated(
    pod: RunPod, name: str, started: int, ended: int, code: int = 0, reason: str = "Completed"
) -> dict[str, Any]:
    return {
        "terminated": {
            "containerID": _container_id(pod, name),
            "exitCode": code,
            "finishedAt": stamp(pod, ended),
            "reason": reason,
            "startedAt": stamp(pod, started),
        }
    }


def _status_of(
    pod: RunPod, name: str, image: str, state: dict[str, Any], *, ready: bool, started: bool
) -> dict[str, Any]:
    running = "running" in state
    status: dict[str, Any] = {
        "containerID": _container_id(pod, name) if started else "",
        "image": image,
        "imageID": image.partition(":")[0] + "@sha256:" + digest(image) if started else "",
        "lastState": {},
        "name": name,
        "ready": ready,
        "restartCount": 0,
        "started": running,
        "state": state,
    }
    if not started:
        del status["containerID"]
    return status


def _container_id(pod: RunPod, name: str) -> str:
    return "containerd://" + digest(f"{pod.name}:{pod.created}:{name}")
