"""A component's pod and deployment as Kubernetes objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_emulator.kubernetes.identity import address, digest, host_address, uid
from kfp_emulator.kubernetes.managed_fields import entry, fields_of
from kfp_emulator.kubernetes.pod_status import rfc3339

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.component_table import Component
    from kfp_emulator.kubernetes.stated import Stated
    from kfp_emulator.protocol.wire import OutwardTime

MODELLED = "kfp-perf-emulator/modelled"
"""The annotation of objects whose figures are a formula, and measured nowhere."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the components are: the namespace, KFP's version, and the cluster's clock."""

    namespace: str
    version: str
    time: OutwardTime


class Work(NamedTuple):
    """What the emulator has handled since its start, and the workflows in flight."""

    requests: int = 0
    reports: int = 0
    pods: int = 0
    looks: int = 0
    in_flight: int = 0


class Ending(NamedTuple):
    """How a container ended, and when it had started and did."""

    reason: str
    code: int
    started: int
    ended: int


@dataclass(slots=True)
class Life:
    """A component's pod: since when its container runs (None: it does not), its restarts, and its last end."""

    component: Component
    pod: Stated
    deployment: Stated
    created: int
    since: int | None
    restarts: int = 0
    last: Ending | None = None
    counted: Work = field(default_factory=Work)
    """The work at the last start: a process that starts again has consumed nothing."""


def pod_name(site: Site, component: Component) -> str:
    """Return the name of a component's pod."""
    identity = digest(f"{site.namespace}:{component.name}")
    letters = "bcdfghjklmnpqrstvwxz2456789"
    suffix = "".join(letters[int(identity[place : place + 2], 16) % 27] for place in range(10, 20, 2))
    return f"{component.name}-{_template_hash(site, component)}-{suffix}"


def _template_hash(site: Site, component: Component) -> str:
    return digest(f"{component.name}:{site.version}")[:10]


def image_of(site: Site, component: Component) -> str:
    """Return the image of a component, with its tag."""
    return f"{component.image}:{site.version}" if "kubeflow" in component.image else component.image


def identity_of_pod(site: Site, life: Life) -> str:
    """Return the UID of a component's pod."""
    return uid(site.namespace, life.pod.name, life.created)


def _stamp(site: Site, at: int) -> str:
    return rfc3339(site.time.seconds(at))


def _labels(component: Component) -> dict[str, str]:
    return {"app": component.name, "application-crd-id": "kubeflow-pipelines"}


def _template(site: Site, component: Component) -> dict[str, Any]:
    return {
        "image": image_of(site, component),
        "imagePullPolicy": "IfNotPresent",
        "name": component.container,
        "resources": {
            "limits": {"cpu": component.cpu[1], "memory": component.memory[1]},
            "requests": {"cpu": component.cpu[0], "memory": component.memory[0]},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


def component_pod(site: Site, life: Life, now: int) -> dict[str, Any]:
    """Return a component's pod as it is at `now`."""
    component, up = life.component, life.since is not None
    labels = {**_labels(component), "pod-template-hash": _template_hash(site, component)}
    spec = {
        "containers": [_template(site, component)],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "nodeName": "node-0",
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "serviceAccount": component.name,
        "serviceAccountName": component.name,
        "terminationGracePeriodSeconds": 30,
    }
    ready_since = life.since if life.since is not None else now
    not_ready = {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{component.container}]",
    }
    conditions = [
        {
            "lastProbeTime": None,
            "lastTransitionTime": _stamp(site, since),
            "status": "True" if holds else "False",
            "type": kind,
            **({} if holds else not_ready),
        }
        for kind, since, holds in (
            ("PodReadyToStartContainers", life.created, True),
            ("Initialized", life.created, True),
            ("Ready", ready_since, up),
            ("ContainersReady", ready_since, up),
            ("PodScheduled", life.created, True),
        )
    ]
    status: dict[str, Any] = {
        "conditions": conditions,
        "containerStatuses": [_container_status(site, life)],
        "hostIP": host_address("node-0"),
        "phase": "Running",
        "podIP": address(identity_of_pod(site, life)),
        "podIPs": [{"ip": address(identity_of_pod(site, life))}],
        "qosClass": "Burstable",
        "startTime": _stamp(site, life.created),
    }
    template = f"{component.name}-{_template_hash(site, component)}"
    metadata: dict[str, Any] = {
        "annotations": {MODELLED: "cpu, memory"},
        "creationTimestamp": _stamp(site, life.created),
        "generateName": f"{template}-",
        "labels": labels,
        "managedFields": [
            entry("kube-controller-manager", "Update", _stamp(site, life.created), fields_of(spec)),
            entry("kubelet", "Update", _stamp(site, ready_since), fields_of(status), "status"),
        ],
        "name": life.pod.name,
        "namespace": site.namespace,
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "blockOwnerDeletion": True,
                "controller": True,
                "kind": "ReplicaSet",
                "name": template,
                "uid": uid(site.namespace, template),
            }
        ],
        "uid": identity_of_pod(site, life),
    }
    return {"metadata": metadata, "spec": spec, "status": status}


def _container_status(site: Site, life: Life) -> dict[str, Any]:
    component, last = life.component, life.last
    ended = {"terminated": _terminated(site, life, last)} if last is not None else {}
    if life.since is not None:
        state: dict[str, Any] = {"running": {"startedAt": _stamp(site, life.since)}}
        before = ended
    else:
        state, before = ended, {}
    image = image_of(site, component)
    return {
        "containerID": f"containerd://{digest(f'{life.pod.name}:{life.restarts}')}",
        "image": image,
        "imageID": f"{component.image}@sha256:{digest(image)}",
        "lastState": before,
        "name": component.container,
        "ready": life.since is not None,
        "restartCount": life.restarts,
        "started": life.since is not None,
        "state": state,
    }


def _terminated(site: Site, life: Life, last: Ending) -> dict[str, Any]:
    return {
        "containerID": f"containerd://{digest(f'{life.pod.name}:ended:{last.ended}')}",
        "exitCode": last.code,
        "finishedAt": _stamp(site, last.ended),
        "reason": last.reason,
        "startedAt": _stamp(site, last.started),
    }


def component_deployment(site: Site, life: Life, now: int) -> dict[str, Any]:
    """Return a component's deployment as it is at `now`."""
    component = life.component
    up = int(life.since is not None)
    labels = _labels(component)
    status: dict[str, Any] = {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": up,
        "availableReplicas": up,
        "unavailableReplicas": 1 - up,
        "conditions": [
            {
                "type": "Available",
                "status": "True" if up else "False",
                "reason": "MinimumReplicasAvailable" if up else "MinimumReplicasUnavailable",
                "lastTransitionTime": _stamp(site, now),
            }
        ],
    }
    return {
        "metadata": {
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "creationTimestamp": _stamp(site, life.created),
            "generation": 1,
            "labels": labels,
            "name": component.name,
            "namespace": site.namespace,
            "uid": uid(site.namespace, "deployment", component.name),
        },
        "spec": {
            "progressDeadlineSeconds": 600,
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [_template(site, component)]},
            },
        },
        "status": {key: value for key, value in status.items() if value != 0},
    }
