"""A node of the Kubernetes cluster."""

from __future__ import annotations


class KubernetesNode:
    """How many pods a node holds, and the images that it has pulled."""

    __slots__ = ("images", "name", "pods")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pods = 0
        self.images: set[str] = set()
