from __future__ import annotations

import pytest

from kfp_perf.observe.entries import Entry
from kfp_perf.observe.executors import Execution
from kfp_perf.observe.reading import Reading
from kfp_perf.observe.why import why


def reading(*entries: tuple[str, str], groups: tuple[str, ...] = ()) -> Reading:
    """The entries of a run, by name and state: components with executors, except drivers and groups."""
    made = [Entry(name, state, 1.0, 2.0, 2.0) for name, state in entries]
    tasks = [one for one in made if not one.name.endswith("-driver")]
    executions = {one: Execution(2.0, False, 0.0) for one in tasks if one.name not in groups}
    return Reading(made, {one.name for one in tasks}, executions, None)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([], "FAILED"),
        ([("load", "SUCCEEDED"), ("train", "FAILED"), ("push", "")], "FAILED: task train failed"),
        ([("b", "FAILED"), ("a", "ERROR"), ("a", "FAILED")], "FAILED: tasks a, b failed"),
        ([(name, "FAILED") for name in "edcba"], "FAILED: tasks a, b, c and 2 more failed"),
        ([("load", "FAILED"), ("train-driver", "FAILED")], "FAILED: tasks load, train (its driver) failed"),
    ],
)
def test_the_tasks_that_failed_are_named(entries: list[tuple[str, str]], told: str) -> None:
    assert why("FAILED", reading(*entries), "") == told
    assert why("FAILED", reading(*entries), "no room") == f"{told}: no room"


def test_a_group_around_a_failed_task_is_not_named() -> None:
    found = reading(("outer", "FAILED"), ("inner", "FAILED"), groups=("outer",))
    assert why("FAILED", found, "") == "FAILED: task inner failed"
    # An importer has no executor either; it is named where nothing else failed.
    assert (
        why("FAILED", reading(("import", "FAILED"), groups=("import",)), "") == "FAILED: task import failed"
    )
