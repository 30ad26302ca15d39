"""The specification of a run's pod, as Argo v4 makes it of what the compiler of KFP 2.17 writes.

Names, images, arguments, mounts and limits are those of pods that were recorded on a real installation. What a
driver works out while it runs (execution ids, fingerprints) is made up or empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from kfp_emulator.cluster.requests import RunRequest
    from kfp_emulator.pipelines.plans import TaskPlan

ARGO_IMAGE = "quay.io/argoproj/argoexec:v4.0.5"
LAUNCHER_IMAGE = "ghcr.io/kubeflow/kfp-launcher:2.17.0"
DRIVER_IMAGE = "ghcr.io/kubeflow/kfp-driver:2.17.0"

_Document = dict[str, Any]
_LOG_OPTIONS = ["--loglevel", "info", "--log-format", "text", "--gloglevel", "0"]
_SCRATCH = {
    "kfp-launcher": "/kfp-launcher",
    "gcs-scratch": "/gcs",
    "s3-scratch": "/s3",
    "minio-scratch": "/minio",
    "dot-local-scratch": "/.local",
    "dot-cache-scratch": "/.cache",
    "dot-config-scratch": "/.config",
}
_SECRET = "mlpipeline-minio-artifact"  # noqa: S105  the name of a Kubernetes object
_ANNOTATIONS = {"pipelines.kubeflow.org/v2_component": "true", "sidecar.istio.io/inject": "false"}
_SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
_RESTRICTED: _Document = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    **_SECCOMP,
}
_ARGO_SECURITY: _Document = {**_RESTRICTED, "runAsUser": 65532}
_MAIN_SECURITY: _Document = {key: value for key, value in _RESTRICTED.items() if key != "runAsNonRoot"}
_DRIVER_RESOURCES = {
    "limits": {"cpu": "500m", "memory": "512Mi"},
    "requests": {"cpu": "100m", "memory": "64Mi"},
}
_LAUNCHER_RESOURCES = {
    "limits": {"cpu": "500m", "memory": "256Mi"},
    "requests": {"cpu": "100m", "memory": "256Mi"},
}
_TOLERATIONS = [
    {
        "effect": "NoExecute",
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
]


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


def pod_spec(facts: PodFacts) -> _Document:
    """Return the specification of a pod that has no node yet."""
    executor = facts.kind == "executor"
    template = _json(_template(facts))
    names = ["var-run-argo", "tmp-dir-argo", *(_SCRATCH if executor else ())]
    return {
        "containers": [_wait(facts), _main(facts)],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "initContainers": [_init(facts, template), *([_launcher(facts, template)] if executor else ())],
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Never",
        "schedulerName": "default-scheduler",
        "securityContext": _SECCOMP if executor else {"runAsNonRoot": True, **_SECCOMP},
        "serviceAccount": facts.request.service_account,
        "serviceAccountName": facts.request.service_account,
        "terminationGracePeriodSeconds": 30,
        "tolerations": _TOLERATIONS,
        "volumes": [
            *({"emptyDir": {}, "name": name} for name in names),
            {
                "name": _SECRET,
                "secret": {
                    "defaultMode": 420,
                    "items": [{"key": key, "path": key} for key in ("accesskey", "secretkey")],
                    "secretName": _SECRET,
                },
            },
        ],
    }


def containers_of(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the init containers and the containers of a pod."""
    return ("init", "kfp-launcher") if kind == "executor" else ("init",), ("wait", "main")


def _json(document: object) -> str:
    return msgspec.json.encode(document).decode()


def _container(name: str, image: str, **fields: Any) -> _Document:
    return {
        **fields,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "name": name,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


def _argo_env(facts: PodFacts, container: str, template: str = "", *, own: bool = False) -> list[_Document]:
    """Return what Argo puts into the environment of a container; `own` of one of its own."""
    env: list[_Document] = []
    if own:
        env = [_field("ARGO_POD_NAME", "metadata.name"), _field("ARGO_POD_UID", "metadata.uid")]
        env.append({"name": "ARGO_WORKFLOW_NAME", "value": facts.workflow})
        env.append({"name": "ARGO_WORKFLOW_UID", "value": facts.workflow_uid})
        if container == "wait":
            env.append({"name": "ARGO_ARTIFACT_PLUGIN_NAMES"})
    values = {
        "ARGO_CONTAINER_NAME": container,
        "ARGO_TEMPLATE": template,
        "ARGO_NODE_ID": facts.node_id,
        "ARGO_INCLUDE_SCRIPT_OUTPUT": "false",
        "ARGO_DEADLINE": "0001-01-01T00:00:00Z",
        "ARGO_PROGRESS_FILE": "/var/run/argo/progress",
        "ARGO_PROGRESS_PATCH_TICK_DURATION": "1m0s",
        "ARGO_PROGRESS_FILE_TICK_DURATION": "3s",
    }
    env.extend({"name": name, "value": value} for name, value in values.items() if value)
    return env


def _field(name: str, path: str, *, version: bool = True) -> _Document:
    reference = {"apiVersion": "v1", "fieldPath": path} if version else {"fieldPath": path}
    return {"name": name, "valueFrom": {"fieldRef": reference}}


def _secret_mount() -> _Document:
    return {"mountPath": f"/argo/secret/{_SECRET}", "name": _SECRET, "readOnly": True}


def _run_mount() -> _Document:
    return {"mountPath": "/var/run/argo", "name": "var-run-argo"}


def _init(facts: PodFacts, template: str) -> _Document:
    return _container(
        "init",
        ARGO_IMAGE,
        command=["argoexec", "init", *_LOG_OPTIONS],
        env=_argo_env(facts, "init", template, own=True),
        resources={},
        securityContext=_ARGO_SECURITY,
        volumeMounts=[_secret_mount(), _run_mount()],
    )


def _launcher(facts: PodFacts, template: str) -> _Document:
    return _container(
        "kfp-launcher",
        LAUNCHER_IMAGE,
        args=["--copy", "/kfp-launcher/launch", "--log_level", "1", "--publish_logs", "true"],
        command=["launcher-v2"],
        env=_argo_env(facts, "kfp-launcher", template),
        resources=_LAUNCHER_RESOURCES,
        securityContext=_RESTRICTED,
        volumeMounts=[{"mountPath": "/kfp-launcher", "name": "kfp-launcher"}, _run_mount()],
    )


def _wait(facts: PodFacts) -> _Document:
    scratch = _SCRATCH if facts.kind == "executor" else {}
    mirrored = [{"mountPath": f"/mainctrfs{path}", "name": name} for name, path in scratch.items()]
    return _container(
        "wait",
        ARGO_IMAGE,
        command=["argoexec", "wait", *_LOG_OPTIONS],
        env=_argo_env(facts, "wait", own=True),
        resources={},
        securityContext=_ARGO_SECURITY,
        volumeMounts=[
            _secret_mount(),
            *mirrored,
            {"mountPath": "/tmp", "name": "tmp-dir-argo", "subPath": "0"},  # noqa: S108  a path in a container
            _run_mount(),
        ],
    )


def _main(facts: PodFacts) -> _Document:
    emissary = ["/var/run/argo/argoexec", "emissary", *_LOG_OPTIONS, "--"]
    pod_env = [_field("KFP_POD_NAME", "metadata.name"), _field("KFP_POD_UID", "metadata.uid")]
    if facts.kind != "executor":
        return _container(
            "main",
            DRIVER_IMAGE if facts.kind == "driver" else LAUNCHER_IMAGE,
            args=_driver_arguments(facts),
            command=[*emissary, "driver" if facts.kind == "driver" else "launcher-v2"],
            env=[*pod_env, *_argo_env(facts, "main")],
            resources=_DRIVER_RESOURCES,
            securityContext=_RESTRICTED,
            volumeMounts=[_run_mount()],
        )
    patch = _main_patch(facts)
    return _container(
        "main",
        patch["image"],
        args=patch["args"],
        command=[*emissary, *patch["command"]],
        env=[*pod_env, *_argo_env(facts, "main")],
        envFrom=[{"configMapRef": {"name": "metadata-grpc-configmap", "optional": True}}],
        resources={},
        securityContext=_MAIN_SECURITY,
        volumeMounts=[
            *({"mountPath": path, "name": name} for name, path in _SCRATCH.items()),
            _run_mount(),
        ],
    )


def _component(facts: PodFacts) -> _Document:
    pipeline, name = facts.request.pipeline, facts.plan.component.name
    return pipeline.components.get(name, {}) if name != "root" else pipeline.root


def _executor_of(facts: PodFacts) -> _Document:
    label = _component(facts).get("executorLabel", "")
    found: _Document = facts.request.pipeline.executors.get(label, {}).get("container", {})
    return found


def _pipeline_name(facts: PodFacts) -> str:
    return facts.request.pipeline_name or facts.request.pipeline.name


def _main_patch(facts: PodFacts) -> _Document:
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
            *("--executor_input", _json(executor_input)),
            *("--component_spec", _json(_component(facts))),
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


def _driver_arguments(facts: PodFacts) -> list[str]:
    request, plan = facts.request, facts.plan
    root, container = plan.component.name == "root", plan.component.kind == "container"
    task = (
        ""
        if root
        else _json(
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
        "--component": _json(_component(facts)),
        "--task": task,
        "--task_name": "" if root else plan.name,
    }
    if root:
        arguments["--runtime_config"] = _json({"parameterValues": request.parameters})
    if container:
        arguments["--container"] = _json(_executor_of(facts))
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


def _template(facts: PodFacts) -> _Document:
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
        "securityContext": _SECCOMP if executor else {"runAsNonRoot": True, **_SECCOMP},
    }
    if executor:
        template["volumes"] = [{"name": name, "emptyDir": {}} for name in _SCRATCH]
        template["initContainers"] = [
            {
                "name": "kfp-launcher",
                "image": LAUNCHER_IMAGE,
                "command": ["launcher-v2"],
                "args": ["--copy", "/kfp-launcher/launch", "--log_level", "1", "--publish_logs", "true"],
                "resources": _LAUNCHER_RESOURCES,
                "volumeMounts": [{"name": "kfp-launcher", "mountPath": "/kfp-launcher"}],
                "securityContext": _RESTRICTED,
            }
        ]
        template["podSpecPatch"] = _json({"containers": [_main_patch(facts)]})
    return template


def _template_container(facts: PodFacts) -> _Document:
    env = [
        _field(name, path, version=False)
        for name, path in (("KFP_POD_NAME", "metadata.name"), ("KFP_POD_UID", "metadata.uid"))
    ]
    if facts.kind != "executor":
        return {
            "name": "",
            "image": DRIVER_IMAGE,
            "command": ["driver"],
            "args": _driver_arguments(facts),
            "env": env,
            "resources": _DRIVER_RESOURCES,
            "securityContext": _RESTRICTED,
        }
    return {
        "name": "",
        "image": "gcr.io/ml-pipeline/should-be-overridden-during-runtime",
        "command": ["should-be-overridden-during-runtime"],
        "envFrom": [{"configMapRef": {"name": "metadata-grpc-configmap", "optional": True}}],
        "env": env,
        "resources": {},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in _SCRATCH.items()],
        "securityContext": _MAIN_SECURITY,
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
            "accessKeySecret": {"name": _SECRET, "key": "accesskey"},
            "secretKeySecret": {"name": _SECRET, "key": "secretkey"},
            "key": key,
        },
    }


__all__ = [
    "ARGO_IMAGE",
    "DRIVER_IMAGE",
    "LAUNCHER_IMAGE",
    "PodFacts",
    "containers_of",
    "pod_spec",
]
