"""What really happened in a run of the emulator's cluster, and what the API would show of it.

The truth comes from the nodes with their ids and microseconds; a client gets names and whole seconds, in no order.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.clock import ManualClock
from kfp_emulator.cluster.cluster import Cluster
from kfp_emulator.cluster.nodes import fnv1a
from kfp_emulator.cluster.requests import RunRequest
from kfp_emulator.cluster.timing import load_profile
from kfp_emulator.pipelines.ir import bind_parameters, parse_pipeline
from kfp_perf.client.messages import Run, RunDetails, StateChange, format_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_emulator.cluster.nodes import Node, Report

SECOND = 1_000_000
START = 1_790_000_000 * SECOND
HOURS = 6 * 3600 * SECOND

_ATTEMPT = re.compile(r"\(\d+\)$")
_STATES = {
    "Succeeded": "SUCCEEDED",
    "Failed": "FAILED",
    "Error": "FAILED",
    "Skipped": "SKIPPED",
    "Omitted": "",
}
_VALUES: dict[str, Any] = {
    "STRING": "text",
    "NUMBER_INTEGER": 1,
    "NUMBER_DOUBLE": 1.5,
    "BOOLEAN": True,
    "LIST": [1, 2],
    "STRUCT": {},
}


@dataclass(frozen=True)
class Stretch:
    """A pod on the critical path, with its attempts; true times in seconds since the start."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class TrueRun:
    """A run that has ended: the truth in seconds since the Unix epoch."""

    created: float
    finished: float
    reported: float
    path: list[Stretch]

    def phases(self) -> dict[str, float]:
        drivers = sum(each.end - each.start for each in self.path if each.name.endswith("-driver"))
        tasks = sum(each.end - each.start for each in self.path if not each.name.endswith("-driver"))
        first, last = self.path[0].start, self.path[-1].end
        return {
            "queue": first - self.created,
            "driver": drivers,
            "execute": tasks,
            "transition": last - first - drivers - tasks,
            "finish": self.finished - last,
            "visible": self.reported - self.finished,
        }


@dataclass(frozen=True)
class PlayedRun(TrueRun):
    """A run that has ended, and what the API shows of it."""

    shown: Run


def true_run(report: Report, created: int) -> TrueRun:
    """The truth of a run, from its last report and its creation in microseconds."""
    assert report.finished_at is not None, "the run has not ended"
    path = true_path([node for node in report.nodes if node.node_id])
    return TrueRun(created / SECOND, report.finished_at / SECOND, report.at / SECOND, path)


def play(
    documents: list[dict[str, Any]],
    profile: str,
    seed: int,
    *,
    ids: bool = True,
    retry_nodes: bool | None = None,
    cache_entries: bool | None = None,
) -> PlayedRun:
    """Run a pipeline in a cluster of its own to its end. Entries are doubled as given, else by the seed.

    Without `ids`, entries do not show those of their nodes' children.
    """
    pipeline = parse_pipeline(documents)
    needed = {
        name: _VALUES[str(parameter.type)]
        for name, parameter in pipeline.parameters.items()
        if not parameter.optional and parameter.default is None
    }
    chance = random.Random(seed)
    clock = ManualClock(START + chance.randrange(SECOND))
    reports: list[Report] = []
    cluster = Cluster(
        load_profile(profile),
        clock,
        reports.append,
        seed=seed,
        doubled_retry_nodes=bool(seed % 2) if retry_nodes is None else retry_nodes,
        anonymous_cache_entries=bool(seed % 3) if cache_entries is None else cache_entries,
    )
    created = clock.now()
    parameters = bind_parameters(pipeline, needed)
    request = RunRequest(
        run_id=f"run-{seed}", name="run", pipeline=pipeline, parameters=parameters, created_at=created
    )
    cluster.submit(request)
    clock.advance(HOURS)
    last = reports[-1]
    true = true_run(last, created)
    entries = [entry_of(node, ids=ids) for node in last.nodes]
    chance.shuffle(entries)
    state = _STATES[last.phase]
    shown = Run(
        run_id="run-1",
        state=state,
        created_text=_text(created),
        finished_text=_text(last.finished_at),
        state_history=[StateChange(state=state, update_time_text=_text(last.at))],
        run_details=RunDetails(task_details=msgspec.Raw(msgspec.json.encode(entries))),
    )
    return PlayedRun(true.created, true.finished, true.reported, true.path, shown)


def _text(microseconds: int | None) -> str:
    return "0001-01-01T00:00:00Z" if microseconds is None else format_time(microseconds / SECOND)


def entry_of(node: Node, *, ids: bool) -> dict[str, Any]:
    """What the API shows of a node in `task_details`."""
    fields = {
        "display_name": node.display_name,
        "state": _STATES[node.phase] if node.phase else "",
        "start_time": _text(node.started_at),
        "end_time": _text(node.finished_at),
        "child_tasks": [{"pod_name": child} for child in node.children] if ids else [],
    }
    return {name: value for name, value in fields.items() if value}


def true_path(nodes: list[Node]) -> list[Stretch]:
    """The critical path, from the pod that ended last back to the first one."""
    truth = _Truth(nodes)
    pod = max(truth.spans, key=lambda each: truth.spans[each][1])
    path = [pod]
    while before := [each for each in truth.before(pod) if truth.spans[each][1] <= truth.spans[pod][0]]:
        pod = max(before, key=lambda each: truth.spans[each][1])
        path.insert(0, pod)
    return [
        Stretch(truth.nodes[each].display_name, truth.spans[each][0] / SECOND, truth.spans[each][1] / SECOND)
        for each in path
    ]


class _Truth:
    """The nodes of a workflow: which is a part of which, and which waited for which.

    An id is the hash of a node's full name, which starts with that of the node around it (`NodeID` of Argo). So
    whether a child is a part of its parent or follows it does not depend on times.

    `spans` are the starts and ends of pods in microseconds. The attempts of a pod count as one, under the id of the
    node around them.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = {node.node_id: node for node in nodes}
        self.parents: defaultdict[str, list[str]] = defaultdict(list)
        for node in nodes:
            for child in node.children:
                self.parents[child].append(node.node_id)
        self.around = self._nesting()
        self.spans: dict[str, tuple[int, int]] = {}
        self.inside: defaultdict[str, set[str]] = defaultdict(set)
        for node in nodes:
            if not node.pod_name or node.finished_at is None or node.phase in {"Skipped", "Omitted"}:
                continue
            pod = self.around[node.node_id] if self._is_attempt(node) else node.node_id
            start, end = self.spans.get(pod, (self.nodes[pod].started_at, 0))
            assert start is not None
            self.spans[pod] = (start, max(end, node.finished_at))
            for each in (pod, *self._all_around(pod)):
                self.inside[each].add(pod)

    def _nesting(self) -> dict[str, str]:
        """The node around each node but the workflow's own: its parent, or one that is around its parent."""
        (workflow,) = (node_id for node_id in self.nodes if node_id not in self.parents)
        hashes = {workflow: fnv1a(workflow)}
        self.around = around = {}
        pending = [workflow]
        while pending:
            parent = pending.pop()
            for child in self.nodes[parent].children:
                if child in hashes or child not in self.nodes:
                    continue
                name = self.nodes[child].display_name
                for outer in (parent, *self._all_around(parent)):
                    is_attempt = _ATTEMPT.sub("", name) == self.nodes[outer].display_name
                    suffix = name.removeprefix(self.nodes[outer].display_name) if is_attempt else f".{name}"
                    hashed = fnv1a(suffix, hashes[outer])
                    if child == f"{workflow}-{hashed}":
                        around[child], hashes[child] = outer, hashed
                        break
                else:
                    raise AssertionError(f"{name} is in none of the nodes around its parent")
                pending.append(child)
        return around

    def _all_around(self, node_id: str) -> Iterator[str]:
        while node_id in self.around:
            node_id = self.around[node_id]
            yield node_id

    def _is_attempt(self, node: Node) -> bool:
        outer = self.around.get(node.node_id)
        return outer is not None and node.display_name.startswith(f"{self.nodes[outer].display_name}(")

    def before(self, node_id: str) -> set[str]:
        """The pods whose ends the controller waited for before it made a node."""
        node = self.nodes[node_id]
        found: set[str] = set()
        for parent in self.parents[node_id]:
            if parent == self.around[node_id]:
                found |= self.before(parent)
                continue
            task = self._task_of(parent, self.around[node_id])
            waited = self.inside[task] | self._exit_of(task, node)
            if node.display_name.startswith("iteration-iterations("):
                waited |= self._items_before(node, parent)
            found |= waited or self.before(task)
        return found

    def _task_of(self, node_id: str, outer: str) -> str:
        """The node directly in `outer` that is, or is around, a node: the one that what follows it waits for."""
        while self.around[node_id] != outer:
            node_id = self.around[node_id]
        return node_id

    def _exit_of(self, task: str, follower: Node) -> set[str]:
        """The pods of the exit task of a group; what follows the group waits for it, but does not hang on it."""
        name = f"{self.nodes[task].display_name}.onExit"
        if follower.display_name == name:
            return set()
        hooks = [each for each in self.nodes[task].children if self.nodes[each].display_name == name]
        return {pod for hook in hooks for pod in self.inside[hook]}

    def _items_before(self, item: Node, items: str) -> set[str]:
        """The pods of the items of a loop with limited parallelism in whose place this one began."""
        return {
            pod
            for other in self.nodes[items].children
            if other != item.node_id and self.nodes[other].finished_at == item.started_at
            for pod in self.inside[other]
        }
