"""The namespaces and nodes of the cluster, which never change once they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.kubernetes.identity import host_address, uid
from kfp_emulator.kubernetes.pod_status import rfc3339
from kfp_emulator.kubernetes.resources import VERSION
from kfp_emulator.kubernetes.stated import Stated

if TYPE_CHECKING:
    from kfp_emulator.kubernetes.journal import Journal
    from kfp_emulator.protocol.wire import OutwardTime


def state_namespace(journal: Journal, time: OutwardTime, name: str) -> None:
    """Write a namespace into the journal, unless it is there."""
    if journal.get("namespaces", "", name) is not None:
        return
    created = rfc3339(time.seconds(journal.now()))
    labels = {"kubernetes.io/metadata.name": name}
    Stated("namespaces", "", name).state(
        journal,
        {
            "metadata": _metadata("namespace", name, created, labels),
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        },
    )


def state_nodes(journal: Journal, time: OutwardTime, nodes: int) -> None:
    """Write so many nodes into the journal."""
    created = rfc3339(time.seconds(journal.now()))
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
