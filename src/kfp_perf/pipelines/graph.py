"""Dependencies in a pipeline's DAGs, and the length of the longest path through them."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def dags(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the root's DAG and those of the components."""
    for component in (spec["root"], *spec.get("components", {}).values()):
        if "dag" in component:
            yield component["dag"]


def dependencies(task: Mapping[str, Any]) -> set[str]:
    """Return the tasks of the same DAG that a task depends on: by name, or by an output that is its input."""
    inputs = task.get("inputs", {})
    taken = [*inputs.get("parameters", {}).values(), *inputs.get("artifacts", {}).values()]
    return {*task.get("dependentTasks", ()), *(name for source in taken for name in _producers(source))}


def _producers(source: Mapping[str, Any]) -> Iterator[str]:
    for key in ("taskOutputParameter", "taskOutputArtifact", "taskFinalStatus"):
        if key in source:
            yield source[key]["producerTask"]


def is_exit(task: Mapping[str, Any]) -> bool:
    """Whether a task runs once those it depends on have ended, in whatever way: KFP makes an exit hook of it."""
    return bool(task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED")


def is_loop(task: Mapping[str, Any]) -> bool:
    """Whether a task runs its component once for each item of a list."""
    return "parameterIterator" in task or "artifactIterator" in task


def waits_for(spec: Mapping[str, Any], task: Mapping[str, Any]) -> set[str]:
    """Return the tasks that a task starts after: those it depends on.

    An importer starts with its DAG, whatever it depends on (importerTask of argocompiler/importer.go, KFP 2.17).
    """
    importer = "importer" in _executor(spec, task["componentRef"]["name"])
    return set() if importer and not is_loop(task) else dependencies(task)


def is_single_pod(spec: Mapping[str, Any], component: str) -> bool:
    """Whether a component has one pod and not two: an importer, or a volume that its driver makes or deletes."""
    executor = _executor(spec, component)
    container = executor.get("container")
    image = container.get("image") if isinstance(container, dict) else None
    return "importer" in executor or (isinstance(image, str) and image in _VOLUME_IMAGES)


_VOLUME_IMAGES = frozenset({"argostub/createpvc", "argostub/deletepvc"})
"""The images that mean work of the driver itself (dummyImages of argocompiler/container.go)."""


def _executor(spec: Mapping[str, Any], component: str) -> Mapping[str, Any]:
    label = spec["components"][component].get("executorLabel", "")
    executor: Mapping[str, Any] = spec.get("deploymentSpec", {}).get("executors", {}).get(label, {})
    return executor


def in_order(dag: Mapping[str, Any]) -> list[str]:
    """Return a DAG's tasks, each after those it depends on. Raises graphlib.CycleError for a cycle."""
    tasks = dag.get("tasks", {})
    return list(
        TopologicalSorter(
            {name: dependencies(task) & tasks.keys() for name, task in tasks.items()}
        ).static_order()
    )


def sequential_steps(spec: Mapping[str, Any]) -> int:
    """Return how many pods run one after the other on the longest path through a pipeline.

    The root's driver is one; a container task has two (driver, executor), an importer or a volume one; a group its
    driver and its contents; a loop its driver, the drivers of its iterations and one iteration (they run in
    parallel), as in KFP 2.17. Retries and parallelism limits are not counted.
    """
    components = spec.get("components", {})
    known: dict[str, int] = {}

    def of_component(name: str) -> int:
        if name not in known:
            inner = components[name].get("dag")
            known[name] = 1 + of_dag(inner) if inner is not None else 1 if is_single_pod(spec, name) else 2
        return known[name]

    def of_dag(dag: Mapping[str, Any]) -> int:
        tasks = dag.get("tasks", {})
        ends: dict[str, int] = {}
        for name in in_order(dag):
            task = tasks[name]
            begin = max((ends[other] for other in waits_for(spec, task) if other in ends), default=0)
            ends[name] = begin + of_component(task["componentRef"]["name"]) + is_loop(task)
        return max(ends.values(), default=0)

    return 1 + of_dag(spec["root"]["dag"])
