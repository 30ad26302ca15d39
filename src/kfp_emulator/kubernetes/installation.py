"""The installation as its Kubernetes API shows it: the journal, the components, the pods of runs, who may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_emulator.kubernetes.component_documents import Work
from kfp_emulator.kubernetes.components import Components
from kfp_emulator.kubernetes.controller_metrics import ControllerMetrics
from kfp_emulator.kubernetes.identity import host_address, uid
from kfp_emulator.kubernetes.pod_status import rfc3339
from kfp_emulator.kubernetes.resources import VERSION
from kfp_emulator.kubernetes.stated import Stated
from kfp_emulator.kubernetes.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.cluster.cluster import Cluster
    from kfp_emulator.cluster.schedules import ScheduleController
    from kfp_emulator.kubernetes.component_documents import Site
    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.kubernetes.permissions import Permissions
    from kfp_emulator.kubernetes.run_pods import RunPods
    from kfp_emulator.protocol.wire import OutwardTime


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation."""

    journal: Journal
    time: OutwardTime
    components: Components
    pods: RunPods
    usage: Usage
    permissions: Permissions
    metrics: ControllerMetrics


def install(
    site: Site,
    cluster: Cluster,
    schedules: ScheduleController,
    journal: Journal,
    pods: RunPods,
    permissions: Permissions,
    requests: Callable[[], int],
) -> Installation:
    """Install KFP's components on a cluster; `requests` are those that the API server has handled so far."""
    counts = cluster.counts

    def work() -> Work:
        return Work(requests(), counts.reports, counts.pods, counts.looks, cluster.in_flight())

    state_surroundings(journal, site.time, site.namespace, cluster.profile.nodes)
    components = Components(journal, cluster.clock, site, work)
    return Installation(
        journal,
        site.time,
        components,
        pods,
        Usage(journal, components, site.time),
        permissions,
        ControllerMetrics(cluster, schedules, components, site.time),
    )


def state_surroundings(journal: Journal, time: OutwardTime, namespace: str, nodes: int) -> None:
    """Write the namespaces and nodes, which never change, into the journal."""
    created = rfc3339(time.seconds(journal.now()))
    for name in dict.fromkeys(("default", "kube-system", namespace)):
        labels = {"kubernetes.io/metadata.name": name}
        Stated("namespaces", "", name).state(
            journal,
            {
                "metadata": _metadata("namespace", name, created, labels),
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
    for number in range(nodes):
        name = f"node-{number}"
        labels = {"kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name}
        Stated("nodes", "", name).state(
            journal,
            {
                "metadata": _metadata("node", name, created, labels),
                "spec": {},
                "status": _node_status(name, created),
            },
        )


def _metadata(kind: str, name: str, created: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"creationTimestamp": created, "labels": labels, "name": name, "uid": uid(kind, name)}


def _node_status(name: str, created: str) -> dict[str, Any]:
    ready = {
        "lastHeartbeatTime": created,
        "lastTransitionTime": created,
        "message": "kubelet is posting ready status",
        "reason": "KubeletReady",
        "status": "True",
        "type": "Ready",
    }
    identity = uid("machine", name)
    return {
        "addresses": [
            {"address": host_address(name), "type": "InternalIP"},
            {"address": name, "type": "Hostname"},
        ],
        "conditions": [ready],
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": identity,
            "containerRuntimeVersion": "containerd://none",
            "kernelVersion": "none",
            "kubeProxyVersion": VERSION["gitVersion"],
            "kubeletVersion": VERSION["gitVersion"],
            "machineID": identity.replace("-", ""),
            "operatingSystem": "linux",
            "osImage": "kfp-perf-emulator",
            "systemUUID": identity,
        },
    }


__all__ = ["Installation", "install", "state_surroundings"]
