"""From a pipeline's IR to a plan that can be run: what backend/src/v2/compiler of kubeflow/pipelines decides."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from kfp_emulator.pipelines.argo_rules import WorkflowFault, check_task_names, in_order, template_fault
from kfp_emulator.pipelines.ir import CompileError, Parameter, Pipeline
from kfp_emulator.pipelines.plans import (
    ComponentPlan,
    DagPlan,
    InputPlan,
    LoopPlan,
    Plan,
    RetryPlan,
    TaskPlan,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DEPTH = 100
"""How deep templates may nest: Argo's own limit (maxStackDepth of the workflow controller)."""

_DUMMY_IMAGES = frozenset({"argostub/createpvc", "argostub/deletepvc"})
"""Images of tasks that the driver does itself, so that they have no executor."""


class InvalidWorkflow(CompileError):
    """The pipeline compiles, but Argo refuses the workflow."""


def compile_pipeline(pipeline: Pipeline) -> Plan:
    """Return the plan of a pipeline, made at the first call and kept with it.

    Raises:
        CompileError: a component, an executor or a producer is missing, a component holds itself, or something is
            not supported; the text follows "Internal error: ".
        InvalidWorkflow: a task waits for one that is not there or that runs on exit, tasks wait for each other,
            or a name is none for Argo; the text follows "Failed to validate workflow".

    """
    if pipeline.compiled is None:
        pipeline.compiled = _Compiler(pipeline).compile()
    plan: Plan = pipeline.compiled
    return plan


class _Compiler:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._done: dict[str, ComponentPlan] = {}
        self._depth: dict[str, int] = {}

    def compile(self) -> Plan:
        root = self._component("root")
        if fault := template_fault(_templates(self._done)):
            raise InvalidWorkflow(fault)
        task = TaskPlan(name="root", component=root, inputs=(), artifacts=())
        return Plan(self._pipeline.name, task, self._done)

    def _specification(self, name: str) -> dict[str, Any]:
        return self._pipeline.root if name == "root" else self._pipeline.components[name]

    def _component(self, first: str) -> ComponentPlan:
        """Compile a component after all that it holds, each once, without recursion."""
        open_: dict[str, list[str]] = {first: self._references(first)}
        inherited: dict[str, dict[str, Any] | None] = {first: None}
        through: dict[str, str] = {}
        while open_:
            name, waiting = next(reversed(open_.items()))
            if waiting:
                task_name = waiting.pop()
                task = self._specification(name)["dag"]["tasks"][task_name]
                reference = task["componentRef"]["name"]
                if reference in open_:
                    raise _fault(name, f'the component holds itself through the task "{task_name}"')
                if reference not in self._done:
                    through[reference] = task_name
                    inherited[reference] = task.get("retryPolicy") or inherited[name]
                    open_[reference] = self._references(reference)
            else:
                try:
                    self._done[name] = self._build(name, inherited[name])
                except WorkflowFault as fault:
                    place = _place([(each, through.get(each, "")) for each in open_])
                    raise InvalidWorkflow(f"{place}{fault}") from None
                del open_[name]
        return self._done[first]

    def _references(self, name: str) -> list[str]:
        """Return the names of a component's tasks, last first, checked to refer to something."""
        specification = self._specification(name)
        if "dag" not in specification:
            return []
        tasks = specification["dag"].get("tasks", {})
        for task_name in sorted(tasks):
            task = tasks[task_name]
            reference = task.get("componentRef", {}).get("name", "")
            if not reference:
                raise _fault(
                    name,
                    f'component ref name is empty for task name="{task.get("taskInfo", {}).get("name", "")}"',
                )
            if reference not in self._pipeline.components:
                raise _fault(name, f'cannot find component ref name="{reference}"')
        return sorted(tasks, reverse=True)

    def _build(self, name: str, inherited: dict[str, Any] | None) -> ComponentPlan:
        specification = self._specification(name)
        inputs = {
            key: Parameter.read(key, each)
            for key, each in specification.get("inputDefinitions", {}).get("parameters", {}).items()
        }
        outputs = {
            key: each.get("parameterType", "")
            for key, each in specification.get("outputDefinitions", {}).get("parameters", {}).items()
        }
        plan = ComponentPlan(name, "dag", inputs, outputs)
        if "dag" in specification:
            plan.dag = self._dag(name, specification["dag"], inherited)
            return plan
        self._depth[name] = 2
        label = specification.get("executorLabel", "")
        if not label:
            raise _fault(name, "unknown component implementation")
        executor = self._pipeline.executors.get(label)
        if executor is None:
            raise _fault(name, f'executor(label="{label}") not found in deployment config')
        container = executor.get("container")
        if isinstance(container, dict):
            plan.image = _text(name, container.get("image", ""))
            program = [
                _text(name, each) for part in ("command", "args") for each in container.get(part) or []
            ]
            plan.kind = "volume" if plan.image in _DUMMY_IMAGES else "container"
            plan.fingerprint = _digest([plan.image, program, sorted(outputs.items())])
        elif isinstance(executor.get("importer"), dict):
            plan.kind = "importer"
            plan.artifact_uri = executor["importer"].get("artifactUri")
        else:
            raise _fault(
                name, f'executor(label="{label}"): non-container and non-importer executor not implemented'
            )
        return plan

    def _dag(self, name: str, dag: dict[str, Any], inherited: dict[str, Any] | None) -> DagPlan:
        tasks = dag.get("tasks", {})
        waits_for = {key: _dependencies(name, key, tasks) for key in sorted(tasks)}
        try:
            plans = {key: self._task(key, tasks[key], inherited) for key in waits_for}
        except CompileError as fault:
            raise CompileError(f'compiling DAG "{name}": {fault}') from None
        exits = [key for key in plans if _is_exit(tasks[key])]
        if len(exits) == len(tasks):
            raise CompileError(f'compiling DAG "{name}": DAG {name} must contain one or more non-exit tasks')
        # KFP gives importers nothing to wait for (importerTask of argocompiler/importer.go).
        at_once = {
            key for key, plan in plans.items() if plan.component.kind == "importer" and plan.loop is None
        }
        waits_for.update(dict.fromkeys(at_once.difference(exits), ()))
        order = in_order({key: waits_for[key] for key in plans if key not in exits})
        nodes = [node for key in sorted(order) for node in _nodes(plans[key])]
        check_task_names(nodes, using_depends=len(nodes) > len(order) or any(waits_for[key] for key in order))
        index = {key: position for position, key in enumerate(order)}
        dependents: list[list[int]] = [[] for _ in order]
        for key, position in index.items():
            plan = plans[key]
            plan.index = position
            plan.dependencies = tuple(sorted(index[each] for each in waits_for[key]))
            for before in plan.dependencies:
                dependents[before].append(position)
        for key, position in index.items():
            plans[key].dependents = tuple(dependents[position])
        for key in exits:
            for dependency in waits_for[key]:
                hooked = plans.get(dependency) if dependency in index else None
                if hooked and hooked.loop is None and hooked.component.kind in {"dag", "container"}:
                    hooked.hook = plans[key]
        self._depth[name] = 1 + max(
            self._depth[each.component.name] + (3 if each.loop else 0) for each in plans.values()
        )
        if self._depth[name] > MAX_DEPTH:
            raise CompileError(f'compiling DAG "{name}": Maximum recursion depth exceeded ({MAX_DEPTH})')
        ordered = tuple(plans[key] for key in order)
        leaves = tuple(each.index for each in ordered if not each.dependents)
        return DagPlan(ordered, leaves, _outputs(dag), index, tuple(plans[key] for key in exits))

    def _task(self, name: str, task: dict[str, Any], inherited: dict[str, Any] | None) -> TaskPlan:
        if "artifactIterator" in task:
            raise CompileError("artifact iterator not implemented yet")
        component = self._done[task["componentRef"]["name"]]
        condition = task.get("triggerPolicy", {}).get("condition", "")
        if component.kind == "importer" and condition:
            raise CompileError(
                f'compiling task "{name}": triggerPolicy.condition on importer task is not supported'
            )
        inputs = task.get("inputs", {})
        caching = task.get("cachingOptions", {})
        policy = task.get("retryPolicy") or inherited
        return TaskPlan(
            name=name,
            component=component,
            inputs=tuple(_input(key, each) for key, each in inputs.get("parameters", {}).items()),
            artifacts=tuple(
                sorted(_artifact(key, each) for key, each in inputs.get("artifacts", {}).items())
            ),
            condition=condition,
            loop=_loop(task),
            retry=_retry(policy) if policy and component.kind == "container" else None,
            cache=caching.get("enableCache", False),
            cache_key=caching.get("cacheKey", ""),
        )


def _nodes(task: TaskPlan) -> tuple[str, ...]:
    """Return the names of the Argo tasks that a task becomes."""
    if task.loop is None and task.component.kind in {"dag", "container"}:
        return f"{task.name}-driver", task.name
    return (task.name,)


def _templates(components: Mapping[str, ComponentPlan]) -> Iterator[str]:
    """Yield the names of the templates that come from the pipeline's own names."""
    for name, component in components.items():
        if component.dag is None:
            continue
        yield name
        for task in component.dag.tasks:
            if task.loop is not None:
                yield from (f"{task.component.name}-{task.name}-iterator", f"{task.component.name}-iteration")
        yield from (f"exit-hook-{name}-{task.name}" for task in component.dag.exit_tasks)


def _place(components: list[tuple[str, str]]) -> str:
    """Return where Argo's validation is, from components and the tasks through which it came to them."""
    (root, _), *others = components
    text = f"templates.entrypoint.tasks.root templates.{root}"
    for component, task in others:
        text += f".tasks.{task} templates.{component}"
    return text


def _fault(component: str, text: str) -> CompileError:
    return CompileError(f'error processing component name="{component}": {text}')


def _text(component: str, value: object) -> str:
    if not isinstance(value, str):
        raise _fault(component, "the container's image, command and args must be strings")
    return value


def _digest(value: object) -> bytes:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).digest()


def _is_exit(task: dict[str, Any]) -> bool:
    return bool(task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED")


def _dependencies(dag: str, name: str, tasks: dict[str, Any]) -> tuple[str, ...]:
    """Return what a task waits for: what it names, even if it is not there, and the producers of its inputs."""
    task = tasks[name]
    named = set(task.get("dependentTasks", ()))
    inputs = task.get("inputs", {})
    produced = {
        each[kind].get("producerTask", "")
        for kind, group in (("taskOutputParameter", "parameters"), ("taskOutputArtifact", "artifacts"))
        for each in inputs.get(group, {}).values()
        if kind in each
    }
    for producer in sorted(produced):
        if producer not in tasks:
            raise CompileError(
                f'compiling DAG "{dag}": failed to add implicit deps: unknown producer task "{producer}" in DAG'
            )
    return tuple(sorted(named | produced))


def _input(name: str, given: dict[str, Any]) -> InputPlan:
    selector = given.get("parameterExpressionSelector", "")
    if "taskOutputParameter" in given:
        producer = given["taskOutputParameter"]
        return InputPlan(
            name, "task", producer.get("producerTask", ""), producer.get("outputParameterKey", ""), selector
        )
    if "componentInputParameter" in given:
        return InputPlan(name, "component", given["componentInputParameter"], "", selector)
    if "taskFinalStatus" in given:
        return InputPlan(name, "status", given["taskFinalStatus"].get("producerTask", ""), "", selector)
    value = given.get("runtimeValue", {})
    if "constant" in value:
        return InputPlan(name, "constant", value["constant"], "", selector)
    if "constantValue" in value:
        return InputPlan(name, "constant", next(iter(value["constantValue"].values()), None), "", selector)
    return InputPlan(name, "unknown", None)


def _artifact(name: str, given: dict[str, Any]) -> str:
    """Name an input artifact as the cache's fingerprint does: by the output that it is, not by who made it."""
    return f"{name}={given.get('taskOutputArtifact', {}).get('outputArtifactKey', '')}"


def _loop(task: dict[str, Any]) -> LoopPlan | None:
    iterator = task.get("parameterIterator")
    if iterator is None:
        return None
    items = iterator.get("items", {})
    return LoopPlan(
        item_input=iterator.get("itemInput", ""),
        raw=items.get("raw"),
        items_input=items.get("inputParameter", ""),
        parallelism=max(0, task.get("iteratorPolicy", {}).get("parallelismLimit", 0)),
    )


def _retry(policy: dict[str, Any]) -> RetryPlan:
    return RetryPlan(
        max_count=max(0, policy.get("maxRetryCount", 0)),
        backoff_seconds=max(0.0, policy.get("backoffDuration", 0.0)),
        backoff_factor=max(1.0, policy.get("backoffFactor", 2.0)),
        backoff_max_seconds=max(0.0, policy.get("backoffMaxDuration", 3600.0)),
    )


def _outputs(dag: dict[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for name, output in dag.get("outputs", {}).get("parameters", {}).items():
        if "valueFromParameter" in output:
            selectors = [output["valueFromParameter"]]
        else:
            selectors = output.get("valueFromOneof", {}).get("parameterSelectors", [])
        found[name] = tuple(
            (each.get("producerSubtask", ""), each.get("outputParameterKey", "")) for each in selectors
        )
    return found
