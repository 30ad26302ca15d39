"""The names of KFP's components, by the labels of their pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: KFP's components by the label `app` (or `component`) of their pods, in the order in which they are shown.
COMPONENTS = (
    "ml-pipeline",
    "ml-pipeline-persistenceagent",
    "ml-pipeline-scheduledworkflow",
    "workflow-controller",
    "mysql",
    "postgres",
    "seaweedfs",
    "minio",
    "metadata-grpc-server",
    "metadata-grpc-deployment",
    "metadata-envoy",
    "metadata-writer",
    "cache-server",
    "ml-pipeline-ui",
    "ml-pipeline-viewer-crd",
    "ml-pipeline-visualizationserver",
)
#: Those of Open Data Hub, which have the name of their installation at the end (`ds-pipeline-ui-dspa`).
OPEN_DATA_HUB = (
    "ds-pipeline-persistenceagent",
    "ds-pipeline-scheduledworkflow",
    "ds-pipeline-workflow-controller",
    "ds-pipeline-metadata-grpc",
    "ds-pipeline-metadata-envoy",
    "ds-pipeline-metadata-writer",
    "ds-pipeline-ui",
    "ds-pipeline",
    "mariadb",
    "minio",
)


def component_of(labels: Mapping[str, str]) -> str:
    """The component that a pod belongs to, without the name of an installation; empty where it is none of KFP's."""
    for label in (labels.get("app", ""), labels.get("component", "")):
        if label in COMPONENTS:
            return label
        for name in OPEN_DATA_HUB:
            if label == name or label.startswith(f"{name}-"):
                return name
    return ""
