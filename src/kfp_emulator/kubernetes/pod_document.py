"""A run's pod as a Kubernetes object."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.kubernetes.argo_template import PodFacts
from kfp_emulator.kubernetes.identity import uid
from kfp_emulator.kubernetes.managed_fields import entry, fields_of
from kfp_emulator.kubernetes.pod_spec import pod_spec
from kfp_emulator.kubernetes.pod_stages import SCHEDULED, TERMINATING
from kfp_emulator.kubernetes.pod_status import pod_status, stamp

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.run_pod import RunPod

_GRACE_SECONDS = 30
_ENCODED_SPECIFICATIONS = 1024
"""Of how many pods the specification is kept encoded: 12 MB or so, and only once someone reads."""
_fields_by_kind: dict[tuple[str, str], msgspec.Raw] = {}
"""Managed fields, which depend on nothing but a pod's kind and template, or its stage."""


def pod_document(pod: RunPod, place: int) -> dict[str, Any]:
    """Return the pod as it was in a version."""
    stage = pod.stage(place)
    spec, fields = _specification(pod)
    if pod.node and stage >= SCHEDULED:
        spec = spec[:-1] + f',"nodeName":"{pod.node}"}}'.encode()
    status = pod_status(pod, stage)
    managed = [entry("workflow-controller", "Update", stamp(pod, pod.created), fields)]
    if stage > SCHEDULED:
        kubelet = _kubelet_fields(pod, stage, status)
        managed.append(entry("kubelet", "Update", stamp(pod, pod.versions[place].at), kubelet, "status"))
    return {"metadata": _metadata(pod, place, managed), "spec": msgspec.Raw(spec), "status": status}


@lru_cache(maxsize=_ENCODED_SPECIFICATIONS)
def _specification(pod: RunPod) -> tuple[bytes, msgspec.Raw]:
    """Return a pod's specification without its node, and its managed fields: both stay as they are."""
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
            stamp(pod, pod.created),
        )
    )
    fields = _fields_by_kind.get((pod.kind, pod.template))
    if fields is None:
        fields = _encoded({"f:metadata": _METADATA_FIELDS, "f:spec": fields_of(spec)})
        _fields_by_kind[pod.kind, pod.template] = fields
    return msgspec.json.encode(spec), fields


def _kubelet_fields(pod: RunPod, stage: int, status: dict[str, Any]) -> msgspec.Raw:
    key = (pod.kind, f"{stage} {pod.phase}")
    fields = _fields_by_kind.get(key)
    if fields is None:
        fields = _fields_by_kind[key] = _encoded({"f:status": fields_of(status)})
    return fields


def _encoded(document: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(document))


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
