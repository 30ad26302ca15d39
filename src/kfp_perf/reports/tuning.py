"""The settings of KFP, Argo Workflows and Kubernetes that govern each phase; docs/tuning.md is made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Setting(NamedTuple):
    """A setting: where it is, its name, its default, what it limits, and the source of all that."""

    component: str
    name: str
    default: str
    effect: str
    source: str


_KFP = "https://github.com/kubeflow/pipelines/blob/master/backend/src"
_ARGO = "https://argo-workflows.readthedocs.io/en/latest"
_KUBERNETES = "https://kubernetes.io/docs"

_API_CLIENT = Setting(
    "the KFP API server",
    "ClientQPS, ClientBurst",
    "5 a second, 10",
    "The rate of its Kubernetes client. CreateRun makes one request, the final report of a run two, and "
    "DeleteRun one: they share it, so about 100 runs a minute are the ceiling.",
    f"{_KFP}/apiserver/client_manager/client_manager.go",
)
_API_CPU = Setting(
    "the KFP API server",
    "resources.limits, replicas",
    "by the manifests",
    "CPU for compiling pipelines and for reads; a second replica has a Kubernetes client of its own.",
    f"{_KUBERNETES}/concepts/configuration/manage-resources-containers/",
)
_ARGO_WORKERS = Setting(
    "Argo's workflow controller",
    "--workflow-workers",
    "32",
    "How many workflows it works on at once.",
    f"{_ARGO}/scaling/",
)
_ARGO_CLIENT = Setting(
    "Argo's workflow controller",
    "--qps, --burst",
    "20 a second, 30",
    "The rate of its Kubernetes client. A run of one task needs some 40 requests, most of them events.",
    f"{_ARGO}/scaling/",
)
_ARGO_REQUEUE = Setting(
    "Argo's workflow controller",
    "DEFAULT_REQUEUE_TIME",
    "10 s",
    "How long a workflow waits before the controller looks at it again. Each step of a run costs up to one such "
    "wait.",
    f"{_ARGO}/environment-variables/",
)
_ARGO_PARALLELISM = Setting(
    "Argo's workflow controller",
    "parallelism, namespaceParallelism, resourceRateLimit",
    "no limit",
    "How many workflows run at once, and how fast pods are created.",
    f"{_ARGO}/workflow-controller-configmap/",
)
_TASKS = Setting(
    "the pipeline",
    "set_cpu_limit, set_memory_limit",
    "no limit",
    "What the tasks do themselves, and the resources that they ask for: a pod that fits nowhere stays Pending.",
    "https://kubeflow-pipelines.readthedocs.io/en/stable/source/dsl.html",
)
_PODS_PER_NODE = Setting(
    "the kubelet",
    "maxPods",
    "110",
    "How many pods a node takes. Drivers take places as well as the tasks themselves.",
    f"{_KUBERNETES}/reference/config-api/kubelet-config.v1beta1/",
)
_QUOTA = Setting(
    "the namespace",
    "ResourceQuota",
    "none",
    "How many pods, and how much CPU and memory, its runs may have; a task that asks for more than is left waits.",
    f"{_KUBERNETES}/concepts/policy/resource-quotas/",
)
_IMAGE_PULLS = Setting(
    "the kubelet",
    "serializeImagePulls",
    "true",
    "Whether a node pulls one image at a time. A pod waits for its image on a node that has not got it.",
    f"{_KUBERNETES}/concepts/containers/images/",
)
_AGENT_WORKERS = Setting(
    "the KFP persistence agent",
    "--numWorker",
    "2",
    "How many runs it reports at once. Each report waits for the API server, and so for its Kubernetes client.",
    f"{_KFP}/agent/persistence/main.go",
)
_AGENT_CLIENT = Setting(
    "the KFP persistence agent",
    "--clientQPS, --clientBurst",
    "5 a second, 10",
    "The rate of its Kubernetes client.",
    f"{_KFP}/agent/persistence/main.go",
)

#: The settings of each phase, the one to look at first at the beginning.
SETTINGS: dict[str, tuple[Setting, ...]] = {
    "submit": (_API_CLIENT, _API_CPU),
    "queue": (_ARGO_WORKERS, _ARGO_PARALLELISM, _ARGO_CLIENT),
    "driver": (_PODS_PER_NODE, _QUOTA, _IMAGE_PULLS),
    "execute": (_TASKS, _PODS_PER_NODE, _QUOTA, _IMAGE_PULLS),
    "transition": (_ARGO_REQUEUE, _ARGO_CLIENT, _ARGO_WORKERS),
    "finish": (_ARGO_REQUEUE, _ARGO_CLIENT),
    "visible": (_AGENT_WORKERS, _API_CLIENT, _AGENT_CLIENT),
}
#: The same for the states in which a client sees runs that have not ended, see `run_states`.
SETTINGS_OF_STATES: dict[str, tuple[Setting, ...]] = {
    "submitting": SETTINGS["submit"],
    # Until the agent's first report it is not seen whether the controller has begun.
    "pending": (_API_CLIENT, _AGENT_WORKERS, _ARGO_WORKERS),
    "running": (_PODS_PER_NODE, _ARGO_CLIENT, _AGENT_WORKERS),
}


def advice(settings: Sequence[Setting]) -> str:
    """A sentence that names the settings to look at, in their order."""
    first, *others = (f"{one.name} of {one.component} (default: {one.default})" for one in settings)
    then = f", then at {' and at '.join(others)}" if others else ""
    return f"Look first at {first}{then}; docs/tuning.md says what each does."
