"""The work of analysing a run grows as its number of tasks does; CPU times are in `benchmarks/long_loops.py`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from long_loops import LOOPS, loop_pipeline
from true_path import play

from kfp_perf.observe.run_analysis import analyse, task_spans
from kfp_perf.observe.task_details import entries_of, read_nodes
from kfp_perf.pipelines.shape import shape_of

if TYPE_CHECKING:
    from types import FrameType


def lines_of(kind: str, items: int, *, ids: bool, doubled: bool) -> int:
    """How many lines of Python the analysis of such a run executes, each pass of a comprehension as one."""
    documents = loop_pipeline(kind, items)
    shape = shape_of(documents[0])
    shown = play(documents, "kfp-2.17", 2, ids=ids, retry_nodes=doubled).shown
    lines = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        task_spans(analyse(entries_of(read_nodes(shown), shape), shape), 0.0)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("ids", [True, False], ids=["with ids", "without ids"])
@pytest.mark.parametrize("doubled", [True, False], ids=["attempts", "no attempts"])
@pytest.mark.parametrize("kind", LOOPS)
def test_four_times_the_items_are_about_four_times_the_work(kind: str, doubled: bool, ids: bool) -> None:
    few, many = (lines_of(kind, items, ids=ids, doubled=doubled) for items in (20, 80))
    assert many < 6 * few
