"""The resources of the Kubernetes API, and the documents by which a client discovers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VERSION = {
    "major": "1",
    "minor": "31",
    "gitVersion": "v1.31.4+kfp-perf-emulator",
    "gitCommit": "kfp-perf-emulator",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
"""The answer of /version. A client recognises the emulator by `gitCommit`."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource: the API group and version that it is in, its names, and what can be done with it."""

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool = True
    verbs: tuple[str, ...] = ("get", "list", "watch")
    short: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """Its group and version as objects name them."""
        return f"{self.group}/{self.version}" if self.group else self.version


RESOURCES: tuple[Resource, ...] = (
    Resource("", "v1", "pods", "Pod", short=("po",)),
    Resource("", "v1", "events", "Event", short=("ev",)),
    Resource("", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",)),
    Resource("", "v1", "nodes", "Node", namespaced=False, short=("no",)),
    Resource("apps", "v1", "deployments", "Deployment", short=("deploy",)),
    Resource("events.k8s.io", "v1", "events", "Event", short=("ev",)),
    Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", verbs=("get", "list")),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        verbs=("create",),
    ),
)

BY_PLACE = {(each.group, each.version, each.name): each for each in RESOURCES}
"""Resources by group, version and name."""


def discovery(segments: list[str]) -> dict[str, Any] | None:
    """Return the document of a discovery path (`/api`, `/apis`, a group, a version), None of any other."""
    match segments:
        case []:
            return {"paths": ["/api", "/apis", "/healthz", "/livez", "/readyz", "/version"]}
        case ["version"]:
            return VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            groups = [_group(name) for name in _groups()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group] if group in _groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["api", "v1"]:
            return _resource_list("", "v1")
        case ["apis", group, version] if version == _groups().get(group):
            return _resource_list(group, version)
    return None


def _groups() -> dict[str, str]:
    return {each.group: each.version for each in RESOURCES if each.group}


def _group(name: str) -> dict[str, Any]:
    version = {"groupVersion": f"{name}/{_groups()[name]}", "version": _groups()[name]}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resource_list(group: str, version: str) -> dict[str, Any]:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": [
            {
                "name": each.name,
                "singularName": each.kind.lower(),
                "namespaced": each.namespaced,
                "kind": each.kind,
                "verbs": list(each.verbs),
                **({"shortNames": list(each.short)} if each.short else {}),
            }
            for each in RESOURCES
            if (each.group, each.version) == (group, version)
        ],
    }
