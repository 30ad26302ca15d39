"""The Argo workflows that KFP's own compiler made of others' pipelines have the tasks of our plans.

They are the expected results of KFP's compiler tests (test_data/compiled-workflows of kubeflow/pipelines).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from kfp_emulator.pipelines.compiler import compile_pipeline
from kfp_emulator.pipelines.ir import load_documents, parse_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_emulator.pipelines.plans import ComponentPlan, TaskPlan

SHARED = Path(__file__).parents[2].parent / "shared"
FILES = sorted((SHARED / "workflows").glob("*.yaml"))

pytestmark = pytest.mark.skipif(not FILES, reason="the workflows of others are not beside this checkout")


class ArgoTask(NamedTuple):
    """A task of a DAG in a workflow: what it waits for, and what else decides when it runs."""

    depends: frozenset[str]
    has_hook: bool
    has_condition: bool
    retried: bool


def in_workflow(template: dict[str, Any]) -> dict[str, ArgoTask]:
    return {
        task["name"]: ArgoTask(
            frozenset(each.strip().removesuffix(".Succeeded") for each in task["depends"].split("&&"))
            if "depends" in task
            else frozenset(),
            "hooks" in task,
            "when" in task,
            task["template"].startswith("retry-"),
        )
        for task in template["dag"]["tasks"]
    }


def in_plan(component: ComponentPlan) -> dict[str, ArgoTask]:
    if component.dag is None:
        return {}
    tasks = component.dag.tasks
    return {
        name: each
        for task in tasks
        for name, each in _argo_tasks(task, frozenset(tasks[index].name for index in task.dependencies))
    }


def _argo_tasks(task: TaskPlan, depends: frozenset[str]) -> Iterator[tuple[str, ArgoTask]]:
    hook = task.hook is not None
    if task.loop is not None or task.component.kind in {"importer", "volume"}:
        yield task.name, ArgoTask(depends, hook, False, False)
    else:
        driver = f"{task.name}-driver"
        yield driver, ArgoTask(depends, False, False, False)
        yield task.name, ArgoTask(frozenset({driver}), hook, bool(task.condition), task.retry is not None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_plan_has_the_tasks_of_the_workflow(path: Path) -> None:
    workflow = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    templates = {each["name"]: each for each in workflow["spec"]["templates"]}
    pipeline = parse_pipeline(load_documents((SHARED / "pipelines" / path.name).read_bytes()))
    components = compile_pipeline(pipeline).components
    dags = {name: component for name, component in components.items() if component.dag is not None}
    assert dags.keys() <= templates.keys()
    assert {name: in_plan(each) for name, each in dags.items()} == {
        name: in_workflow(templates[name]) for name in dags
    }
    for component in dags.values():
        for task in component.dag.tasks if component.dag else ():
            if task.loop is not None:
                loop = templates[f"{task.component.name}-{task.name}-iterator"]
                assert loop.get("parallelism", 0) == task.loop.parallelism
