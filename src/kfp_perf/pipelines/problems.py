"""What makes a YAML document something other than a pipeline that the API server takes."""

from __future__ import annotations

import re
from graphlib import CycleError
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import Problem
from kfp_perf.pipelines.graph import dags, dependencies, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMPILE_REMEDY = "compile it with the kfp SDK, version 2 (`kfp dsl compile`)"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}", re.ASCII)


def faults_of(spec: Mapping[str, Any], label: str) -> Iterator[Problem]:
    """Yield the faults of a document that should be a PipelineSpec."""
    if "workflows.argoproj.io" in str(spec.get("metadata", "")) or spec.get("kind") == "Workflow":
        yield Problem(label, "is an Argo workflow (KFP version 1), not a compiled pipeline", COMPILE_REMEDY)
        return
    info, root, components = spec.get("pipelineInfo"), spec.get("root"), spec.get("components", {})
    if not isinstance(info, dict) or not isinstance(root, dict) or not isinstance(components, dict):
        yield Problem(label, "is not a compiled pipeline: it needs pipelineInfo and root", COMPILE_REMEDY)
        return
    name = info.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        remedy = "use lower-case letters, digits and hyphens, at most 128"
        yield Problem(f"{label}: pipelineInfo.name", f"is not a pipeline's name, got {name!r:.60}", remedy)
    version = str(spec.get("schemaVersion", ""))
    if not version.startswith("2.1"):
        yield Problem(f"{label}: schemaVersion", f"must be 2.1.0, got {version or 'none'}", COMPILE_REMEDY)
    if not isinstance(root.get("dag"), dict):
        yield Problem(f"{label}: root.dag", "is missing", COMPILE_REMEDY)
        return
    try:
        yield from _structure_faults(spec, label)
    except CycleError:
        yield Problem(label, "has tasks that wait for each other", COMPILE_REMEDY)
    except (AttributeError, KeyError, TypeError, ValueError):
        yield Problem(label, "is not a compiled pipeline: its tasks cannot be read", COMPILE_REMEDY)


def _structure_faults(spec: Mapping[str, Any], label: str) -> Iterator[Problem]:
    """Yield faults of the DAGs; what has not even the right types raises."""
    components = spec.get("components", {})
    for component in (spec["root"], *_texts(components).values()):
        _texts(_texts(component).get("dag", {"tasks": {}})["tasks"])
    for dag in dags(spec):
        in_order(dag)
        for task_name, task in dag["tasks"].items():
            for other in sorted(dependencies(task) - dag["tasks"].keys()):
                yield Problem(f"{label}: task {task_name}", f"waits for no task: {other}", COMPILE_REMEDY)
            component = task["componentRef"]["name"]
            if component not in components:
                yield Problem(
                    f"{label}: task {task_name}", f"refers to no component: {component}", COMPILE_REMEDY
                )
    for name, raw in _texts(spec["root"].get("inputDefinitions", {}).get("parameters", {})).items():
        if not isinstance(raw, dict):
            yield Problem(f"{label}: parameter {name}", "must be an object", COMPILE_REMEDY)


def _texts(value: Any) -> dict[str, Any]:
    """Return an object whose keys are texts. Raises TypeError for anything else."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise TypeError
    return value
