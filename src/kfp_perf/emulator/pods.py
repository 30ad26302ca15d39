"""The nodes of the modelled cluster: places for pods, the images that each node has, and who waits for a place."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp_perf.emulator.workflow import Pod


class KubernetesNode:
    """A node: how many pods it holds, and the images that it has pulled."""

    __slots__ = ("images", "pods")

    def __init__(self) -> None:
        self.pods = 0
        self.images: set[str] = set()


class Places:
    """The places for pods on all nodes; pods wait in the order in which they came.

    `pods_per_node` 0 is without limit.
    """

    def __init__(self, nodes: int, pods_per_node: int) -> None:
        self._nodes = [KubernetesNode() for _ in range(nodes)]
        self._limit = pods_per_node
        self._next = 0
        self._free = nodes * pods_per_node
        self._waiting: deque[Pod] = deque()

    def waiting(self) -> int:
        """Return how many pods have no place."""
        return len(self._waiting)

    def take(self, pod: Pod) -> KubernetesNode | None:
        """Give a pod a place on a node, in turn; with none free it waits, and None is returned."""
        if self._limit and not self._free:
            self._waiting.append(pod)
            return None
        return self._give()

    def release(self, node: KubernetesNode) -> None:
        """Take back the place of a pod that has gone."""
        node.pods -= 1
        self._free += 1

    def next_waiting(self) -> tuple[Pod, KubernetesNode] | None:
        """Return the pod that has waited longest with its place, None where no pod waits or no place is free."""
        if not self._waiting or (self._limit and not self._free):
            return None
        return self._waiting.popleft(), self._give()

    def forget(self, pod: Pod) -> None:
        """Let a pod wait no longer."""
        self._waiting.remove(pod)

    def _give(self) -> KubernetesNode:
        nodes = self._nodes
        while True:
            node = nodes[self._next]
            self._next = (self._next + 1) % len(nodes)
            if not self._limit or node.pods < self._limit:
                node.pods += 1
                self._free -= 1
                return node


__all__ = ["KubernetesNode", "Places"]
