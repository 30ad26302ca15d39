"""The specification of a run's pod, as Argo v4 makes it of its template: containers, environments, mounts."""

from __future__ import annotations

from typing import Any

from kfp_emulator.kubernetes.argo_template import (
    ARGO_IMAGE,
    DRIVER_IMAGE,
    DRIVER_RESOURCES,
    LAUNCHER_IMAGE,
    LAUNCHER_RESOURCES,
    MAIN_SECURITY,
    RESTRICTED,
    SCRATCH,
    SECCOMP,
    SECRET,
    PodFacts,
    argo_template,
    driver_arguments,
    encoded,
    field_of,
    main_patch,
    pod_env,
)

_Document = dict[str, Any]
_LOG_OPTIONS = ["--loglevel", "info", "--log-format", "text", "--gloglevel", "0"]
_ARGO_SECURITY: _Document = {**RESTRICTED, "runAsUser": 65532}
_TOLERATIONS = [
    {
        "effect": "NoExecute",
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
]


def pod_spec(facts: PodFacts) -> _Document:
    """Return the specification of a pod that has no node yet."""
    executor = facts.kind == "executor"
    template = encoded(argo_template(facts))
    names = ["var-run-argo", "tmp-dir-argo", *(SCRATCH if executor else ())]
    return {
        "containers": [_wait(facts), _main(facts)],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "initContainers": [_init(facts, template), *([_launcher(facts, template)] if executor else ())],
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Never",
        "schedulerName": "default-scheduler",
        "securityContext": SECCOMP if executor else {"runAsNonRoot": True, **SECCOMP},
        "serviceAccount": facts.request.service_account,
        "serviceAccountName": facts.request.service_account,
        "terminationGracePeriodSeconds": 30,
        "tolerations": _TOLERATIONS,
        "volumes": [
            *({"emptyDir": {}, "name": name} for name in names),
            {
                "name": SECRET,
                "secret": {
                    "defaultMode": 420,
                    "items": [{"key": key, "path": key} for key in ("accesskey", "secretkey")],
                    "secretName": SECRET,
                },
            },
        ],
    }


def containers_of(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the init containers and the containers of a pod."""
    return ("init", "kfp-launcher") if kind == "executor" else ("init",), ("wait", "main")


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
        env = [field_of("ARGO_POD_NAME", "metadata.name"), field_of("ARGO_POD_UID", "metadata.uid")]
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


def _secret_mount() -> _Document:
    return {"mountPath": f"/argo/secret/{SECRET}", "name": SECRET, "readOnly": True}


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
        resources=LAUNCHER_RESOURCES,
        securityContext=RESTRICTED,
        volumeMounts=[{"mountPath": "/kfp-launcher", "name": "kfp-launcher"}, _run_mount()],
    )


def _wait(facts: PodFacts) -> _Document:
    scratch = SCRATCH if facts.kind == "executor" else {}
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
    if facts.kind != "executor":
        return _container(
            "main",
            DRIVER_IMAGE if facts.kind == "driver" else LAUNCHER_IMAGE,
            args=driver_arguments(facts),
            command=[*emissary, "driver" if facts.kind == "driver" else "launcher-v2"],
            env=[*pod_env(facts), *_argo_env(facts, "main")],
            resources=DRIVER_RESOURCES,
            securityContext=RESTRICTED,
            volumeMounts=[_run_mount()],
        )
    patch = main_patch(facts)
    return _container(
        "main",
        patch["image"],
        args=patch["args"],
        command=[*emissary, *patch["command"]],
        env=[*pod_env(facts), *_argo_env(facts, "main")],
        envFrom=[{"configMapRef": {"name": "metadata-grpc-configmap", "optional": True}}],
        resources={},
        securityContext=MAIN_SECURITY,
        volumeMounts=[
            *({"mountPath": path, "name": name} for name, path in SCRATCH.items()),
            _run_mount(),
        ],
    )
