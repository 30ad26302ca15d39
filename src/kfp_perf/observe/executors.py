"""Which `executor` entry belongs to which task: they all have the same name, and no key.

The ids of its children tell it of some (see `places`). Else: a task and its executor are made in the same pass of
the controller, so they start in the same second; and of several that start together, the one whose executor ends
first is closed first. What that leaves open is kept as a doubt: how far the ends of those in question lie apart.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from kfp_perf.observe.entries import Entry

EXECUTOR = "executor"


class Execution(NamedTuple):
    """What a task's executor came to: when its pod ended, and whether the cache stood in for it."""

    ended_at: float
    cached: bool
    doubt_seconds: float


#: Executions by the name and times of their tasks.
Executions = dict["Entry", Execution]


def match_executors(entries: list[Entry], components: AbstractSet[str]) -> Executions:
    """The executions of the tasks of these names, as far as the entries show whose they are."""
    placed = {entry.within: entry for entry in entries if entry.name == EXECUTOR and entry.within}
    tasks: defaultdict[float, list[Entry]] = defaultdict(list)
    executors: defaultdict[float, list[Entry]] = defaultdict(list)
    matched: Executions = {}
    for entry in entries:
        if entry.name == EXECUTOR:
            if not entry.within:
                executors[entry.started_at].append(entry)
        elif entry.name in components and entry.ran:
            executor = placed.get(entry.inside)
            if executor is None or executor.work_ended_at is None:
                tasks[entry.started_at].append(entry)
            else:
                matched[entry] = Execution(
                    executor.work_ended_at, executor.state == "SKIPPED", executor.doubt_seconds
                )
    for second, started in tasks.items():
        ended = [entry for entry in executors[second] if entry.work_ended_at is not None]
        if len(ended) == len(started):
            started.sort(key=lambda entry: entry.ended_at or 0.0)
            ended.sort(key=lambda entry: (entry.work_ended_at or 0.0, entry.state != "SKIPPED"))
            matched.update(_in_order(started, ended))
    return matched


def _in_order(tasks: list[Entry], executors: list[Entry]) -> Executions:
    """Pair tasks and executors, both in order of their ends."""
    ends: defaultdict[float | None, list[float]] = defaultdict(list)
    for task, executor in zip(tasks, executors, strict=True):
        ends[task.ended_at].append(executor.work_ended_at or 0.0)
    return {
        task: Execution(
            executor.work_ended_at or 0.0,
            executor.state == "SKIPPED",
            max(ends[task.ended_at]) - min(ends[task.ended_at]) + executor.doubt_seconds,
        )
        for task, executor in zip(tasks, executors, strict=True)
    }
