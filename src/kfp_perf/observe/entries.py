"""Reading a run's task entries: the one place that knows their shape.

`run_details.task_details` has an entry for each Argo node, in no order, without a key that joins them: only names
and times, in whole seconds, tell what belongs together. Two things double entries: tasks that may be cached leave
one without a name when they succeed, and a retry strategy makes of a node `X` also its attempts `X(0)`, `X(1)`.
The former are left out; of the latter `X` stays, which spans its attempts, with the end of its last one.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.client.messages import parse_time

if TYPE_CHECKING:
    from kfp_perf.client.messages import Run

_UNDER_WAY = frozenset({"PENDING", "RUNNING"})
_ATTEMPT = re.compile(r"\(\d+\)$")


class _WireEntry(msgspec.Struct):
    display_name: str = ""
    state: str = ""
    start_time: str = ""
    end_time: str = ""


class Entry(msgspec.Struct, frozen=True):
    """One node of a run's workflow. Times are the workflow controller's whole seconds; None: not yet.

    A pod's end is noted when it happens, that of anything around it (a group, a task around its executor, a node
    around its attempts) in the controller's next pass, up to ten seconds later. So `ended_at` is when what
    depends on it could begin, and `work_ended_at` when the work itself had ended.
    """

    name: str
    state: str
    started_at: float
    ended_at: float | None
    work_ended_at: float | None

    @property
    def seconds(self) -> float | None:
        """How long it took, off by less than a second."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    @property
    def ran(self) -> bool:
        """Whether it was carried out: neither skipped, nor omitted after a failure, nor unfinished."""
        return self.ended_at is not None and self.state not in {"", "SKIPPED"}


_decoder = msgspec.json.Decoder(list[_WireEntry])


def read_entries(run: Run) -> list[Entry]:
    """The entries of a run by start, without doubles; empty where there are none, or none that can be read."""
    details = run.run_details
    if details is None or not bytes(details.task_details):
        return []
    try:
        wire = _decoder.decode(details.task_details)
    except (msgspec.MsgspecError, RecursionError):
        return []
    by_name: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in wire:
        started_at, ended_at = parse_time(entry.start_time), parse_time(entry.end_time)
        if entry.display_name and started_at is not None:
            made = Entry(entry.display_name, entry.state, started_at, ended_at, ended_at)
            by_name[entry.display_name].append(made)
    attempts: defaultdict[str, list[Entry]] = defaultdict(list)
    for name in tuple(by_name):
        shell_name = _ATTEMPT.sub("", name)
        if shell_name != name and shell_name in by_name:
            attempts[shell_name] += by_name.pop(name)
    entries = [entry for name, shells in by_name.items() for entry in _with_attempts(shells, attempts[name])]
    return sorted(entries, key=lambda entry: (entry.started_at, entry.name))


def _with_attempts(nodes: list[Entry], attempts: list[Entry]) -> list[Entry]:
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
