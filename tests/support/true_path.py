"""What really happened in a run of the emulator's cluster, and what the API would show of it.

The truth is read from the nodes with their ids and microseconds; what a client gets are names and whole seconds,
in no order.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.clock import ManualClock
from kfp_emulator.cluster.cluster import Cluster, RunRequest
from kfp_emulator.cluster.timing import load_profile
from kfp_emulator.pipelines.ir import bind_parameters, parse_pipeline
from kfp_perf.client.messages import Run, RunDetails, StateChange, format_time

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Node, Report

SECOND = 1_000_000
START = 1_790_000_000 * SECOND
HOURS = 6 * 3600 * SECOND

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
    path = _path([node for node in report.nodes if node.node_id])
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
    entries = [_entry(node, ids=ids) for node in last.nodes]
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


def _entry(node: Node, *, ids: bool) -> dict[str, Any]:
    fields = {
        "display_name": node.display_name,
        "state": _STATES[node.phase] if node.phase else "",
        "start_time": _text(node.started_at),
        "end_time": _text(node.finished_at),
        "child_tasks": [{"pod_name": child} for child in node.children] if ids else [],
    }
    return {name: value for name, value in fields.items() if value}


def _path(nodes: list[Node]) -> list[Stretch]:
    """The critical path along the ids of parents and children."""
    truth = _Truth(nodes)
    pod = max(truth.spans, key=lambda each: truth.spans[each][1])
    path = [pod]
    while before := [each for each in truth.before(pod, pod) if truth.spans[each][1] <= truth.spans[pod][0]]:
        pod = max(before, key=lambda each: truth.spans[each][1])
        path.insert(0, pod)
    names = {node.node_id: node.display_name for node in nodes}
    return [
        Stretch(names[each], truth.spans[each][0] / SECOND, truth.spans[each][1] / SECOND) for each in path
    ]


class _Truth:
    """The graph of a workflow's nodes. A pod's attempts count as one, under the id of the node around them."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = {node.node_id: node for node in nodes}
        self.parents: defaultdict[str, list[str]] = defaultdict(list)
        for node in nodes:
            for child in node.children:
                self.parents[child].append(node.node_id)
        self.pod_of: dict[str, str] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        for node in nodes:
            if not node.pod_name or node.finished_at is None or node.phase in {"Skipped", "Omitted"}:
                continue
            around = [
                parent
                for parent in self.parents[node.node_id]
                if node.display_name.startswith(f"{self.nodes[parent].display_name}(")
            ]
            pod = self.pod_of[node.node_id] = around[0] if around else node.node_id
            start, end = self.spans.get(pod, (self.nodes[pod].started_at, 0))
            assert start is not None
            self.spans[pod] = (start, max(end, node.finished_at))

    def inside(self, identity: str) -> set[str]:
        """The pods at and below a node."""
        found: set[str] = set()
        seen = {identity}
        pending = [identity]
        while pending:
            each = pending.pop()
            found |= {self.pod_of[each]} if each in self.pod_of else set()
            for child in self.nodes[each].children:
                if child in self.nodes and child not in seen and not self._follows(child, each):
                    seen.add(child)
                    pending.append(child)
        return found

    def _follows(self, child: str, identity: str) -> bool:
        """Whether a child of a group's last attempt is what comes after the group, and not a part of it.

        Where nodes are doubled, both hang on that attempt; what comes after it begins when it has ended.
        """
        node, started_at = self.nodes[identity], self.nodes[child].started_at
        is_group = node.display_name.endswith(")") and not node.pod_name and "(" in node.display_name
        ended = node.finished_at is not None and started_at is not None and started_at >= node.finished_at
        return is_group and ended and not node.display_name.startswith("iteration-iterations(")

    def before(self, identity: str, pod: str) -> set[str]:
        """The pods whose ends the controller waited for before it made a node."""
        node = self.nodes[identity]
        if node.display_name.endswith(".onExit"):
            return {each for parent in self.parents[identity] for each in self.inside(parent)} - {pod}
        if node.display_name.startswith("iteration-iterations("):
            # An item of a loop with limited parallelism begins when another one ends.
            ended = {
                each
                for parent in self.parents[identity]
                for sibling in self.nodes[parent].children
                if sibling != identity and self.nodes[sibling].finished_at == node.started_at
                for each in self.inside(sibling)
            }
            if ended:
                return ended - {pod}
        found: set[str] = set()
        for parent in self.parents[identity]:
            above = self.pod_of.get(parent, parent)
            if above in self.spans:
                found.add(above)
            elif self._follows(identity, parent):
                found |= self.inside(parent)
            else:
                found |= self.before(parent, pod)
            # What follows on a group waits for its exit task too, though it does not hang on that.
            found |= {each for hook in self._exits_above(parent) for each in self.inside(hook)}
        return found - {pod}

    def _exits_above(self, identity: str) -> set[str]:
        """The exit handlers of what a node is, and of all that led to it."""
        found: set[str] = set()
        seen = {identity}
        pending = [identity]
        while pending:
            each = pending.pop()
            found |= {child for child in self.nodes[each].children if self._is_exit(child)}
            above = set(self.parents[each]) - seen
            seen |= above
            pending += above
        return found

    def _is_exit(self, identity: str) -> bool:
        return identity in self.nodes and self.nodes[identity].display_name.endswith(".onExit")
