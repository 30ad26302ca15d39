"""Reads a run's `task_details`; no other module depends on their format.

There is an entry for each Argo node, in no order and without a key that joins them: names, times in whole seconds
and the ids of their children show which belong together (see `node_ids`). Entries are duplicated in two cases.
Tasks that may be cached have one without a name when they succeed; these are dropped. A retry strategy adds to a
node `X` its attempts `X(0)`, `X(1)`; `X` is kept, which spans its attempts, with the end of the last one.

The final state of a run is visible before its final tasks: ReportWorkflow writes the run, makes throttled calls to
Kubernetes, and then writes the tasks. Until then the entries are those of the report before, or there are none.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from kfp_perf.client.messages import UNDECODABLE, ProtoJsonDecoder, parse_time
from kfp_perf.observe.node_ids import NO_PLACE, Places
from kfp_perf.pipelines.shape import Dag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from kfp_perf.client.messages import Run

#: Argo's controller returns to a workflow this long after something happened to it, by default.
REQUEUE_SECONDS = 10.0
#: The display name of every executor's entry.
EXECUTOR = "executor"
ROOT = "root"
_UNDER_WAY = frozenset({"PENDING", "RUNNING"})
_ATTEMPT = re.compile(r"\(\d+\)$")


class _Child(msgspec.Struct):
    pod_name: str = ""


class Node(msgspec.Struct):
    """An entry as the server writes it; `name` is empty for one that duplicates another."""

    name: str = msgspec.field(name="display_name", default="")
    state: str = ""
    start_time: str = ""
    end_time: str = ""
    child_tasks: list[_Child] | None = None

    @property
    def started_at(self) -> float | None:
        """The start in the controller's whole seconds; None: not yet."""
        return parse_time(self.start_time)

    @property
    def ended_at(self) -> float | None:
        """The end in the controller's whole seconds; None: not yet."""
        return parse_time(self.end_time)


class Entry(msgspec.Struct, frozen=True):
    """One node of a run's workflow. Times are the workflow controller's whole seconds; None: not yet.

    The end of a pod is recorded when it happens. The end of its parent (a group, a task around its executor, a
    node around its attempts) is recorded in the controller's next pass, up to ten seconds later. So `ended_at` is
    when its successors could start, and `work_ended_at` when the work itself ended.

    `within` is the DAG that it is a part of, `inside` the DAG that it contains, `item` its number in a loop; empty
    and None where the ids of its children do not show it (see `node_ids`). `uncertainty_seconds`: the work may have
    ended this long before or after `work_ended_at`, where several attempts may be the last one. `position` is its
    index in the server's list, which is its identity: two entries may be equal in everything else.
    """

    name: str
    state: str
    started_at: float
    ended_at: float | None
    work_ended_at: float | None
    within: str = ""
    inside: str = ""
    item: int | None = None
    uncertainty_seconds: float = 0.0
    position: int = -1

    @property
    def seconds(self) -> float | None:
        """Its duration, with an error below one second."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    @property
    def ran(self) -> bool:
        """Whether it was carried out: neither skipped, nor omitted after a failure, nor unfinished."""
        return self.ended_at is not None and self.state not in {"", "SKIPPED"}


_decoder = ProtoJsonDecoder(list[Node])


def read_nodes(run: Run) -> list[Node]:
    """The nodes of a run in the server's order; empty if there are none, or none that can be read."""
    details = run.run_details
    if details is None or not bytes(details.task_details):
        return []
    try:
        return _decoder.decode(details.task_details)
    except UNDECODABLE:
        return []


def entries_of(nodes: Sequence[Node], shape: Dag | None = None) -> list[Entry]:
    """The entries of a run by start, without duplicates.

    With the pipeline's `shape` they have their positions in the DAG, as far as the ids show them.
    """
    located = Places(
        [(node.name, [child.pod_name for child in node.child_tasks or ()]) for node in nodes], shape or Dag()
    )
    entries: dict[int, Entry] = {}
    for position, node in enumerate(nodes):
        started_at, ended_at = node.started_at, node.ended_at
        if node.name and started_at is not None:
            place = located.places.get(position, NO_PLACE)
            entries[position] = Entry(
                node.name, node.state, started_at, ended_at, ended_at, *place, position=position
            )
    return sorted(_with_attempts(entries, located.attempts), key=lambda entry: (entry.started_at, entry.name))


class Completeness(Enum):
    """Whether the nodes of a run in a final state are its final ones.

    `LACKING`: nothing is under way, yet there is no `root`. Such are the nodes of a run whose workflow failed or
    was stopped before it had any, and of one whose first nodes are still to be written.
    """

    COMPLETE = "complete"
    UNDER_WAY = "under way"
    LACKING = "lacking"


def completeness(nodes: Iterable[Node | Entry]) -> Completeness:
    """Whether these are the nodes of a workflow that has ended: `root` has, and nothing is pending or running."""
    begun = [node for node in nodes if node.name and node.started_at is not None]
    roots = [node for node in begun if node.name == ROOT]
    if any(root.ended_at is None for root in roots) or any(node.state in _UNDER_WAY for node in begun):
        return Completeness.UNDER_WAY
    return Completeness.COMPLETE if roots else Completeness.LACKING


# -- attempts -------------------------------------------------------------------------------------------------


def _with_attempts(
    entries: dict[int, Entry], located: Mapping[int, tuple[str, int | None]]
) -> Iterator[Entry]:
    """Set the ends of nodes to those of their last attempts, and drop the attempts; `located` has their positions.

    Where the position of attempts is unknown, all that may be a node's last one add to its uncertainty: those of
    its name and in its time whose end was recorded in the controller's last pass before the node ended.
    """
    shells = {position: located[position] for position in located if position in entries}
    names = {entries[position].name for position in shells}
    taken = {attempt for _, attempt in shells.values()}
    attempts: defaultdict[str, list[Entry]] = defaultdict(list)
    rest: list[Entry] = []
    for position, entry in entries.items():
        if _ATTEMPT.sub("", entry.name) in names - {entry.name}:
            if position not in taken:
                attempts[entry.name].append(entry)
        elif position not in shells:
            rest.append(entry)
    yield from _with_likely_attempts(rest)
    likely = {name: _Attempts(found) for name, found in attempts.items()}
    for position, (name, attempt) in shells.items():
        shell = entries[position]
        if attempt is not None and attempt in entries:
            yield msgspec.structs.replace(shell, work_ended_at=entries[attempt].ended_at)
        elif name in likely and (ends := likely[name].ends_of_last(shell)) is not None:
            middle = (ends[0] + ends[1]) / 2
            yield msgspec.structs.replace(shell, work_ended_at=middle, uncertainty_seconds=ends[1] - middle)
        else:
            yield shell


class _Attempts:
    """The attempts of one name in order of their ends: a loop of 400 items has 400 nodes and attempts of a name."""

    def __init__(self, attempts: list[Entry]) -> None:
        # A first attempt begins with its node, so it is looked for among those that begin in that second.
        self._are_first = attempts[0].name.endswith("(0)")
        self._times: defaultdict[float | None, list[tuple[float, float]]] = defaultdict(list)
        for attempt in attempts:
            if attempt.ended_at is not None:
                begin = attempt.started_at if self._are_first else None
                self._times[begin].append((attempt.ended_at, attempt.started_at))
        for times in self._times.values():
            times.sort()

    def ends_of_last(self, shell: Entry) -> tuple[float, float] | None:
        """The earliest and the latest end of those that may be the last attempt of a node; None without any."""
        if shell.ended_at is None:
            return None
        times = self._times.get(shell.started_at if self._are_first else None, [])
        first = bisect_left(times, (shell.ended_at - REQUEUE_SECONDS - 1.0,))
        beyond = bisect_right(times, (shell.ended_at, math.inf))
        both = (range(first, beyond), range(beyond - 1, first - 1, -1))
        low, high = (
            next((times[place][0] for place in places if times[place][1] >= shell.started_at), None)
            for places in both
        )
        return None if low is None or high is None else (low, high)


def _with_likely_attempts(entries: list[Entry]) -> Iterator[Entry]:
    """The same where no ids show which nodes are duplicated: by their names, as far as their times allow."""
    by_name: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_name[entry.name].append(entry)
    attempts: defaultdict[str, list[Entry]] = defaultdict(list)
    for name in tuple(by_name):
        shell_name = _ATTEMPT.sub("", name)
        if shell_name != name and shell_name in by_name:
            attempts[shell_name] += by_name.pop(name)
    for name, shells in by_name.items():
        yield from _paired(shells, attempts[name])


def _paired(nodes: list[Entry], attempts: list[Entry]) -> list[Entry]:
    """Set the ends of nodes of one name to those of their last attempts, as far as these can be matched."""
    firsts = [attempt for attempt in attempts if attempt.name.endswith("(0)")]
    begun = {attempt.started_at for attempt in firsts}
    shells = [node for node in nodes if node.ran and node.started_at in begun]
    if len(shells) == 1 == len(firsts):
        attempts = [max(attempts, key=lambda attempt: attempt.started_at)]
    if len(shells) != len(attempts):
        return nodes
    # One attempt each: both start in the same pass, and of two the one that ends first is recorded first.
    pairs = zip(sorted(shells, key=_in_time), sorted(attempts, key=_in_time), strict=True)
    rest = [node for node in nodes if not (node.ran and node.started_at in begun)]
    return rest + [msgspec.structs.replace(node, work_ended_at=attempt.ended_at) for node, attempt in pairs]


def _in_time(entry: Entry) -> tuple[float, float]:
    return entry.started_at, math.inf if entry.ended_at is None else entry.ended_at


# -- executors ------------------------------------------------------------------------------------------------


class TaskExecution(NamedTuple):
    """A task's executor: when its pod ended, and whether the cache replaced it."""

    ended_at: float
    cached: bool
    uncertainty_seconds: float


#: Executions by the position of their task's entry.
TaskExecutions = dict[int, TaskExecution]


def match_executors(entries: list[Entry], containers: AbstractSet[str]) -> TaskExecutions:
    """The executions of the tasks of these names, as far as the entries show which executor belongs to which task.

    All executors have the same name, and no key. The ids of an executor's children identify some (see `node_ids`).
    Of the others: a task and its executor are created in the same pass of the controller, so they start in the same
    second; and of several that start together, the one whose executor ends first is closed first. Where several
    remain possible, the spread of their ends is kept as uncertainty.
    """
    placed = {entry.within: entry for entry in entries if entry.name == EXECUTOR and entry.within}
    tasks: defaultdict[float, list[Entry]] = defaultdict(list)
    executors: defaultdict[float, list[Entry]] = defaultdict(list)
    matched: TaskExecutions = {}
    for entry in entries:
        if entry.name == EXECUTOR:
            if not entry.within:
                executors[entry.started_at].append(entry)
        elif entry.name in containers and entry.ran:
            executor = placed.get(entry.inside)
            if executor is None or executor.work_ended_at is None:
                tasks[entry.started_at].append(entry)
            else:
                matched[entry.position] = TaskExecution(
                    executor.work_ended_at, executor.state == "SKIPPED", executor.uncertainty_seconds
                )
    for second, started in tasks.items():
        ended = [entry for entry in executors[second] if entry.work_ended_at is not None]
        if len(ended) == len(started):
            started.sort(key=lambda entry: entry.ended_at or 0.0)
            ended.sort(key=lambda entry: (entry.work_ended_at or 0.0, entry.state != "SKIPPED"))
            matched.update(_in_order(started, ended))
    return matched


def _in_order(tasks: list[Entry], executors: list[Entry]) -> TaskExecutions:
    """Pair tasks and executors, both in order of their ends."""
    ends: defaultdict[float | None, list[float]] = defaultdict(list)
    for task, executor in zip(tasks, executors, strict=True):
        ends[task.ended_at].append(executor.work_ended_at or 0.0)
    spread = {end: max(found) - min(found) for end, found in ends.items()}
    return {
        task.position: TaskExecution(
            executor.work_ended_at or 0.0,
            executor.state == "SKIPPED",
            spread[task.ended_at] + executor.uncertainty_seconds,
        )
        for task, executor in zip(tasks, executors, strict=True)
    }
