"""The tasks of the slowest runs, so that a report can show what they waited for."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from kfp_perf.result.model import TaskSpan

if TYPE_CHECKING:
    from kfp_perf.observe.reading import Reading

#: So many of the slowest runs of a scenario keep their tasks, and each so many of them.
MOST_RUNS = 3
MOST_TASKS = 60


class Slowest:
    """Says of each run, as it ends, whether it is among the slowest so far: of many runs that is true of few."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def takes(self, seconds: float) -> bool:
        """Whether a run that took so long is one of them."""
        if len(self._seconds) < MOST_RUNS:
            heapq.heappush(self._seconds, seconds)
            return True
        return heapq.heappushpop(self._seconds, seconds) < seconds


def spans_of(reading: Reading, created_at: float) -> list[TaskSpan]:
    """The tasks that were carried out, by start; of too many, those that the run waited for and the longest."""
    # Of tasks of one name that started in one second, as items of a loop do, their ends tell which it was.
    waited_for = {
        (segment.name, segment.start, segment.end)
        for segment in (() if reading.path is None else reading.path.segments)
    }
    spans = []
    for entry in reading.entries:
        if entry.name not in reading.components or not entry.ran or entry.ended_at is None:
            continue
        execution = reading.executions.get(entry)
        end = execution.ended_at if execution is not None else entry.work_ended_at or entry.ended_at
        spans.append(
            TaskSpan(
                entry.name,
                entry.started_at - created_at,
                end - created_at,
                (entry.name, entry.started_at, end) in waited_for,
                entry.state if execution is None or not execution.cached else "CACHED",
            )
        )
    kept = sorted(spans, key=lambda span: (not span.waited_for, span.begin - span.end))[:MOST_TASKS]
    return sorted(kept, key=lambda span: (span.begin, span.end))
