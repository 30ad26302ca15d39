"""The tasks of a run that has ended, and which of them it waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.result.records import TaskSpan

if TYPE_CHECKING:
    from kfp_perf.observe.reading import Reading


def spans_of(reading: Reading, created_at: float) -> list[TaskSpan]:
    """The tasks that were carried out, by start."""
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
    return sorted(spans, key=lambda span: (span.begin, span.end))
