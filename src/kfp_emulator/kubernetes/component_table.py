"""The components of a KFP installation, and the formula of what each is modelled to consume."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

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


def components_of(version: str) -> tuple[Component, ...]:
    """Return the components of a release of KFP: before 2.15 the object store is MinIO."""
    found = re.match(r"v?([0-9]{1,9})\.([0-9]{1,9})", version)
    if found is None or (int(found[1]), int(found[2])) >= (2, 15):
        return COMPONENTS
    return tuple(
        replace(each, name="minio", container="minio", image="gcr.io/ml-pipeline/minio")
        if each.name == "seaweedfs"
        else each
        for each in COMPONENTS
    )
