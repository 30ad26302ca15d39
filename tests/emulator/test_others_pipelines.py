"""Pipelines that KFP's own compiler wrote, from KFP's test data: each runs to its end with the nodes of its IR."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from small_pipelines import Simulation, names, pods

from kfp_emulator.pipelines.ir import Pipeline, load_documents, parse_pipeline

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Report

FOLDER = Path(__file__).parents[2].parent / "shared" / "pipelines"
FILES = sorted(FOLDER.glob("*.yaml"))

pytestmark = pytest.mark.skipif(not FILES, reason="the pipelines of others are not beside this checkout")

VALUES: dict[str, Any] = {
    "STRING": "text",
    "NUMBER_INTEGER": 3,
    "NUMBER_DOUBLE": 1.5,
    "BOOLEAN": True,
    "LIST": ["a", "b"],
    "STRUCT": {"a": 1},
}


class Expected:
    """The nodes that a pipeline's IR asks for, given which conditions held and how many items loops had.

    It reads the documents as they are, and the paths of what really ran: it shares no code with the emulator.
    """

    def __init__(self, document: dict[str, Any], simulation: Simulation) -> None:
        self._components = document["components"]
        self._executors = document["deploymentSpec"].get("executors", {})
        self.ended = {event.task for event in simulation.truth if event.what == "task_finished"}
        self._drove = {event.task for event in simulation.truth if event.what == "driver_start"}
        self._executed = {event.task for event in simulation.truth if event.what == "executor_start"}
        self.nodes: Counter[str] = Counter(["root-driver", "root"])
        self.pods = 1
        self._dag(document["root"]["dag"], "")

    def _dag(self, dag: dict[str, Any], path: str) -> None:
        exits = {name: task for name, task in dag["tasks"].items() if _is_exit(task)}
        for name, task in dag["tasks"].items():
            if name not in exits:
                self._task(name, task, f"{path}{name}")
        for name, task in exits.items():
            for dependency in task["dependentTasks"]:
                hook = f"{path}{dependency}.onExit"
                if f"{hook}.{name}" in self.ended:
                    self.nodes[f"{dependency}.onExit"] += 1
                    self._task(name, task, f"{hook}.{name}")

    def _task(self, name: str, task: dict[str, Any], path: str, *, looped: bool = False) -> None:
        assert path in self.ended
        component = self._components[task["componentRef"]["name"]]
        if "parameterIterator" in task and not looped:
            self._loop(name, task, path)
        elif "dag" in component:
            self.nodes.update([f"{name}-driver", name])
            self.pods += path in self._drove
            if any(each.startswith(f"{path}.") for each in self.ended):
                self._dag(component["dag"], f"{path}.")
        else:
            self._leaf(name, self._executors[component["executorLabel"]], path)

    def _leaf(self, name: str, executor: dict[str, Any], path: str) -> None:
        if "importer" in executor or executor["container"]["image"].startswith("argostub/"):
            self.nodes[name] += 1
            self.pods += 1
            return
        self.nodes.update([f"{name}-driver", name])
        self.pods += path in self._drove
        if path in self._executed:
            self.nodes["executor"] += 1
            self.pods += 1

    def _loop(self, name: str, task: dict[str, Any], path: str) -> None:
        self.nodes[name] += 1
        if path not in self._drove:
            return
        self.nodes.update(["iteration-driver", "iteration-iterations"])
        self.pods += 1
        index = 0
        while True:
            iteration = f"iteration-iterations({index}:{index})"
            item = f"{path}.{iteration}.iteration-item"
            if item not in self.ended:
                return
            self.nodes[iteration] += 1
            self._task("iteration-item", task, item, looped=True)
            index += 1


def _is_exit(task: dict[str, Any]) -> bool:
    strategy = task.get("triggerPolicy", {}).get("strategy")
    return bool(strategy == "ALL_UPSTREAM_TASKS_COMPLETED")


def given(pipeline: Pipeline) -> dict[str, Any]:
    return {
        name: VALUES[parameter.type]
        for name, parameter in pipeline.parameters.items()
        if not (parameter.optional or parameter.has_default)
    }


def without_cache(document: dict[str, Any]) -> None:
    """Switch caching off: a hit within the run has an executor that is skipped, which its own test covers."""
    for component in (document["root"], *document["components"].values()):
        for task in component.get("dag", {}).get("tasks", {}).values():
            task["cachingOptions"] = {}


def run(path: Path, seed: int) -> tuple[dict[str, Any], Simulation, Report]:
    documents = load_documents(path.read_bytes())
    without_cache(documents[0])
    pipeline = parse_pipeline(documents)
    simulation = Simulation(seed=seed)
    return documents[0], simulation, simulation.run(pipeline, **given(pipeline))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_runs_to_its_end_with_the_nodes_of_its_ir(path: Path) -> None:
    for seed in range(3):
        document, simulation, report = run(path, seed)
        assert report.phase == "Succeeded", report.message
        expected = Expected(document, simulation)
        assert names(report) == expected.nodes
        assert pods(report) == expected.pods
        assert simulation.cluster.in_flight() == 0


def test_the_paths_that_conditions_take_differ_with_the_seed() -> None:
    taken = {frozenset(names(run(FOLDER / "flip_coin.yaml", seed)[2]).items()) for seed in range(20)}
    assert len(taken) >= 3
