"""What goes wrong in runs and can be foreseen from a pipeline and the values of its parameters.

It follows KFP 2.17: resolveInputs of v2/driver/resolve.go, v2/component/importer_launcher.go, and DAG of
v2/compiler/argocompiler/dag.go in its backend. Which tasks run can depend on conditions, so these are warnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.errors import Problem
from kfp_perf.pipelines.graph import dependencies, is_exit, is_loop, is_single_pod

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def foreseen_problems(spec: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what goes wrong in runs with these values; `where` is a parameter of the pipeline, or `task NAME`."""
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    absent = {name: name for name in _without_value(inputs) if name not in values}
    needed: dict[str, list[str]] = {}
    for missing, task in _unresolved(spec, spec["root"], "", absent, frozenset(), set()):
        needed.setdefault(missing, []).append(task)
    for missing, tasks in needed.items():
        fail = f"the tasks {', '.join(tasks)} fail" if len(tasks) > 1 else f"the task {tasks[0]} fails"
        yield Problem(missing, f"is not given and has no default, and {fail} without it", "give it a value")
    yield from _loops(spec)
    yield from _importers(spec)
    for holder in (spec["root"], *spec.get("components", {}).values()):
        yield from _exit_tasks(spec, holder.get("dag", {}).get("tasks", {}))


def _without_value(inputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield the optional inputs without a default: they are null where they are not given."""
    for name, definition in inputs.items():
        if definition.get("isOptional") and "defaultValue" not in definition:
            yield name


def _unresolved(
    spec: Mapping[str, Any],
    component: Mapping[str, Any],
    path: str,
    nulls: Mapping[str, str],
    lacking: frozenset[str],
    seen: set[object],
) -> Iterator[tuple[str, str]]:
    """Yield what was not given and the task of a DAG that needs it: an input is null, or the DAG does not have it.

    `nulls` maps inputs to what was not given: a parameter of the pipeline, or `task NAME: the input INPUT` of a
    nested one. A null that is passed on to a nested DAG is lacking there, where even tasks with an optional input
    fail.
    """
    for name, task in component["dag"].get("tasks", {}).items():
        inner = spec["components"][task["componentRef"]["name"]]
        inputs = inner.get("inputDefinitions", {}).get("parameters", {})
        given = {key: each.get("componentInputParameter") for key, each in _parameters(task).items()}
        place = f"{path}{name}"
        left_out = {key: nulls[source] for key, source in given.items() if source in nulls}
        failing = {
            nulls[source]
            for key, source in given.items()
            if source in nulls and (source in lacking or not inputs.get(key, {}).get("isOptional"))
        }
        if failing:
            yield from ((missing, place) for missing in sorted(failing))
        elif "dag" in inner:
            not_given = (key for key in _without_value(inputs) if key not in given)
            nested = {key: f"task {place}: the input {key}" for key in not_given}
            key = (task["componentRef"]["name"], frozenset(nested), frozenset(left_out))
            if key not in seen:
                seen.add(key)
                yield from _unresolved(spec, inner, f"{place}/", nested | left_out, frozenset(left_out), seen)


def _parameters(task: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] = task.get("inputs", {}).get("parameters", {})
    return parameters


def _tasks(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield the tasks of all DAGs: name, task, component."""
    for holder in (spec["root"], *spec.get("components", {}).values()):
        for name, task in holder.get("dag", {}).get("tasks", {}).items():
            yield name, task, spec["components"][task["componentRef"]["name"]]


def _loops(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the loops whose tasks use the list, such as a loop within over the same: they have its item only."""
    for name, task, component in _tasks(spec):
        items = task.get("parameterIterator", {}).get("items", {}).get("inputParameter")
        users = [
            each
            for each, inner in component.get("dag", {}).get("tasks", {}).items()
            if items
            and any(items == one.get("componentInputParameter") for one in _parameters(inner).values())
        ]
        if users:
            what = f"loops over {items}, which its task {users[0]} uses too: KFP gives a loop's tasks only the item"
            yield Problem(f"task {name}", what, "pass the list into the loop by another task or parameter")


def _importers(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the importers whose URI is the output of a task: KFP does not look that up."""
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for name, task, component in _tasks(spec):
        importer = executors.get(component.get("executorLabel"), {}).get("importer")
        uri = importer.get("artifactUri") if isinstance(importer, dict) else None
        source = uri.get("runtimeParameter", "") if isinstance(uri, dict) else ""
        producer = _parameters(task).get(source, {}).get("taskOutputParameter")
        if producer:
            what = (
                f"imports a URI that is an output of {producer['producerTask']}, which KFP does not look up"
            )
            yield Problem(f"task {name}", what, "take the URI from a parameter of the pipeline")


def _exit_tasks(spec: Mapping[str, Any], tasks: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the exit tasks of a DAG that run never or several times: a task or a group has one exit hook."""
    follows: dict[str, list[str]] = {name: [] for name, task in sorted(tasks.items()) if is_exit(task)}
    hooks = {
        before: name
        for name in follows
        for before in dependencies(tasks[name])
        if before not in follows
        and not is_loop(tasks[before])
        and not is_single_pod(spec, tasks[before]["componentRef"]["name"])
    }
    for before, name in sorted(hooks.items()):
        follows[name].append(before)
    for name, followed in follows.items():
        if not followed:
            others = sorted({hooks[each] for each in dependencies(tasks[name]) if each in hooks})
            why = (
                f"{others[0]} runs in its place"
                if others
                else "it follows no task or group with an exit hook"
            )
            remedy = "let it follow a task, or a group (ExitHandler), that no other exit task follows"
            yield Problem(f"task {name}", f"never runs: {why}", remedy)
        elif len(followed) > 1:
            what = f"runs {len(followed)} times, on the exit of each of {', '.join(followed)}"
            yield Problem(f"task {name}", what, "put these into a group (ExitHandler) for it to follow")
