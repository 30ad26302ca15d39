"""What makes a YAML document something other than a pipeline that the API server takes."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import Problem
from kfp_perf.pipelines.argo_names import name_fault
from kfp_perf.pipelines.graph import dags, dependencies, in_order, is_exit
from kfp_perf.pipelines.ir_fields import is_newer
from kfp_perf.pipelines.misfits import COMPILE_REMEDY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA_VERSION = "2.1.0"
"""The one version of the IR that API servers of KFP 2 take."""

MAX_TASKS = 100_000
"""The most tasks that the static expansion of nested DAGs may give; the limits of a server are far lower."""

MAX_NESTING = 100
"""The most levels of nested DAGs; each costs the controller a pass, and Argo's own limits are lower."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}", re.ASCII)


def faults_of(spec: Mapping[str, Any], label: str, *, complete: bool) -> Iterator[Problem]:
    """Yield the problems of a specification whose fields have the right types.

    Where it is not `complete`, because some fields have the wrong type, only the rest is checked.
    """
    name = spec["pipelineInfo"].get("name")
    if name is None or (isinstance(name, str) and not _NAME.fullmatch(name)):
        what = f"is not a valid name, got {name!r:.60}" if name is not None else "is missing"
        remedy = "use lower-case letters, digits and hyphens, at most 128"
        yield Problem(f"{label}: pipelineInfo.name", what, remedy)
    version = spec.get("schemaVersion")
    if version != SCHEMA_VERSION and isinstance(version, str | None):
        what = f"must be {SCHEMA_VERSION}, got {version or 'none'}"
        yield Problem(f"{label}: schemaVersion", what, COMPILE_REMEDY)
    if complete:
        structure = list(_structure_faults(spec, label))
        yield from structure or _nesting_faults(spec, label)
        if not structure and not is_newer(spec):
            yield from _refusals(spec, label)


def _structure_faults(spec: Mapping[str, Any], label: str) -> Iterator[Problem]:
    components = spec.get("components", {})
    if "dag" not in spec["root"]:
        yield Problem(f"{label}: root.dag", "is missing", COMPILE_REMEDY)
    for dag in dags(spec):
        tasks = dag.get("tasks", {})
        for name, task in tasks.items():
            where = f"{label}: task {name}"
            for other in sorted(dependencies(task) - tasks.keys()):
                yield Problem(where, f"depends on a task that does not exist: {other}", COMPILE_REMEDY)
            component = task.get("componentRef", {}).get("name")
            if component not in components:
                what = f"refers to a component that does not exist: {component or 'none'}"
                yield Problem(where, what, COMPILE_REMEDY)
        try:
            in_order(dag)
        except CycleError as error:
            what = f"has tasks that depend on each other: {', '.join(sorted(set(error.args[1])))}"
            yield Problem(label, what, COMPILE_REMEDY)
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    if not isinstance(executors, dict) or not all(isinstance(one, dict) for one in executors.values()):
        yield Problem(f"{label}: deploymentSpec.executors", "must hold an object for each", COMPILE_REMEDY)
        return
    for name, component in components.items():
        executor = component.get("executorLabel")
        if executor is not None and executor not in executors:
            what = f"refers to an executor that does not exist: {executor}"
            yield Problem(f"{label}: component {name}", what, COMPILE_REMEDY)


def _nesting_faults(spec: Mapping[str, Any], label: str) -> Iterator[Problem]:
    """Yield the components that contain themselves, or that expand to too much; nothing is expanded."""
    inner = {
        name: [task["componentRef"]["name"] for task in component.get("dag", {}).get("tasks", {}).values()]
        for name, component in {**spec.get("components", {}), "": spec["root"]}.items()
    }
    try:
        order = list(TopologicalSorter(inner).static_order())
    except CycleError as error:
        yield Problem(f"{label}: component {error.args[1][0]}", "contains itself", COMPILE_REMEDY)
        return
    sizes: dict[str, int] = {}
    levels: dict[str, int] = {}
    for name in order:
        sizes[name] = sum(1 + sizes[each] for each in inner[name])
        levels[name] = 1 + max((levels[each] for each in inner[name]), default=0)
        where = f"{label}: component {name}" if name else label
        if sizes[name] > MAX_TASKS:
            yield Problem(where, f"expands to more than {MAX_TASKS} tasks", COMPILE_REMEDY)
            return
        if levels[name] > MAX_NESTING:
            yield Problem(where, f"is nested more than {MAX_NESTING} levels deep", COMPILE_REMEDY)
            return


def _refusals(spec: Mapping[str, Any], label: str) -> Iterator[Problem]:
    """Yield what the API server takes at upload, and refuses of every run (KFP 2.17)."""
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for name, component in {"root": spec["root"], **spec.get("components", {})}.items():
        if "dag" in component:
            yield from _dag_refusals(spec, name, component["dag"].get("tasks", {}), label)
        elif not {"container", "importer"} & executors.get(component.get("executorLabel"), {}).keys():
            what = "has no container, importer or DAG, and API servers run nothing else"
            yield Problem(f"{label}: component {name}", what, "use a component that KFP can run")


def _dag_refusals(
    spec: Mapping[str, Any], component: str, tasks: Mapping[str, Any], label: str
) -> Iterator[Problem]:
    exits = {name for name, task in tasks.items() if is_exit(task)}
    if len(exits) == len(tasks):
        what = f"has no task{' but exit tasks' * bool(tasks)}"
        yield Problem(f"{label}: {component}", what, "add a task to the pipeline, and compile it again")
    for name, task in tasks.items():
        where = f"{label}: task {name}"
        if name not in exits and (behind := sorted(dependencies(task) & exits)):
            what = f"depends on the exit task {behind[0]}, which nothing can wait for"
            remedy = "let no task follow one of ExitHandler or ignore_upstream_failure"
            yield Problem(where, what, remedy)
        if fault := name_fault(name, task):
            yield Problem(where, fault, "rename the component or the loop, and compile the pipeline again")
        if "artifactIterator" in task:
            what = "loops over artifacts, which API servers cannot run yet"
            yield Problem(where, what, "loop over a parameter, such as a list of URIs")
        if "condition" in task.get("triggerPolicy", {}) and _imports(spec, task):
            what = "is an importer with a condition, which API servers cannot run"
            yield Problem(where, what, "put the importer into a group with the condition (dsl.If)")


def _imports(spec: Mapping[str, Any], task: Mapping[str, Any]) -> bool:
    component = spec["components"][task["componentRef"]["name"]]
    return "importer" in spec["deploymentSpec"]["executors"].get(component.get("executorLabel"), {})
