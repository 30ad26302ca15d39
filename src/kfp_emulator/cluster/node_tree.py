"""The tree of a workflow's nodes: makes them, with the shells that retries need, and ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kfp_emulator.cluster.nodes import (
    BAD,
    COMPLETED,
    PENDING,
    RUNNING,
    SKIPPED,
    SUCCEEDED,
    LiveNode,
    Node,
    fnv1a,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_NODES = 50_000
"""How many nodes a workflow may have before the controller gives it up: Kubernetes objects have a bound."""


class Parent(Protocol):
    """What a node is made in: a frame, known here by the hash of its path alone."""

    hash: int


class TooManyNodes(Exception):
    """The workflow has outgrown what the controller can hold."""


class NodeTree:
    """The nodes of one workflow.

    `doubled` makes of each executed template a shell and its first try. `kept` are nodes of an earlier attempt
    of the run: what succeeded then keeps its times.
    """

    __slots__ = ("_hash", "_kept", "doubled", "name", "nodes", "now")

    def __init__(self, name: str, *, doubled: bool, kept: Iterable[Node]) -> None:
        self.name = name
        self.doubled = doubled
        self.now = 0
        self.nodes: list[LiveNode] = []
        self._hash = fnv1a(name)
        self._kept = {node.node_id: node for node in kept}

    def open(
        self,
        frame: Parent | None,
        name: str,
        parents: Iterable[LiveNode],
        *,
        template: str = "",
        retried: bool = False,
    ) -> tuple[LiveNode | None, LiveNode]:
        """Make the node of an executed template below a frame; return its shell, if it has one, and the node.

        `template` names a pod's template; the node of a DAG has none.
        """
        shelled = self.doubled or retried
        began = not template and not shelled  # a retried run sets the node around its tries back
        outer = self.add(frame, name, PENDING if template and not shelled else RUNNING, dag=began)
        for parent in parents:
            parent.add(outer)
        if not shelled:
            outer.template = template
            self._keep_children(outer)
            return None, outer
        return outer, self.open_try(outer, 0, template)

    def open_try(self, shell: LiveNode, attempt: int, template: str) -> LiveNode:
        """Make the node of a try within a shell."""
        suffix = f"({attempt})"
        phase = PENDING if template else RUNNING
        hash_ = fnv1a(suffix, shell.hash or self._hash)
        inner = self.add(None, shell.name + suffix, phase, hash_, dag=not template)
        inner.template = template
        self._keep_children(inner)
        shell.add(inner)
        return inner

    def _keep_children(self, pod: LiveNode) -> None:
        """Let a pod of a retried run list what followed it before: a retry sets its node back, and no more."""
        kept = self._kept.get(pod.node_id(self.name)) if self._kept and pod.template else None
        if kept is not None:
            pod.listed = kept.children

    def list_child(self, parent: LiveNode, frame: Parent, name: str) -> None:
        """Let a node list a child that waits for its turn: Argo connects it before it makes it."""
        parent.listed += (f"{self.name}-{fnv1a('.' + name, frame.hash or self._hash)}",)
        parent.stale = True

    def skip(self, frame: Parent, name: str, parents: Iterable[LiveNode], phase: str) -> LiveNode:
        """Make a node that is not executed: skipped, or omitted."""
        node = self.add(frame, name, phase)
        node.end = self.now
        for parent in parents:
            parent.add(node)
        return node

    def add(
        self, frame: Parent | None, name: str, phase: str, hash_: int | None = None, *, dag: bool = False
    ) -> LiveNode:
        """Make a node, without a parent; `hash_` is that of a name which is not the frame's and its own.

        In a retried run what succeeded, or was skipped, began when it did, and so did a `dag` that failed: it is
        set back, where all else is made anew (GenerateRetryExecution of kubeflow/pipelines).

        Raises:
            TooManyNodes: there are too many already.

        """
        if len(self.nodes) >= MAX_NODES:
            raise TooManyNodes
        if hash_ is None:
            hash_ = 0 if frame is None else fnv1a("." + name, frame.hash or self._hash)
        node = LiveNode(name, hash_, phase, self.now)
        if self._kept:
            kept = self._kept.get(node.node_id(self.name))
            if kept is not None:
                node.history = kept.history
                lasts = kept.phase in {SUCCEEDED, SKIPPED} or (dag and kept.phase in BAD)
                if lasts and kept.started_at is not None:
                    node.start = kept.started_at
        self.nodes.append(node)
        return node

    def close(self, node: LiveNode, shell: LiveNode | None, phase: str) -> None:
        """End the node of a DAG, and its shell."""
        for each in (node, shell):
            if each is not None:
                each.turn(phase, self.now)
                kept = self._kept.get(each.node_id(self.name)) if self._kept else None
                if kept is not None and kept.phase == phase == SUCCEEDED:
                    each.end = kept.finished_at

    def kept_phase(self, frame: Parent, name: str) -> str:
        """Return the phase that a node of a frame had in a run that is retried, empty where it had none."""
        if not self._kept:
            return ""
        kept = self._kept.get(f"{self.name}-{fnv1a('.' + name, frame.hash or self._hash)}")
        return "" if kept is None else kept.phase

    def kept_pod(self, node: LiveNode, shell: LiveNode | None) -> Node | None:
        """Return what a retried run keeps of a pod: that it succeeded, or failed on the way to success."""
        if not self._kept:
            return None
        kept = self._kept.get(node.node_id(self.name))
        around = self._kept.get(shell.node_id(self.name)) if shell is not None else kept
        if kept is None or around is None or around.phase != SUCCEEDED or kept.phase not in COMPLETED:
            return None
        return kept
