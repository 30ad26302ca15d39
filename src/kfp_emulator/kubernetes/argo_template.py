"""The Argo template of a run's pod, as KFP 2.17 compiles it, and what drivers and executors are called with.

Names, images, arguments and limits are those of pods that were recorded on a real installation. What a driver works
out while it runs (execution ids, fingerprints) is made up or empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.cluster.frames import DAG_DRIVER

if TYPE_CHECKING:
    from kfp_emulator.cluster.requests import RunRequest
    from kfp_emulator.pipelines.plans import TaskPlan

ARGO_IMAGE = "quay.io/argoproj/argoexec:v4.0.5"
LAUNCHER_IMAGE = "ghcr.io/kubeflow/kfp-launcher:2.17.0"
DRIVER_IMAGE = "ghcr.io/kubeflow/kfp-driver:2.17.0"
_Document = dict[str, Any]
SCRATCH = {
    "kfp-launcher": "/kfp-launcher",
    "gcs-scratch": "/gcs",
    "s3-scratch": "/s3",
    "minio-scratch": "/minio",
    "dot-local-scratch": "/.local",
    "dot-cache-scratch": "/.cache",
    "dot-config-scratch": "/.config",
}
SECRET = "mlpipeline-minio-artifact"  # noqa: S105  the name of a Kubernetes object
_ANNOTATIONS = {"pipelines.kubeflow.org/v2_component": "true", "sidecar.istio.io/inject": "false"}
SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED: _Document = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    **SECCOMP,
}
MAIN_SECURITY: _Document = {key: value for key, value in RESTRICTED.items() if key != "runAsNonRoot"}
DRIVER_RESOURCES = {
    "limits": {"cpu": "500m", "memory": "512Mi"},
    "requests": {"cpu": "100m", "memory": "64Mi"},
}
LAUNCHER_RESOURCES = {
    "limits": {"cpu": "500m", "memory": "256Mi"},
    "requests": {"cpu": "100m", "memory": "256Mi"},
}


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the specification of a pod is made from; `created` is RFC 3339."""

    plan: TaskPlan
    inputs: dict[str, Any]
    request: RunRequest
    name: str
    kind: str
    template: str
    workflow: str
    workflow_uid: str
    node_id: str
    created: str


def encoded(document: object) -> str:
    """Return a document as JSON text."""
    return msgspec.json.encode(document).decode()


def field_of(name: str, path: str) -> _Document:
    """Return an environment variable that is a field of its pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def pod_env(facts: PodFacts) -> list[_Document]:
    """Return what KFP itself puts into the environment of a main container; drivers of DAGs get nothing."""
    if facts.template == DAG_DRIVER:
        return []
    return [field_of("KFP_POD_NAME", "metadata.name"), field_of("KFP_POD_UID", "metadata.uid")]


def _component(facts: PodFacts) -> _Document:
    pipeline, name = facts.request.pipeline, facts.plan.component.name
    return pipeline.components.get(name, {}) if name != "root" else pipeline.root


def _executor_of(facts: PodFacts) -> _Document:
    label = _component(facts).get("executorLabel", "")
    found: _Document = facts.request.pipeline.executors.get(label, {}).get("container", {})
    return found


def _pipeline_name(facts: PodFacts) -> str:
    return facts.request.pipeline_name or facts.request.pipeline.name


def main_patch(facts: PodFacts) -> _Document:
    """Return what the driver changed in the executor's container."""
    container = _executor_of(facts)
    executor_input = {
        "inputs": {"parameterValues": facts.inputs},
        "outputs": {"outputFile": "/tmp/kfp_outputs/output_metadata.json", "parameters": {}},  # noqa: S108
    }
    return {
        "name": "main",
        "image": container.get("image", ""),
        "command": [
            "launcher-v2",
            *("--pipeline_name", _pipeline_name(facts)),
            *("--run_id", facts.request.run_id),
            *("--execution_id", str(_execution_id(facts))),
            *("--executor_input", encoded(executor_input)),
            *("--component_spec", encoded(_component(facts))),
            *("--task_name", facts.plan.name),
            *("--pod_name", "$(KFP_POD_NAME)"),
            *("--pod_uid", "$(KFP_POD_UID)"),
            *("--fingerprint", ""),
            "--",
            *container.get("command", ()),
        ],
        "args": list(container.get("args", ())),
        "env": [],
        "resources": {},
    }


def _execution_id(facts: PodFacts) -> int:
    return int(facts.node_id.rpartition("-")[2] or 0) % 1_000_000_000 if facts.node_id[-1:].isdigit() else 0


def driver_arguments(facts: PodFacts) -> list[str]:
    """Return the arguments of a driver."""
    request, plan = facts.request, facts.plan
    root, container = plan.component.name == "root", plan.component.kind == "container"
    task = (
        ""
        if root
        else encoded(
            {
                "cachingOptions": {"enableCache": True} if plan.cache else {},
                "componentRef": {"name": plan.component.name},
                "taskInfo": {"name": plan.name},
            }
        )
    )
    arguments = {
        "--type": "ROOT_DAG" if root else "CONTAINER" if container else "DAG",
        "--pipeline_name": _pipeline_name(facts),
        "--run_id": request.run_id,
        "--run_name": facts.workflow,
        "--run_display_name": request.name,
        "--pipeline_job_create_time_utc": facts.created,
        "--dag_execution_id": "0" if root else str(_execution_id(facts)),
        "--component": encoded(_component(facts)),
        "--task": task,
        "--task_name": "" if root else plan.name,
    }
    if container:
        arguments["--container"] = encoded(_executor_of(facts))
    else:
        config = {"parameterValues": request.parameters}
        arguments["--runtime_config"] = encoded(config) if root else ""
    arguments["--iteration_index"] = "-1"
    outputs = (
        ("cached_decision", "pod_spec_patch", "condition")
        if container
        else ("execution_id", "iteration_count", "condition")
    )
    for name in outputs:
        arguments[f"--{name}_path"] = "/tmp/outputs/" + name.replace("_", "-")  # noqa: S108
    if container:
        arguments["--kubernetes_config"] = ""
    arguments |= {
        "--http_proxy": "",
        "--https_proxy": "",
        "--no_proxy": "",
        "--ml_pipeline_server_address": f"ml-pipeline.{request.namespace}.svc.cluster.local",
        "--ml_pipeline_server_port": "8887",
        "--mlmd_server_address": f"metadata-grpc-service.{request.namespace}.svc.cluster.local",
        "--mlmd_server_port": "8080",
        "--log_level": "1",
        "--publish_logs": "true",
    }
    return [word for pair in arguments.items() for word in pair]


def argo_template(facts: PodFacts) -> _Document:
    """Return the Argo template that the init container gets in its environment."""
    executor = facts.kind == "executor"
    role = "launcher" if executor else "driver"
    template: _Document = {
        "name": facts.template,
        "inputs": {},
        "outputs": {} if executor else {"parameters": _output_parameters(facts)},
        "metadata": {
            "annotations": {"pipelines.kubeflow.org/runtime-role": role, **_ANNOTATIONS},
            "labels": {
                "pipeline/runid": facts.request.run_id,
                "pipelines.kubeflow.org/v2_component": "true",
            },
        },
        "container": _template_container(facts),
        "archiveLocation": _archive(facts),
        "retryStrategy": {"limit": "2", "retryPolicy": "OnError"},
        "securityContext": SECCOMP if executor else {"runAsNonRoot": True, **SECCOMP},
    }
    if executor:
        template["volumes"] = [{"name": name, "emptyDir": {}} for name in SCRATCH]
        template["initContainers"] = [
            {
                "name": "kfp-launcher",
                "image": LAUNCHER_IMAGE,
                "command": ["launcher-v2"],
                "args": ["--copy", "/kfp-launcher/launch", "--log_level", "1", "--publish_logs", "true"],
                "resources": LAUNCHER_RESOURCES,
                "volumeMounts": [{"name": "kfp-launcher", "mountPath": "/kfp-launcher"}],
                "securityContext": RESTRICTED,
            }
        ]
        template["podSpecPatch"] = encoded({"containers": [main_patch(facts)]})
    return template


def _template_container(facts: PodFacts) -> _Document:
    env = {"env": found} if (found := pod_env(facts)) else {}
    if facts.kind != "executor":
        return {
            "name": "",
            "image": DRIVER_IMAGE,
            "command": ["driver"],
            "args": driver_arguments(facts),
            **env,
            "resources": DRIVER_RESOURCES,
            "securityContext": RESTRICTED,
        }
    return {
        "name": "",
        "image": "gcr.io/ml-pipeline/should-be-overridden-during-runtime",
        "command": ["should-be-overridden-during-runtime"],
        "envFrom": [{"configMapRef": {"name": "metadata-grpc-configmap", "optional": True}}],
        **env,
        "resources": {},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in SCRATCH.items()],
        "securityContext": MAIN_SECURITY,
    }


def _output_parameters(facts: PodFacts) -> list[_Document]:
    defaults = (
        {"pod-spec-patch": "", "cached-decision": "false", "condition": "true"}
        if facts.plan.component.kind == "container"
        else {"execution-id": "", "iteration-count": "0", "condition": "true"}
    )
    return [
        {"name": name, "valueFrom": {"path": f"/tmp/outputs/{name}", "default": default}}  # noqa: S108
        for name, default in defaults.items()
    ]


def _archive(facts: PodFacts) -> _Document:
    day = facts.created[:10].replace("-", "/")
    key = f"private-artifacts/{facts.request.namespace}/{facts.workflow}/{day}/{facts.name}"
    return {
        "archiveLogs": True,
        "s3": {
            "endpoint": f"seaweedfs.{facts.request.namespace}:9000",
            "bucket": "mlpipeline",
            "insecure": True,
            "accessKeySecret": {"name": SECRET, "key": "accesskey"},
            "secretKeySecret": {"name": SECRET, "key": "secretkey"},
            "key": key,
        },
    }
