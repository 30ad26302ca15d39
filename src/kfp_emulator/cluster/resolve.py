"""What a driver works out before its task runs: the input parameters, the condition, the items of a loop.

Follows backend/src/v2/driver/resolve.go of kubeflow/pipelines, for parameters; artifacts have no content here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kfp_emulator.cluster.cel import Cel, CelError, as_text
from kfp_emulator.cluster.nodes import SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.cluster.frames import Frame, RunningWorkflow, TaskRun
    from kfp_emulator.pipelines.ir import Parameter
    from kfp_emulator.pipelines.plans import InputPlan

MISSING = object()
"""The value of what was not given, or not produced."""


class ResolveError(ValueError):
    """Inputs that cannot be resolved: the driver fails."""


class Resolver:
    """Looks values up in a workflow; `make` makes up the outputs of containers (workflow, task run, key)."""

    def __init__(self, cel: Cel, make: Callable[[RunningWorkflow, TaskRun, str], Any]) -> None:
        self._cel = cel
        self._make = make

    def inputs(self, workflow: RunningWorkflow, run: TaskRun) -> dict[str, Any]:
        """Return the input parameters of a task.

        Raises:
            ResolveError: one cannot be had, or has the wrong type.

        """
        component = run.plan.component
        given = run.base
        values: dict[str, Any] = {}
        nulls: set[str] = set()
        if given is not None:
            values = dict(given)
            nulls = {name for name, value in values.items() if value is None}
        else:
            for plan in run.plan.inputs:
                value = self._input(workflow, run, plan)
                definition = component.inputs.get(plan.name)
                if value is MISSING:
                    free = definition is not None and (definition.optional or definition.has_default)
                    if plan.kind == "component" or not free:
                        raise ResolveError(f"failed to resolve inputs: {_describe(plan)}")
                    continue
                if value is None and plan.kind == "component":
                    if definition is None or not definition.optional:
                        raise ResolveError(
                            f"failed to resolve inputs: the resolved input parameter is null: {plan.source}"
                        )
                    continue
                if definition is not None and not definition.allows(value):
                    raise ResolveError(
                        f'failed to resolve inputs: validating parameter "{plan.name}": '
                        f"{definition.refusal_of(value)}"
                    )
                if plan.selector:
                    value = self._selected(plan, value)
                values[plan.name] = value
        self._complete(run, values, nulls)
        return values

    def _complete(self, run: TaskRun, values: dict[str, Any], nulls: set[str]) -> None:
        """Fill in defaults where the component is a DAG, and check the types.

        A DAG gets no default for what its task was to pass on, and turned out to be null.
        """
        component, loop = run.plan.component, run.plan.loop
        passed_on = {plan.name for plan in run.plan.inputs}
        for name, parameter in component.inputs.items():
            if loop is not None and name == (loop.item_input if run.base is None else loop.items_input):
                continue
            if name not in values:
                if parameter.optional or parameter.has_default:
                    if component.kind == "dag" and parameter.optional and name not in passed_on:
                        values[name] = parameter.default
                    continue
                raise ResolveError(
                    "failed to resolve inputs: neither value nor default value provided for non-optional "
                    f'parameter "{name}"'
                )
            if name not in nulls:
                values[name] = _fitted(parameter, values[name])

    def _input(self, workflow: RunningWorkflow, run: TaskRun, plan: InputPlan) -> Any:
        scope = run.frame.scope
        if plan.kind == "constant":
            return _with_placeholders(workflow, plan.source)
        if plan.kind == "component":
            return scope.inputs.get(plan.source, MISSING)
        producer = _task(scope, plan.source)
        if producer is None:
            return MISSING
        if plan.kind == "task":
            return self.output(workflow, producer, plan.key)
        return _final_status(workflow, producer)

    def _selected(self, plan: InputPlan, value: Any) -> Any:
        try:
            return self._cel.select(plan.selector, value)
        except CelError as fault:
            raise ResolveError(
                f'failed to resolve inputs: resolving parameter "{plan.name}": evaluation of parameter '
                f'expression selector "{plan.selector}" failed: {fault}'
            ) from None

    def artifact_uri(self, run: TaskRun) -> str:
        """Return what an importer imports: a constant, or an input of the DAG around it.

        An input that comes from another task is not looked up (backend/src/v2/component/importer_launcher.go).

        Raises:
            ResolveError: there is none.

        """
        uri = run.plan.component.artifact_uri
        uri = uri if isinstance(uri, dict) else {}
        if "constant" in uri:
            value, fault = uri["constant"], "empty Artifact URI constant value"
        elif name := uri.get("runtimeParameter"):
            plan = next((each for each in run.plan.inputs if each.name == name), None)
            if plan is None:
                raise ResolveError(f"cannot find parameter {name} in task input to fetch artifact uri")
            source = plan.source if plan.kind == "component" else ""
            inputs = run.frame.scope.inputs
            if source not in inputs:
                raise ResolveError(
                    f"error resolving artifact URI: parent DAG does not have input parameter {source}"
                )
            value, fault = inputs[source], f"empty artifact URI runtime value for parameter {name}"
        else:
            value, fault = "", "artifact uri not provided"
        if not isinstance(value, str) or not value:
            raise ResolveError(fault)
        return value

    def triggered(self, run: TaskRun) -> bool:
        """Whether the condition of a task lets it run.

        Raises:
            ResolveError: the condition cannot be evaluated.

        """
        if not run.plan.condition:
            return True
        try:
            return self._cel.condition(run.plan.condition, run.inputs)
        except CelError as fault:
            raise ResolveError(str(fault)) from None

    def items(self, run: TaskRun) -> list[Any]:
        """Return what a loop runs over.

        Raises:
            ResolveError: it is no list.

        """
        loop = run.plan.loop
        if loop is None:
            return []
        value = loop.raw if loop.raw is not None else run.inputs.get(loop.items_input, MISSING)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                value = MISSING
        if not isinstance(value, list):
            raise ResolveError(f'iterating on item input "{loop.item_input}" failed: value is not a list')
        return value

    def output(self, workflow: RunningWorkflow, run: TaskRun, key: str) -> Any:
        """Return an output parameter of a task, of a loop the list over its items; MISSING if there is none."""
        if run.phase != SUCCEEDED:
            return MISSING
        if run.looped:
            found = [self.output(workflow, frame.runs[0], key) for frame in run.iterations or ()]
            return [value for value in found if value is not MISSING]
        component = run.plan.component
        if component.kind in {"container", "volume"}:
            return self._make(workflow, run, key) if key in component.outputs else MISSING
        if component.dag is None or run.inner is None:
            return MISSING
        for subtask, subkey in component.dag.outputs.get(key, ()):
            producer = _task(run.inner, subtask)
            value = MISSING if producer is None else self.output(workflow, producer, subkey)
            if value is not MISSING:
                return value
        return MISSING


def _task(scope: Frame, name: str) -> TaskRun | None:
    index = scope.dag.by_name.get(name) if scope.dag is not None else None
    return scope.runs[index] if index is not None else None


def _describe(plan: InputPlan) -> str:
    if plan.kind == "component":
        return (
            f"resolving input parameter {plan.name}: parent DAG does not have input parameter {plan.source}"
        )
    if plan.kind in {"task", "status"}:
        return (
            f"resolving input parameter {plan.name}: producer task, {plan.source}, has no output {plan.key}"
        )
    return f"resolving input parameter {plan.name}: parameter spec not implemented yet"


def _with_placeholders(workflow: RunningWorkflow, value: Any) -> Any:
    """Replace the placeholders of a constant, as the driver does."""
    if not isinstance(value, str) or "{{$.pipeline_" not in value:
        return value
    for placeholder, text in workflow.placeholders().items():
        value = value.replace(placeholder, text)
    return value


_STATES = {"Succeeded": "SUCCEEDED", "Skipped": "SKIPPED", "Omitted": "SKIPPED"}


def _final_status(workflow: RunningWorkflow, producer: TaskRun) -> dict[str, Any]:
    state = _STATES.get(producer.phase, "FAILED")
    status: dict[str, Any] = {
        "state": state,
        "pipelineTaskName": producer.plan.name,
        "pipelineJobResourceName": workflow.name,
    }
    if state == "FAILED":
        status["error"] = {"code": 9, "message": f"The task {producer.plan.name} failed"}
    return status


_TYPES: dict[str, tuple[type, ...]] = {
    "NUMBER_DOUBLE": (int, float),
    "NUMBER_INTEGER": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
    "TASK_FINAL_STATUS": (dict,),
    "TASK_CONFIG": (dict,),
}


def _fitted(parameter: Parameter, value: Any) -> Any:
    """Return the value as the parameter's type has it: anything can be a string, nothing else is converted."""
    if parameter.type == "STRING":
        return value if isinstance(value, str) else as_text(value)
    if value is None:
        raise ResolveError(f'failed to resolve inputs: got null for input parameter "{parameter.name}"')
    wanted = _TYPES.get(parameter.type)
    fits = wanted is None or (isinstance(value, wanted) and (not isinstance(value, bool) or bool in wanted))
    if not fits:
        raise ResolveError(
            f'failed to resolve inputs: input parameter "{parameter.name}" type mismatch: expect {parameter.type}, '
            f"got {_kind(value)}"
        )
    return value


def _kind(value: Any) -> str:
    for types, name in (((bool,), "bool"), ((int, float), "number"), ((str,), "string"), ((list,), "list")):
        if isinstance(value, types):
            return name
    return "struct"
