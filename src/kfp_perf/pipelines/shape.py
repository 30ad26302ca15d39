"""The shape of a pipeline's DAGs, as far as it is needed to identify the entries of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from kfp_perf.pipelines.graph import dependencies, is_exit, is_loop, is_single_pod, waits_for

if TYPE_CHECKING:
    from collections.abc import Mapping


class TaskKind(Enum):
    """The kind of a task, which determines the nodes that a run has of it."""

    CONTAINER = "container"  # T-driver, T, executor
    IMPORTER = "importer"  # T; a volume that its driver makes or deletes is such a pod too
    GROUP = "group"  # T-driver, T, and its contents
    LOOP = "loop"  # T, iteration-driver, and for each item iteration-item-driver, iteration-item


@dataclass(frozen=True, slots=True)
class TaskShape:
    """A task of a DAG with its dependencies and, if it is a group or a loop, the DAG inside.

    `one_after_another`: not all items of a loop may run at the same time. `is_exit`: it starts when its dependency
    has ended, in any state, and other tasks that depend on that wait for it too (KFP compiles it to an exit hook of
    Argo, `T.onExit`).
    """

    name: str
    kind: TaskKind
    dependencies: frozenset[str]
    inner: Dag | None = None
    one_after_another: bool = False
    is_exit: bool = False


@dataclass(frozen=True, slots=True)
class Dag:
    """The tasks of one DAG by name."""

    tasks: dict[str, TaskShape] = field(default_factory=dict)

    def names(self, *kinds: TaskKind) -> set[str]:
        """Return the names of the tasks of some kinds, here and in nested DAGs."""
        found: set[str] = set()
        for task in self.tasks.values():
            if task.kind in kinds:
                found.add(task.name)
            if task.inner is not None:
                found |= task.inner.names(*kinds)
        return found


def shape_of(spec: Mapping[str, Any]) -> Dag:
    """Return the shape of a PipelineSpec (a specification that `read_pipeline` has accepted)."""
    components = spec.get("components", {})
    known: dict[str, Dag] = {}

    def of_component(name: str) -> Dag | None:
        dag = components[name].get("dag")
        if dag is None:
            return None
        if name not in known:
            known[name] = of_dag(dag)
        return known[name]

    def of_dag(dag: Mapping[str, Any]) -> Dag:
        tasks = dag.get("tasks", {})
        exits = {name: dependencies(task) for name, task in tasks.items() if is_exit(task)}
        return Dag({name: of_task(name, task, exits) for name, task in tasks.items()})

    def of_task(name: str, task: Mapping[str, Any], exits: Mapping[str, set[str]]) -> TaskShape:
        component = task["componentRef"]["name"]
        inner = of_component(component)
        if inner is not None:
            kind = TaskKind.GROUP
        else:
            kind = TaskKind.IMPORTER if is_single_pod(spec, component) else TaskKind.CONTAINER
        if name in exits:
            return TaskShape(name, kind, frozenset(exits[name]), inner, is_exit=True)
        needs = frozenset(waits_for(spec, task))
        needs = needs.union(each for each, after in exits.items() if after & needs)
        if is_loop(task):
            limited = bool(task.get("iteratorPolicy", {}).get("parallelismLimit"))
            body = inner or Dag({name: TaskShape(name, kind, frozenset())})
            return TaskShape(name, TaskKind.LOOP, needs, body, limited)
        return TaskShape(name, kind, needs, inner)

    return of_dag(spec["root"]["dag"])
