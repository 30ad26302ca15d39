from __future__ import annotations

from kfp_perf.observe.critical_path import CriticalPath
from kfp_perf.observe.entries import Entry
from kfp_perf.observe.executors import Execution
from kfp_perf.observe.reading import Reading
from kfp_perf.observe.stretches import Segment
from kfp_perf.observe.waterfall import spans_of
from kfp_perf.result.records import TaskSpan


def entry(name: str, begin: float, end: float | None, state: str = "SUCCEEDED") -> Entry:
    return Entry(name, state, begin, end, end)


def test_tasks_are_told_from_creation_on_with_the_critical_path() -> None:
    load, left, right = entry("load", 103, 110), entry("side", 111, 121), entry("side", 111, 130)
    entries = [
        entry("root", 101, 140),
        entry("load-driver", 101, 102),
        load,
        left,
        right,
        entry("skipped", 111, 111, "SKIPPED"),
        entry("not yet", 131, None, "RUNNING"),
    ]
    executions = {
        load: Execution(108.0, False, 0.0),
        left: Execution(120.0, True, 0.0),
        right: Execution(129.0, False, 0.0),
    }
    path = CriticalPath([Segment("load", False, 103, 108), Segment("side", False, 111, 129)])
    reading = Reading(entries, {"load", "side", "skipped", "not yet"}, executions, path)
    assert spans_of(reading, 100.0) == [
        TaskSpan("load", 3.0, 8.0, True, "SUCCEEDED"),
        TaskSpan("side", 11.0, 20.0, False, "CACHED"),
        TaskSpan("side", 11.0, 29.0, True, "SUCCEEDED"),
    ]
    assert not any(span.waited_for for span in spans_of(reading._replace(path=None), 100.0))
