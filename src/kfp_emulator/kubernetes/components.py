"""The components of the KFP installation: their deployments and pods, and what they are modelled to consume.

Nothing runs in them. CPU and memory follow a stated formula (`Consumption`) of the requests, reports, pods and
workflows that the emulator has really handled, so objects that show them carry the annotation MODELLED.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_emulator.kubernetes.identity import address, digest, host_address, uid
from kfp_emulator.kubernetes.managed_fields import entry, fields_of
from kfp_emulator.kubernetes.occurrences import Occurrence
from kfp_emulator.kubernetes.pod_document import rfc3339
from kfp_emulator.kubernetes.stated import Stated

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Clock
    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.protocol.wire import OutwardTime

MODELLED = "kfp-perf-emulator/modelled"
"""The annotation that says which figures of an object are a formula, and measured nowhere."""
OOM_KILLED = "OOMKilled"
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Consumption:
    """What a component is modelled to consume: CPU in seconds, memory in bytes.

    CPU: `idle` for each second, and so much for each request to the API, report, created pod and look of the
    workflow controller. Memory: `memory`, and so much for each workflow in flight.
    """

    idle: float
    memory: int
    request: float = 0.0
    report: float = 0.0
    pod: float = 0.0
    look: float = 0.0
    workflow_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Component:
    """A deployment of KFP: its label `app`, its container, its requests and limits, its consumption."""

    name: str
    container: str
    image: str
    cpu: tuple[str, str]
    """Request and limit."""
    memory: tuple[str, str]
    consumption: Consumption


COMPONENTS: tuple[Component, ...] = (
    Component(
        "ml-pipeline",
        "ml-pipeline-api-server",
        "ghcr.io/kubeflow/kfp-api-server",
        ("250m", "2"),
        ("500Mi", "1Gi"),
        Consumption(0.010, 90 * _MEBIBYTE, request=0.004, report=0.012, workflow_bytes=64 << 10),
    ),
    Component(
        "ml-pipeline-persistenceagent",
        "ml-pipeline-persistenceagent",
        "ghcr.io/kubeflow/kfp-persistence-agent",
        ("120m", "500m"),
        ("500Mi", "1Gi"),
        Consumption(0.005, 40 * _MEBIBYTE, report=0.004, workflow_bytes=32 << 10),
    ),
    Component(
        "ml-pipeline-scheduledworkflow",
        "ml-pipeline-scheduledworkflow",
        "ghcr.io/kubeflow/kfp-scheduled-workflow-controller",
        ("120m", "500m"),
        ("100Mi", "200Mi"),
        Consumption(0.003, 30 * _MEBIBYTE),
    ),
    Component(
        "workflow-controller",
        "workflow-controller",
        "quay.io/argoproj/workflow-controller",
        ("100m", "1"),
        ("500Mi", "1Gi"),
        Consumption(0.015, 80 * _MEBIBYTE, look=0.010, pod=0.004, workflow_bytes=128 << 10),
    ),
    Component(
        "mysql",
        "mysql",
        "mysql",
        ("100m", "1"),
        ("800Mi", "2Gi"),
        Consumption(0.012, 420 * _MEBIBYTE, request=0.001, report=0.005),
    ),
    Component(
        "seaweedfs",
        "seaweedfs",
        "chrislusf/seaweedfs",
        ("100m", "500m"),
        ("200Mi", "1Gi"),
        Consumption(0.006, 110 * _MEBIBYTE, pod=0.005),
    ),
    Component(
        "cache-server",
        "server",
        "ghcr.io/kubeflow/kfp-cache-server",
        ("30m", "200m"),
        ("100Mi", "200Mi"),
        Consumption(0.002, 25 * _MEBIBYTE, pod=0.001),
    ),
    Component(
        "metadata-grpc-deployment",
        "container",
        "gcr.io/tfx-oss-public/ml_metadata_store_server",
        ("100m", "500m"),
        ("100Mi", "500Mi"),
        Consumption(0.004, 30 * _MEBIBYTE, pod=0.003),
    ),
)
"""Requests as in KFP's manifests; those have hardly any limits, so the limits are the emulator's."""


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


class Components:
    """The components of one installation.

    Args:
        journal: receives their changes.
        clock: says when a container that was ended runs again.
        time: the cluster's own clock.
        namespace: that of the installation.
        version: of KFP, the tag of its images.
        work: what was handled so far.

    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        time: OutwardTime,
        namespace: str,
        version: str,
        work: Callable[[], Work],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._time = time
        self._namespace = namespace
        self._version = version
        self._work = work
        self._lives: dict[str, Life] = {}
        now = clock.now()
        for number, component in enumerate(COMPONENTS):
            life = Life(
                component,
                Stated("pods", namespace, self._pod_name(component)),
                Stated("deployments", namespace, component.name),
                now,
                now,
            )
            self._lives[component.name] = life
            self._state(life, number, [])

    def names(self) -> tuple[str, ...]:
        """Return the names of all components."""
        return tuple(self._lives)

    def life(self, name: str) -> Life:
        """Return a component's life.

        Raises:
            KeyError: there is no such component.

        """
        return self._lives[name]

    def of_pod(self, pod: Stated) -> Life | None:
        """Return the component whose pod this is."""
        return next((life for life in self._lives.values() if life.pod is pod), None)

    def went_down(self, name: str, reason: str = "Error", code: int = 1) -> None:
        """End a component's container; it stays down until it comes up."""
        life = self._lives[name]
        if life.since is None:
            return
        now = self._clock.now()
        life.last = Ending(reason, code, life.since, now)
        life.since = None
        container = life.component.container
        text = (
            f"Back-off restarting failed container {container} in pod "
            f"{life.pod.name}_{self._namespace}({self._uid(life)})"
        )
        self._state(life, None, [self._occurrence(life, "BackOff", text, kind="Warning")])

    def came_up(self, name: str) -> None:
        """Start the container of a component that is down."""
        life = self._lives[name]
        if life.since is not None:
            return
        life.since = self._clock.now()
        life.restarts += 1
        life.counted = self._work()
        container, image = life.component.container, self._image(life.component)
        texts = {
            "Pulled": f'Container image "{image}" already present on machine',
            "Created": f"Created container {container}",
            "Started": f"Started container {container}",
        }
        self._state(life, None, [self._occurrence(life, reason, text) for reason, text in texts.items()])

    def cpu_seconds(self, life: Life, work: Work) -> float:
        """Return the CPU time that a component's process is modelled to have taken since its start."""
        if life.since is None:
            return 0.0
        rate, before = life.component.consumption, life.counted
        return (
            rate.idle * (self._clock.now() - life.since) / 1e6
            + rate.request * (work.requests - before.requests)
            + rate.report * (work.reports - before.reports)
            + rate.pod * (work.pods - before.pods)
            + rate.look * (work.looks - before.looks)
        )

    def memory_bytes(self, life: Life, work: Work) -> int:
        """Return the memory that a component is modelled to take now."""
        if life.since is None:
            return 0
        rate = life.component.consumption
        return rate.memory + rate.workflow_bytes * work.in_flight

    # --- documents

    def _pod_name(self, component: Component) -> str:
        identity = digest(f"{self._namespace}:{component.name}")
        letters = "bcdfghjklmnpqrstvwxz2456789"
        suffix = "".join(letters[int(identity[place : place + 2], 16) % 27] for place in range(10, 20, 2))
        return f"{component.name}-{self._template_hash(component)}-{suffix}"

    def _template_hash(self, component: Component) -> str:
        return digest(f"{component.name}:{self._version}")[:10]

    def _image(self, component: Component) -> str:
        return f"{component.image}:{self._version}" if "kubeflow" in component.image else component.image

    def _uid(self, life: Life) -> str:
        return uid(self._namespace, life.pod.name, life.created)

    def _stamp(self, at: int) -> str:
        return rfc3339(self._time.seconds(at))

    def _occurrence(self, life: Life, reason: str, text: str, kind: str = "Normal") -> Occurrence:
        path = f"spec.containers{{{life.component.container}}}"
        return Occurrence(reason, text, "kubelet", self._clock.now(), "node-0", path, kind)

    def _state(self, life: Life, _number: int | None, occurrences: list[Occurrence]) -> None:
        life.pod.state(self._journal, self._pod(life), occurrences)
        life.deployment.state(self._journal, self._deployment(life))

    def _labels(self, component: Component) -> dict[str, str]:
        return {"app": component.name, "application-crd-id": "kubeflow-pipelines"}

    def _template(self, component: Component) -> dict[str, Any]:
        return {
            "image": self._image(component),
            "imagePullPolicy": "IfNotPresent",
            "name": component.container,
            "resources": {
                "limits": {"cpu": component.cpu[1], "memory": component.memory[1]},
                "requests": {"cpu": component.cpu[0], "memory": component.memory[0]},
            },
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }

    def _pod(self, life: Life) -> dict[str, Any]:
        component, up = life.component, life.since is not None
        labels = {**self._labels(component), "pod-template-hash": self._template_hash(component)}
        spec = {
            "containers": [self._template(component)],
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
        ready_since = life.since if life.since is not None else self._clock.now()
        not_ready = {
            "reason": "ContainersNotReady",
            "message": f"containers with unready status: [{component.container}]",
        }
        conditions = [
            {
                "lastProbeTime": None,
                "lastTransitionTime": self._stamp(since),
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
            "containerStatuses": [self._container_status(life)],
            "hostIP": host_address("node-0"),
            "phase": "Running",
            "podIP": address(self._uid(life)),
            "podIPs": [{"ip": address(self._uid(life))}],
            "qosClass": "Burstable",
            "startTime": self._stamp(life.created),
        }
        template = f"{component.name}-{self._template_hash(component)}"
        metadata: dict[str, Any] = {
            "annotations": {MODELLED: "cpu, memory"},
            "creationTimestamp": self._stamp(life.created),
            "generateName": f"{template}-",
            "labels": labels,
            "managedFields": [
                entry("kube-controller-manager", "Update", self._stamp(life.created), fields_of(spec)),
                entry("kubelet", "Update", self._stamp(ready_since), fields_of(status), "status"),
            ],
            "name": life.pod.name,
            "namespace": self._namespace,
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": "ReplicaSet",
                    "name": template,
                    "uid": uid(self._namespace, template),
                }
            ],
            "uid": self._uid(life),
        }
        return {"metadata": metadata, "spec": spec, "status": status}

    def _container_status(self, life: Life) -> dict[str, Any]:
        component, last = life.component, life.last
        ended = {"terminated": self._terminated(life, last)} if last is not None else {}
        if life.since is not None:
            state: dict[str, Any] = {"running": {"startedAt": self._stamp(life.since)}}
            before = ended
        else:
            state, before = ended, {}
        image = self._image(component)
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

    def _terminated(self, life: Life, last: Ending) -> dict[str, Any]:
        return {
            "containerID": f"containerd://{digest(f'{life.pod.name}:ended:{last.ended}')}",
            "exitCode": last.code,
            "finishedAt": self._stamp(last.ended),
            "reason": last.reason,
            "startedAt": self._stamp(last.started),
        }

    def _deployment(self, life: Life) -> dict[str, Any]:
        component = life.component
        up = int(life.since is not None)
        labels = self._labels(component)
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
                    "lastTransitionTime": self._stamp(self._clock.now()),
                }
            ],
        }
        return {
            "metadata": {
                "annotations": {"deployment.kubernetes.io/revision": "1"},
                "creationTimestamp": self._stamp(life.created),
                "generation": 1,
                "labels": labels,
                "name": component.name,
                "namespace": self._namespace,
                "uid": uid(self._namespace, "deployment", component.name),
            },
            "spec": {
                "progressDeadlineSeconds": 600,
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "selector": {"matchLabels": labels},
                "strategy": {"type": "RollingUpdate"},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [self._template(component)]},
                },
            },
            "status": {key: value for key, value in status.items() if value != 0},
        }


__all__ = ["COMPONENTS", "MODELLED", "OOM_KILLED", "Component", "Components", "Consumption", "Work"]
