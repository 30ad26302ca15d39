"""Reading a run's task entries: the one place that knows their shape.

`run_details.task_details` has an entry for each Argo node, in no order, without a key that joins them: names,
times in whole seconds, and the ids of their children tell what belongs together (see `places`). Two things double
entries: tasks that may be cached leave one without a name when they succeed, and a retry strategy makes of a node
`X` also its attempts `X(0)`, `X(1)`. The former are left out; of the latter `X` stays, which spans its attempts,
with the end of its last one.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.client.messages import parse_time
from kfp_perf.observe.places import NOWHERE, Places
from kfp_perf.pipelines.shape import Dag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.client.messages import Run

#: The controller comes back to a workflow this long after something happened to it, by default.
REQUEUE_SECONDS = 10.0
_UNDER_WAY = frozenset({"PENDING", "RUNNING"})
_ATTEMPT = re.compile(r"\(\d+\)$")


class _Child(msgspec.Struct):
    pod_name: str = ""


class _WireEntry(msgspec.Struct):
    display_name: str = ""
    state: str = ""
    start_time: str = ""
    end_time: str = ""
    child_tasks: list[_Child] | None = None


class Entry(msgspec.Struct, frozen=True):
    """One node of a run's workflow. Times are the workflow controller's whole seconds; None: not yet.

    A pod's end is noted when it happens, that of anything around it (a group, a task around its executor, a node
    around its attempts) in the controller's next pass, up to ten seconds later. So `ended_at` is when what
    depends on it could begin, and `work_ended_at` when the work itself had ended.

    `within` is the DAG that it is a part of, `inside` the one that it holds, `item` its number in a loop; empty and
    None where the ids of its children do not tell (see `places`). `doubt_seconds`: how far from `work_ended_at` the
    work may have ended, where several attempts may be its last one.
    """

    name: str
    state: str
    started_at: float
    ended_at: float | None
    work_ended_at: float | None
    within: str = ""
    inside: str = ""
    item: int | None = None
    doubt_seconds: float = 0.0

    @property
    def seconds(self) -> float | None:
        """How long it took, off by less than a second."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    @property
    def ran(self) -> bool:
        """Whether it was carried out: neither skipped, nor omitted after a failure, nor unfinished."""
        return self.ended_at is not None and self.state not in {"", "SKIPPED"}


_decoder = msgspec.json.Decoder(list[_WireEntry])


def read_entries(run: Run, shape: Dag | None = None) -> list[Entry]:
    """The entries of a run by start, without doubles; empty where there are none, or none that can be read.

    With the pipeline's `shape` they have their places, as far as these can be told.
    """
    details = run.run_details
    if details is None or not bytes(details.task_details):
        return []
    try:
        wire = _decoder.decode(details.task_details)
    except (msgspec.MsgspecError, RecursionError):
        return []
    nodes = [(entry.display_name, [child.pod_name for child in entry.child_tasks or ()]) for entry in wire]
    located = Places(nodes, shape or Dag())
    entries: dict[int, Entry] = {}
    for position, entry in enumerate(wire):
        started_at, ended_at = parse_time(entry.start_time), parse_time(entry.end_time)
        if entry.display_name and started_at is not None:
            place = located.places.get(position, NOWHERE)
            entries[position] = Entry(entry.display_name, entry.state, started_at, ended_at, ended_at, *place)
    return sorted(_with_attempts(entries, located.attempts), key=lambda entry: (entry.started_at, entry.name))


def _with_attempts(entries: dict[int, Entry], told: Mapping[int, tuple[str, int | None]]) -> Iterator[Entry]:
    """Give nodes the ends of their last attempts, and leave the attempts out; `told` is what ids tell of them.

    Of attempts whose places are not known, all that may be a node's last one make its doubt: those of its name and
    in its time, whose end was noted in the controller's last pass before the node ended.
    """
    shells = {position: told[position] for position in told if position in entries}
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
    for position, (name, attempt) in shells.items():
        shell = entries[position]
        if attempt is not None and attempt in entries:
            yield msgspec.structs.replace(shell, work_ended_at=entries[attempt].ended_at)
        else:
            ends = [each.ended_at or 0.0 for each in attempts[name] if _may_end(shell, each)]
            if ends:
                middle = (min(ends) + max(ends)) / 2
                shell = msgspec.structs.replace(shell, work_ended_at=middle, doubt_seconds=max(ends) - middle)
            yield shell


def _may_end(shell: Entry, attempt: Entry) -> bool:
    """Whether this may be the last attempt of a node."""
    if attempt.ended_at is None or shell.ended_at is None or attempt.ended_at > shell.ended_at:
        return False
    begins = attempt.started_at == shell.started_at or not attempt.name.endswith("(0)")
    noted = shell.ended_at - attempt.ended_at <= REQUEUE_SECONDS + 1.0
    return begins and attempt.started_at >= shell.started_at and noted


def _with_likely_attempts(entries: list[Entry]) -> Iterator[Entry]:
    """The same where no ids tell which nodes are doubled: by their names, and as far as times make it clear."""
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
    """Give nodes of one name the ends of their last attempts, as far as it is clear whose they are."""
    firsts = [attempt for attempt in attempts if attempt.name.endswith("(0)")]
    begun = {attempt.started_at for attempt in firsts}
    shells = [node for node in nodes if node.ran and node.started_at in begun]
    if len(shells) == 1 == len(firsts):
        attempts = [max(attempts, key=lambda attempt: attempt.started_at)]
    if len(shells) != len(attempts):
        return nodes
    # One attempt each: both begin in the same pass, and who ends first is noted first.
    pairs = zip(sorted(shells, key=_in_time), sorted(attempts, key=_in_time), strict=True)
    rest = [node for node in nodes if not (node.ran and node.started_at in begun)]
    return rest + [msgspec.structs.replace(node, work_ended_at=attempt.ended_at) for node, attempt in pairs]


def _in_time(entry: Entry) -> tuple[float, float]:
    return entry.started_at, math.inf if entry.ended_at is None else entry.ended_at


def settled(entries: list[Entry]) -> bool:
    """Whether these are the entries of a workflow that has ended.

    The server writes them a moment after the run's final state, so at first they may be those of an earlier report.
    """
    return all(
        entry.ended_at is not None for entry in entries if entry.name == "root" or entry.state in _UNDER_WAY
    )
