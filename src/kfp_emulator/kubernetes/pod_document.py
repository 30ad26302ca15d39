"""A run's pod as a Kubernetes object: its metadata, and its status at a stage.

Times are whole seconds of the cluster's clock, as the kubelet writes them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.cluster.nodes import ERROR, SUCCEEDED
from kfp_emulator.kubernetes.identity import address, digest, host_address, uid
from kfp_emulator.kubernetes.managed_fields import entry, fields_of
from kfp_emulator.kubernetes.pod_spec import (
    ARGO_IMAGE,
    DRIVER_IMAGE,
    LAUNCHER_IMAGE,
    PodFacts,
    containers_of,
    pod_spec,
)
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
_GRACE_SECONDS = 30
_spec_fields: dict[tuple[str, str], msgspec.Raw] = {}


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


def pod_document(pod: RunPod, place: int) -> dict[str, Any]:
    """Return the pod as it was in a version."""
    stage = pod.stage(place)
    created = stamp(pod, pod.created)
    spec = pod_spec(
        PodFacts(
            pod.plan,
            pod.inputs,
            pod.request,
            pod.name,
            pod.kind,
            pod.template,
            pod.workflow,
            workflow_uid(pod),
            pod.node_id,
            created,
        )
    )
    fields = _spec_fields.get((pod.kind, pod.template))
    if fields is None:
        fields = msgspec.Raw(msgspec.json.encode({"f:metadata": _METADATA_FIELDS, "f:spec": fields_of(spec)}))
        _spec_fields[pod.kind, pod.template] = fields
    if pod.node and stage >= SCHEDULED:
        spec["nodeName"] = pod.node
    status = _status(pod, stage)
    managed = [entry("workflow-controller", "Update", created, fields)]
    if stage > SCHEDULED:
        kubelet = {"f:status": fields_of(status)}
        managed.append(entry("kubelet", "Update", stamp(pod, pod.versions[place].at), kubelet, "status"))
    return {"metadata": _metadata(pod, place, managed), "spec": spec, "status": status}


def workflow_uid(pod: RunPod) -> str:
    """Return the UID of the workflow that owns a pod."""
    return uid(pod.request.run_id, "workflow")


_METADATA_FIELDS: dict[str, Any] = {
    "f:annotations": {
        ".": {},
        "f:kubectl.kubernetes.io/default-container": {},
        "f:pipelines.kubeflow.org/runtime-role": {},
        "f:pipelines.kubeflow.org/v2_component": {},
        "f:sidecar.istio.io/inject": {},
        "f:workflows.argoproj.io/node-id": {},
        "f:workflows.argoproj.io/node-name": {},
    },
    "f:labels": {
        ".": {},
        "f:pipeline/runid": {},
        "f:pipelines.kubeflow.org/v2_component": {},
        "f:workflows.argoproj.io/completed": {},
        "f:workflows.argoproj.io/workflow": {},
    },
    "f:ownerReferences": {".": {}, 'k:{"uid":"workflow"}': {}},
}


def _metadata(pod: RunPod, place: int, managed: list[dict[str, Any]]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "annotations": {
            "kubectl.kubernetes.io/default-container": "main",
            "pipelines.kubeflow.org/runtime-role": "launcher" if pod.kind == "executor" else "driver",
            "pipelines.kubeflow.org/v2_component": "true",
            "sidecar.istio.io/inject": "false",
            "workflows.argoproj.io/node-id": pod.node_id,
            "workflows.argoproj.io/node-name": pod.node_name,
        },
        "creationTimestamp": stamp(pod, pod.created),
        "labels": pod.labels(place),
        "managedFields": managed,
        "name": pod.name,
        "namespace": pod.namespace,
        "ownerReferences": [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "blockOwnerDeletion": True,
                "controller": True,
                "kind": "Workflow",
                "name": pod.workflow,
                "uid": workflow_uid(pod),
            }
        ],
        "resourceVersion": str(pod.versions[place].number),
        "uid": pod.uid,
    }
    if pod.stage(place) == TERMINATING and pod.killed is not None:
        metadata["deletionGracePeriodSeconds"] = _GRACE_SECONDS
        metadata["deletionTimestamp"] = stamp(pod, pod.killed + _GRACE_SECONDS * 1_000_000)
    return metadata


def _status(pod: RunPod, stage: int) -> dict[str, Any]:
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
    """Return what the scheduler says where no node has a place."""
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
            state = _terminated(pod, name, bounds[number], bounds[number + 1], 0)
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
        state = _terminated(pod, name, started, pod.ended, _exit_code(pod, name))
        return _status_of(pod, name, image, state, ready=False, started=True)
    if stage == RUNNING and started is not None:
        state = {"running": {"startedAt": stamp(pod, started)}}
        return _status_of(pod, name, image, state, ready=True, started=True)
    return _status_of(
        pod, name, image, {"waiting": {"reason": "PodInitializing"}}, ready=False, started=False
    )


def _exit_code(pod: RunPod, name: str) -> int:
    """Return how a container ended: Argo's Error is a fault of its own container, Failed one of the main one."""
    if pod.phase == SUCCEEDED:
        return 0
    if pod.killed is not None:
        return KILLED_EXIT_CODE
    faulty = "wait" if pod.phase == ERROR else "main"
    return int(name == faulty)


def _terminated(pod: RunPod, name: str, started: int, ended: int, code: int) -> dict[str, Any]:
    return {
        "terminated": {
            "containerID": _container_id(pod, name),
            "exitCode": code,
            "finishedAt": stamp(pod, ended),
            "reason": "Error" if code else "Completed",
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


__all__ = ["main_image", "pod_document", "rfc3339", "stamp", "unschedulable_message"]
