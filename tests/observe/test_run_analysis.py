from __future__ import annotations

import pytest

from kfp_perf.observe.critical_path import CriticalPath
from kfp_perf.observe.run_analysis import RunAnalysis, analyse, failure_text, task_spans
from kfp_perf.observe.task_details import Entry, TaskExecution
from kfp_perf.observe.times import PathSegment
from kfp_perf.pipelines.shape import Dag, TaskKind, TaskShape
from kfp_perf.result.records import TaskSpan


def entry(name: str, begin: float, end: float | None, state: str = "SUCCEEDED", position: int = -1) -> Entry:
    return Entry(name, state, begin, end, end, position=position)


def failed_run(*entries: tuple[str, str], groups: tuple[str, ...] = ()) -> RunAnalysis:
    """The entries of a run, by name and state: components with executors, except drivers and groups."""
    made = [entry(name, 1.0, 2.0, state, place) for place, (name, state) in enumerate(entries)]
    tasks = [one for one in made if not one.name.endswith("-driver")]
    executions = {one.position: TaskExecution(2.0, False, 0.0) for one in tasks if one.name not in groups}
    return RunAnalysis(made, {one.name for one in tasks}, executions, None)


def test_task_spans_begin_at_the_creation_and_mark_the_critical_path() -> None:
    entries = [
        entry("root", 101, 140, position=0),
        entry("load-driver", 101, 102, position=1),
        entry("load", 103, 110, position=2),
        entry("side", 111, 121, position=3),
        entry("side", 111, 130, position=4),
        entry("skipped", 111, 111, "SKIPPED", position=5),
        entry("not yet", 131, None, "RUNNING", position=6),
    ]
    executions = {
        2: TaskExecution(108.0, False, 0.0),
        3: TaskExecution(120.0, True, 0.0),
        4: TaskExecution(129.0, False, 0.0),
    }
    path = CriticalPath([PathSegment("load", False, 103, 108, 2), PathSegment("side", False, 111, 129, 4)])
    analysis = RunAnalysis(entries, {"load", "side", "skipped", "not yet"}, executions, path)
    assert task_spans(analysis, 100.0) == [
        TaskSpan("load", 3.0, 8.0, True, "SUCCEEDED"),
        TaskSpan("side", 11.0, 20.0, False, "CACHED"),
        TaskSpan("side", 11.0, 29.0, True, "SUCCEEDED"),
    ]
    assert not any(span.waited_for for span in task_spans(analysis._replace(path=None), 100.0))


def test_iterations_with_equal_values_are_different_tasks() -> None:
    """Only one of two equal iterations is on the path, so only one is marked."""
    body = Dag({"work": TaskShape("work", TaskKind.CONTAINER, frozenset())})
    shape = Dag({"loop": TaskShape("loop", TaskKind.LOOP, frozenset(), body)})
    names = ["root-driver", "root", "loop-driver", "loop", "iteration-driver"]
    times = [(0, 1), (2, 40), (2, 4), (5, 40), (5, 7)]
    items = [("iteration-item-driver", (8, 9)), ("iteration-item", (10, 40)), ("work-driver", (10, 12))]
    items += [("work", (13, 35)), ("executor", (13, 30))]
    listed = [*zip(names, times, strict=True), *items, *items]
    entries = [entry(name, begin, end, position=place) for place, (name, (begin, end)) in enumerate(listed)]
    analysis = analyse(entries, shape)
    assert analysis.path is not None
    on_path = [segment for segment in analysis.path.segments if segment.name == "work"]
    marked = [span for span in task_spans(analysis, 0.0) if span.waited_for]
    assert len(on_path) == len(marked) == 1
    assert len(analysis.executions) == len(task_spans(analysis, 0.0)) == 2


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_a_task_never_comes_before_one_that_depends_on_it(order: tuple[str, str]) -> None:
    """Also where both ended in the same second, as a short task and its short successor do."""
    tasks = {"first": TaskShape("first", TaskKind.CONTAINER, frozenset())}
    tasks["second"] = TaskShape("second", TaskKind.CONTAINER, frozenset({"first"}))
    shape = Dag({name: tasks[name] for name in order})
    listed = [("root-driver", 0, 1), ("root", 1, 5)]
    for name in order:
        listed += [(f"{name}-driver", 5, 5), (name, 5, 5), ("executor", 5, 5)]
    entries = [entry(name, begin, end, position=place) for place, (name, begin, end) in enumerate(listed)]
    analysis = analyse(entries, shape)
    assert analysis.path is not None
    assert [segment.name for segment in analysis.path.segments if not segment.is_driver] == [
        "first",
        "second",
    ]


def test_an_importer_does_not_hide_what_depends_on_it() -> None:
    """An importer is one pod, whose end is noted later than it says."""
    shape = Dag(
        {
            "load": TaskShape("load", TaskKind.IMPORTER, frozenset()),
            "train": TaskShape("train", TaskKind.CONTAINER, frozenset({"load"})),
        }
    )
    listed = [("root-driver", 0, 1), ("root", 1, 16), ("load", 1, 8)]
    listed += [("train-driver", 9, 10), ("train", 11, 15), ("executor", 11, 14)]
    entries = [entry(name, begin, end, position=place) for place, (name, begin, end) in enumerate(listed)]
    path = analyse(entries, shape).path
    assert path is not None
    assert [segment.name for segment in path.segments] == ["root-driver", "load", "train-driver", "train"]


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([], "FAILED"),
        ([("load", "SUCCEEDED"), ("train", "FAILED"), ("push", "")], "FAILED: task train failed"),
        ([("b", "FAILED"), ("a", "ERROR"), ("a", "FAILED")], "FAILED: tasks a, b failed"),
        ([(name, "FAILED") for name in "edcba"], "FAILED: tasks a, b, c and 2 more failed"),
        ([("load", "FAILED"), ("train-driver", "FAILED")], "FAILED: tasks load, train (its driver) failed"),
    ],
)
def test_the_tasks_that_failed_are_named(entries: list[tuple[str, str]], text: str) -> None:
    assert failure_text("FAILED", failed_run(*entries), "") == text
    assert failure_text("FAILED", failed_run(*entries), "no space") == f"{text}: no space"


def test_a_group_around_a_failed_task_is_not_named() -> None:
    found = failed_run(("outer", "FAILED"), ("inner", "FAILED"), groups=("outer",))
    assert failure_text("FAILED", found, "") == "FAILED: task inner failed"
    # An importer has no executor either; it is named where nothing else failed.
    importer = failed_run(("import", "FAILED"), groups=("import",))
    assert failure_text("FAILED", importer, "") == "FAILED: task import failed"
