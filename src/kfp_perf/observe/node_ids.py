"""The positions of a run's entries in the DAG: the ids of their children distinguish entries of one name.

An entry shows the ids of its node's children (`child_tasks[].pod_name`), but not its own. An id of Argo consists of
the workflow's name and a hash of the node's full name, which consists of the names of the nodes around it and its
own (`NodeID` of argo-workflows). The pipeline's shape determines which full names are possible. So an id that is
the hash of one of them identifies the entry that shows it as the parent of that node. Other entries are assigned by
names and times.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.pipelines.shape import Dag, TaskKind, TaskShape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FNV_OFFSET, _FNV_PRIME, _32_BITS = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


class Place(NamedTuple):
    """A node's place: the DAG around it and the DAG in it (full names), and which item of a loop it is."""

    within: str
    inside: str
    item: int | None


NO_PLACE = Place("", "", None)


class Places:
    """The places of a run's nodes, by the position of their entries.

    `attempts` has, for nodes that a retry strategy has doubled, the name of the last attempt, and its position
    (None: not known). `nodes` are display names and ids of children.
    """

    def __init__(self, nodes: Sequence[tuple[str, Sequence[str]]], shape: Dag) -> None:
        self.places: dict[int, Place] = {}
        self.attempts: dict[int, tuple[str, int | None]] = {}
        self._nodes = nodes
        self._doubled = any(name.endswith("(0)") for name, _ in nodes)
        self._parents: defaultdict[str, list[int]] = defaultdict(list)
        for position, (_, children) in enumerate(nodes):
            for child in children:
                self._parents[child].append(position)
        workflows = {child.rpartition("-")[0] for child in self._parents}
        for workflow in workflows & {name for name, _ in nodes}:
            top = self._last_attempt(_Node(workflow, workflow, _hashed(workflow)))
            root = top.below("root")
            self._place(top.below("root-driver"), "", (root,))
            self._through(self._group(root, "", shape), shape)

    def _through(self, around: _Node, dag: Dag, after: Sequence[_Node] = ()) -> None:
        """Place the tasks of a DAG. `after` are the nodes that follow on its contents, and on nothing else."""
        # Nodes of exit tasks have no children: their dependents are children of the node that they follow.
        needs = {
            name: {each for each in task.dependencies if each in dag.tasks and not dag.tasks[each].is_exit}
            for name, task in dag.tasks.items()
            if not task.is_exit
        }
        leaves = needs.keys() - set().union(*needs.values())
        following: defaultdict[str, list[_Node]] = defaultdict(list)
        for name, needed in needs.items():
            if len(needed) == 1:
                following[next(iter(needed))] += _first_nodes(around, dag.tasks[name])
        for name, task in dag.tasks.items():
            self._task(around, task, after if leaves == {name} else following[name])

    def _task(self, around: _Node, task: TaskShape, after: Sequence[_Node]) -> None:
        outer = around
        if task.is_exit:
            hooks = (around.below(f"{name}.onExit") for name in sorted(task.dependencies))
            outer = next((self._last_attempt(hook) for hook in hooks if self._known(hook)), around)
        node = outer.below(task.name)
        self._place(outer.below(f"{task.name}-driver"), around.name, (node,))
        if task.kind is TaskKind.LOOP and task.inner is not None:
            self._loop(node, around.name, task.inner)
        elif task.inner is not None:
            self._through(self._group(node, around.name, task.inner), task.inner, after)
        else:
            body = self._last_attempt(node)
            self._place(node, around.name, (body.below("executor"),))
            self._place(body.below("executor"), body.name, after)

    def _group(self, node: _Node, within: str, dag: Dag, item: int | None = None) -> _Node:
        """Place the node of a DAG; return the node whose children its tasks are."""
        body = self._last_attempt(node)
        firsts = [node for task in dag.tasks.values() for node in _first_nodes(body, task)]
        self._place(node, within, firsts, item)
        return body

    def _loop(self, node: _Node, within: str, dag: Dag) -> None:
        loop = self._last_attempt(node)
        driver, items = loop.below("iteration-driver"), loop.below("iteration-iterations")
        self._place(node, within, (driver,))
        self._place(driver, loop.name, (items,))
        number = 0
        while self._known(iteration := loop.below(f"iteration-iterations({number}:{number})")):
            around = self._last_attempt(iteration)
            item = around.below("iteration-item")
            self._place(around.below("iteration-item-driver"), loop.name, (item,), number)
            self._through(self._group(item, loop.name, dag, number), dag)
            number += 1

    def _known(self, node: _Node) -> bool:
        return node.node_id in self._parents

    def _last_attempt(self, node: _Node) -> _Node:
        """Return the last node of those that a retry strategy makes of one; itself where there is none."""
        number, last = 0, node
        while self._doubled and self._known(attempt := node.attempt(number)):
            number, last = number + 1, attempt
        return last

    def _place(self, node: _Node, within: str, children: Iterable[_Node], item: int | None = None) -> None:
        """Find the entry of a node by some children that are its own, and that of its last attempt."""
        last = self._last_attempt(node)
        if last is not node:
            shell = self._parent_of((node.attempt(0),), node.display_name)
            if shell is None:
                return
            self.places[shell] = Place(within, last.name, item)
            self.attempts[shell] = last.display_name, self._parent_of(children, last.display_name)
        elif (entry := self._parent_of(children, node.display_name)) is not None:
            self.places[entry] = Place(within, node.name, item)

    def _parent_of(self, children: Iterable[_Node], display_name: str) -> int | None:
        """Return the entry of this name that shows one of these children; None where it is not the only one."""
        found = {
            position
            for child in children
            for position in self._parents.get(child.node_id, ())
            if self._nodes[position][0] == display_name
        }
        return found.pop() if len(found) == 1 else None


def _first_nodes(around: _Node, task: TaskShape) -> list[_Node]:
    """The nodes that may be a task's first."""
    return [around.below(f"{task.name}-driver"), around.below(task.name)]


class _Node(NamedTuple):
    """A possible node: its full name with the hash of that, and the workflow's name."""

    workflow: str
    name: str
    hash: int
    display_name: str = ""

    @property
    def node_id(self) -> str:
        return f"{self.workflow}-{self.hash}"

    def below(self, name: str) -> _Node:
        return _Node(self.workflow, f"{self.name}.{name}", _hashed(f".{name}", self.hash), name)

    def attempt(self, number: int) -> _Node:
        suffix = f"({number})"
        return _Node(
            self.workflow, self.name + suffix, _hashed(suffix, self.hash), f"{self.display_name}{suffix}"
        )


def _hashed(text: str, state: int = _FNV_OFFSET) -> int:
    """FNV-1a with 32 bits, of what `state` has hashed followed by the text."""
    for byte in text.encode():
        state = ((state ^ byte) * _FNV_PRIME) & _32_BITS
    return state
