"""The nodes of an Argo workflow: while it runs, and as the persistence agent reports them.

Names and ids follow Argo: a node's name is the path of its templates, its id the workflow's name and the FNV-1a
hash of that path (util.NodeID of argo-workflows), its pod the workflow, the template and the hash.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kfp_emulator.cluster.requests import RunRequest

PENDING = "Pending"
RUNNING = "Running"
SUCCEEDED = "Succeeded"
SKIPPED = "Skipped"
FAILED = "Failed"
ERROR = "Error"
OMITTED = "Omitted"

COMPLETED = frozenset({SUCCEEDED, FAILED, ERROR})
"""Phases of what was executed to an end."""
BAD = frozenset({FAILED, ERROR})

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193


def fnv1a(text: str, state: int = _FNV_OFFSET) -> int:
    """Return the 32-bit FNV-1a hash of `text`, or of what `state` has hashed so far followed by `text`."""
    for byte in text.encode():
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return state


class Node(NamedTuple):
    """A node as it was reported: times in microseconds, `history` when which phase was seen.

    `task_id` is that of the API server's entry, the same in every report; `children` are node ids. An anonymous
    entry, which a cached-enabled task leaves behind, has neither name nor phase, but an `execution_id`.
    """

    task_id: str
    node_id: str
    display_name: str
    phase: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    history: tuple[tuple[int, str], ...]
    children: tuple[str, ...]
    pod_name: str
    execution_id: int = 0


def task_id(run_id: str, node_id: str) -> str:
    """Return the UUID of the API server's entry for a node."""
    text = hashlib.blake2b(f"{run_id}:{node_id}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


class Report(NamedTuple):
    """What the persistence agent reports of one workflow: the API server writes the run at `at`, its tasks later.

    `tasks_at` is when it writes the tasks, after the calls to Kubernetes that a last report costs it; all times are
    microseconds. The histories of `nodes` show `tasks_at`.
    """

    run_id: str
    phase: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    nodes: tuple[Node, ...]
    at: int
    message: str = ""
    workflow_name: str = ""
    request: RunRequest | None = None
    tasks_at: int = 0


class LiveNode:
    """A node while its workflow is in the cluster."""

    __slots__ = (
        "children",
        "end",
        "hash",
        "history",
        "listed",
        "name",
        "phase",
        "stale",
        "start",
        "template",
        "view",
    )

    def __init__(self, name: str, hash_: int, phase: str, start: int) -> None:
        self.name = name
        self.hash = hash_
        self.phase = phase
        self.start = start
        self.end: int | None = None
        self.children: list[LiveNode] | None = None
        self.listed: tuple[str, ...] = ()
        """Ids of children beside `children`, which are listed though they are no nodes yet."""
        self.template = ""
        """The template of a pod; empty for other nodes."""
        self.history: tuple[tuple[int, str], ...] = ()
        self.view: Node | None = None
        self.stale = True
        """Whether the node has changed since `view`, which is what was reported last, was made."""

    def add(self, child: LiveNode) -> None:
        """Make `child` follow this node."""
        if self.children is None:
            self.children = [child]
        else:
            self.children.append(child)
        self.stale = True

    def turn(self, phase: str, end: int | None = None) -> None:
        """Change the phase, and the end where the node has ended."""
        self.phase = phase
        self.end = end
        self.stale = True

    def node_id(self, workflow: str) -> str:
        """Return Argo's id of the node."""
        return f"{workflow}-{self.hash}" if self.hash else workflow

    def _child_ids(self, workflow: str) -> tuple[str, ...]:
        made = (child.node_id(workflow) for child in self.children or ())
        return tuple(dict.fromkeys((*self.listed, *made))) if self.listed else tuple(made)

    def report(self, run_id: str, workflow: str, created_at: int, at: int) -> Node:
        """Return the node as a report that arrives at `at` shows it."""
        view = self.view
        if view is None or self.stale:
            if not self.history or self.history[-1][1] != self.phase:
                self.history = (*self.history, (at, self.phase))
            node_id = self.node_id(workflow) if view is None else view.node_id
            view = self.view = Node(
                task_id(run_id, node_id) if view is None else view.task_id,
                node_id,
                self.name,
                self.phase,
                created_at,
                self.start,
                self.end,
                self.history,
                self._child_ids(workflow),
                f"{workflow}-{self.template}-{self.hash}" if self.template else "",
            )
            self.stale = False
        return view
