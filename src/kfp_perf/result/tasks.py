"""The tasks of runs: a line each in `tasks.jsonl`, and what `runs.jsonl` keeps of them for pictures."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from kfp_perf.result.records import RunRecord, TaskSpan

#: How many of the slowest runs of a scenario have their tasks in `runs.jsonl`, and how many tasks of each.
MOST_RUNS = 3
MOST_TASKS = 60


class TaskRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task of a run that has ended; a line of `tasks.jsonl`.

    `started_at` (with the start of its pod) and `ended_at` are the workflow controller's whole seconds since the
    Unix epoch. `on_critical_path`: the run waited for it. `state` is KFP's, or `CACHED`. `run` is the run's name.
    """

    scenario: str
    run_id: str
    run: str
    task: str
    started_at: float
    ended_at: float
    on_critical_path: bool = False
    state: str = ""


_encoder = msgspec.json.Encoder()


def task_lines(record: RunRecord) -> bytes:
    """The lines of a run's tasks, without a line's end after the last; empty where its creation is not known."""
    created_at = record.created_at
    if created_at is None:
        return b""
    tasks = [
        TaskRecord(
            scenario=record.scenario,
            run_id=record.run_id,
            run=record.name,
            task=task.name,
            started_at=created_at + task.begin,
            ended_at=created_at + task.end,
            on_critical_path=task.waited_for,
            state=task.state,
        )
        for task in record.tasks
    ]
    return _encoder.encode_lines(tasks).removesuffix(b"\n")


class Slowest:
    """Decides, as each run ends, whether it is among the slowest so far."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def takes(self, seconds: float) -> bool:
        """Whether a run of this duration is one of them."""
        if len(self._seconds) < MOST_RUNS:
            heapq.heappush(self._seconds, seconds)
            return True
        return heapq.heappushpop(self._seconds, seconds) < seconds


def select_tasks(tasks: list[TaskSpan]) -> list[TaskSpan]:
    """Of too many tasks keep those on the critical path, then the longest; ordered by start."""
    kept = sorted(tasks, key=lambda span: (not span.waited_for, span.begin - span.end))[:MOST_TASKS]
    return sorted(kept, key=lambda span: (span.begin, span.end))
