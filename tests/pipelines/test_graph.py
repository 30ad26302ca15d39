from __future__ import annotations

import graphlib
from typing import Any

import pytest

from kfp_perf.pipelines.graph import dependencies, in_order, sequential_steps


def task(component: str = "work", *after: str, **more: Any) -> dict[str, Any]:
    return {"componentRef": {"name": component}, "dependentTasks": list(after), **more}


def spec(**tasks: dict[str, Any]) -> dict[str, Any]:
    group = {"dag": {"tasks": {"a": task(), "b": task("work", "a")}}}
    outer = {"dag": {"tasks": {"g": task("group")}}}
    return {
        "components": {
            "work": {"executorLabel": "e"},
            "group": group,
            "outer": outer,
            "get": {"executorLabel": "get"},
            "volume": {"executorLabel": "volume"},
        },
        "deploymentSpec": {
            "executors": {
                "e": {"container": {"image": "python:3.11"}},
                "get": {"importer": {}},
                "volume": {"container": {"image": "argostub/createpvc"}},
            }
        },
        "root": {"dag": {"tasks": tasks}},
    }


def test_dependencies_are_named_or_come_with_inputs() -> None:
    waits = {
        "dependentTasks": ["a"],
        "inputs": {
            "parameters": {
                "x": {"taskOutputParameter": {"producerTask": "b", "outputParameterKey": "o"}},
                "y": {"componentInputParameter": "p"},
                "z": {"taskFinalStatus": {"producerTask": "d"}},
            },
            "artifacts": {"w": {"taskOutputArtifact": {"producerTask": "c", "outputArtifactKey": "o"}}},
        },
    }
    assert dependencies(waits) == {"a", "b", "c", "d"}
    assert dependencies({}) == set()


def test_tasks_in_order() -> None:
    dag = {"tasks": {"c": task("work", "b"), "b": task("work", "a"), "a": task()}}
    assert in_order(dag) == ["a", "b", "c"]
    assert in_order({}) == []
    with pytest.raises(graphlib.CycleError):
        in_order({"tasks": {"a": task("work", "b"), "b": task("work", "a")}})


@pytest.mark.parametrize(
    ("tasks", "steps"),
    [
        ({}, 1),  # the root's driver
        ({"a": task()}, 3),  # and a task's driver and executor
        ({"a": task(), "b": task()}, 3),  # side by side
        ({"a": task(), "b": task("work", "a")}, 5),  # in a row
        ({"a": task("group")}, 6),  # a group's driver, and two in a row within it
        ({"a": task("outer")}, 7),  # a driver for each level
        ({"a": task("group", parameterIterator={})}, 7),  # a loop has drivers for its iterations
        ({"a": task(), "b": task("group", "a"), "c": task("work", "b")}, 10),
        ({"a": task(), "b": task("group"), "c": task("work", "a", "b")}, 8),  # the longest way counts
        ({"a": task(), "v": task("volume", "a")}, 4),  # the driver makes the volume
        ({"a": task(), "i": task("get", "a"), "b": task("work", "i")}, 4),  # an importer waits for nothing
    ],
)
def test_steps_in_a_row(tasks: dict[str, Any], steps: int) -> None:
    assert sequential_steps(spec(**tasks)) == steps
