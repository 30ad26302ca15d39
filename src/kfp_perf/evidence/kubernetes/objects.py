"""The fields of Kubernetes' objects that evidence needs; names and meanings are those of its API reference.

https://kubernetes.io/docs/reference/kubernetes-api/ (Pod v1, Event v1 core, PodMetrics of metrics.k8s.io/v1beta1).
Everything else is skipped while it is read. Times are whole seconds; a time, like any field, may be null.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  msgspec reads it

import msgspec

#: The label of KFP's pods, which names the run that a pod belongs to.
RUN_LABEL = "pipeline/runid"


class _OfKubernetes(msgspec.Struct, rename="camel", kw_only=True):
    """A part of an object."""


class Metadata(_OfKubernetes):
    """What names an object, and when it was made."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Terminated(_OfKubernetes):
    """How a container ended."""

    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    reason: str = ""


class Running(_OfKubernetes):
    """Since when a container has run."""

    started_at: datetime | None = None


class Waiting(_OfKubernetes):
    """Why a container has not started."""

    reason: str = ""


class ContainerState(_OfKubernetes):
    """What a container does: one of three."""

    running: Running | None = None
    terminated: Terminated | None = None
    waiting: Waiting | None = None


class ContainerStatus(_OfKubernetes):
    """A container now, and how it ended the last time, if it was started again."""

    name: str = ""
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None

    @property
    def ends(self) -> list[Terminated]:
        """How it ended: now, and before it was started again."""
        states = (self.state, self.last_state)
        return [one.terminated for one in states if one is not None and one.terminated is not None]

    @property
    def oom_kill(self) -> Terminated | None:
        """Its last end for its use of memory; None where none is known."""
        return next((one for one in self.ends if one.reason == "OOMKilled"), None)


class Condition(_OfKubernetes):
    """Whether something holds of a pod, and since when."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class PodStatus(_OfKubernetes):
    """The state of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Resources(_OfKubernetes):
    """What a container requests, and its limits."""

    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class Container(_OfKubernetes):
    """A container as it was specified."""

    name: str = ""
    resources: Resources | None = None


class PodSpec(_OfKubernetes):
    """A pod as it was specified, and its node."""

    node_name: str = ""
    containers: list[Container] | None = None


class Pod(_OfKubernetes):
    """A pod."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class RunPodSpec(_OfKubernetes):
    """Of a run's pod only its node is needed: its containers are most of its 18 KB."""

    node_name: str = ""


class RunPod(_OfKubernetes):
    """A pod of a run."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: RunPodSpec = msgspec.field(default_factory=RunPodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class Reference(_OfKubernetes):
    """The object that an event is about."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class Event(_OfKubernetes):
    """Something that happened to an object; a repeated one counts up and changes its last time."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    involved_object: Reference = msgspec.field(default_factory=Reference)
    reason: str = ""
    message: str = ""
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None


class ContainerUsage(_OfKubernetes):
    """What a container used."""

    name: str = ""
    usage: dict[str, str] = {}


class PodUsage(_OfKubernetes):
    """What a pod used in the `window` that ended at `timestamp`."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    timestamp: datetime | None = None
    window: str = ""
    containers: list[ContainerUsage] = []


def second_of(moment: datetime | None) -> int | None:
    """The whole second since the Unix epoch that a time lies in."""
    return None if moment is None else int(moment.timestamp())


_SUFFIXES = {
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", 1)},
    **{letter: 1000.0**power for power, letter in enumerate("kMGTPE", 1)},
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
}


def amount_of(quantity: str | None) -> float | None:
    """The number that a quantity stands for (`250m`, `512Mi`, `1e3`); None for what is none.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    text = (quantity or "").strip()
    for length in (2, 1):
        factor = _SUFFIXES.get(text[-length:])
        if factor is not None:
            text = text[:-length]
            break
    else:
        factor = 1.0
    try:
        return float(text) * factor
    except ValueError:
        return None
