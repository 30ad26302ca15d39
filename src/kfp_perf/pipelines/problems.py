"""What makes a YAML document something other than a pipeline that the API server takes."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import Problem
from kfp_perf.pipelines.graph import dags, dependencies, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMPILE_REMEDY = (
    "compile it with the kfp SDK, version 2: kfp dsl compile --py pipeline.py --output pipeline.yaml"
)
SCHEMA_VERSION = "2.1.0"
"""The one version of the IR that API servers of KFP 2 take."""

MAX_TASKS = 100_000
"""The most tasks that the static expansion of nested DAGs may give; the limits of a server are far lower."""

MAX_NESTING = 100
"""The most levels of nested DAGs; each costs the controller a pass, and Argo's own limits are lower."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}", re.ASCII)


def misfit_of(document: Mapping[str, Any], label: str) -> Problem | None:
    """Return why a document is something else than a PipelineSpec; None: it should be one."""
    if "workflows.argoproj.io" in str(document.get("metadata", "")) or document.get("kind") == "Workflow":
        return Problem(label, "is an Argo workflow (KFP version 1), not a compiled pipeline", COMPILE_REMEDY)
    parts = {"pipelineInfo": "pipeline_info", "root": "root"}
    if not all(isinstance(document.get(name, document.get(other)), dict) for name, other in parts.items()):
        return Problem(label, "is not a compiled pipeline: it needs pipelineInfo and root", COMPILE_REMEDY)
    return None


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
