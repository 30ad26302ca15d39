"""A compiled pipeline as a client needs it: parameters to check, tasks to count, caching to switch."""

from __future__ import annotations

import copy
import difflib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from kfp_perf.catalog import PIPELINES
from kfp_perf.errors import InputError, Problem
from kfp_perf.pipelines.documents import dump_yaml, parse_yaml, read_bytes
from kfp_perf.pipelines.graph import dags, sequential_steps
from kfp_perf.pipelines.problems import COMPILE_REMEDY, faults_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SUFFIXES = (".yaml", ".yml", ".json")
MAX_TASKS = 100_000
"""The most tasks that the static expansion of nested DAGs may give; a run's own limits are far lower."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input of a pipeline: `type` is the IR's (STRING, NUMBER_INTEGER, ...); no `literals`: any value."""

    type: str
    required: bool
    default: Any = None
    literals: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it stands in the specification; loops and conditions count once.

    `path` are the names of the DAG's tasks from the root down to it; `is_group` says that it is a DAG itself.
    """

    path: tuple[str, ...]
    component: str
    is_group: bool

    @property
    def name(self) -> str:
        """The task's name in its DAG."""
        return self.path[-1]


@dataclass(frozen=True, slots=True)
class PipelinePackage:
    """A compiled pipeline. `spec` is its parsed PipelineSpec: read it, do not change it."""

    path: Path
    name: str
    parameters: Mapping[str, Parameter]
    tasks: tuple[Task, ...]
    spec: Mapping[str, Any]
    platform: tuple[Mapping[str, Any], ...]
    _data: bytes

    @property
    def task_count(self) -> int:
        """How many tasks do work, groups (DAGs) not counted; loop bodies and branches count once."""
        return sum(not task.is_group for task in self.tasks)

    @property
    def sequential_steps(self) -> int:
        """How many pods run one after the other on the longest way through the pipeline."""
        return sequential_steps(self.spec)

    def content(self, cache_enabled: bool | None) -> bytes:
        """Return what to upload, with caching on (True), off (False), or as it is in the file (None).

        It is switched for every task of every DAG, since nothing else can do so for runs that refer
        to a version: CreateRun takes no such field.
        """
        if cache_enabled is None:
            return self._data
        spec = copy.deepcopy(dict(self.spec))
        for dag in dags(spec):
            for task in dag.get("tasks", {}).values():
                task["cachingOptions"] = {"enableCache": True} if cache_enabled else {}
        return dump_yaml([spec, *self.platform])

    def check_parameters(self, values: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with the values for the pipeline's parameters; `where` is the parameter's name.

        The API server refuses the same with 400: unknown, missing though required, of another type (null has none),
        or none of the literals that are allowed.
        """
        problems = []
        for name, value in values.items():
            parameter = self.parameters.get(name)
            if parameter is None:
                near = difflib.get_close_matches(name, self.parameters, n=1)
                known = ", ".join(self.parameters) or "it has none"
                remedy = f"did you mean {near[0]}?" if near else f"parameters of {self.name}: {known}"
                problems.append(Problem(name, f"is not a parameter of the pipeline {self.name}", remedy))
            elif not _fits(value, parameter.type):
                what = f"must be {_TYPES[parameter.type][0]} ({parameter.type}), got {_json(value)}"
                leave_out = value is None and not parameter.required
                remedy = "leave it out for its default" if leave_out else "write it as JSON of that type"
                problems.append(Problem(name, what, remedy))
            elif parameter.literals and value not in parameter.literals:
                allowed = ", ".join(_json(literal) for literal in parameter.literals)
                problems.append(
                    Problem(name, f"got {_json(value)}, which is not allowed", f"use one of {allowed}")
                )
        for name, parameter in self.parameters.items():
            if parameter.required and name not in values:
                remedy = f'add "{name}": a value of type {parameter.type}'
                problems.append(Problem(name, f"is missing: the pipeline {self.name} requires it", remedy))
        return problems


_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "STRING": ("a text", (str,)),
    "NUMBER_INTEGER": ("a number", (int, float)),
    "NUMBER_DOUBLE": ("a number", (int, float)),
    "BOOLEAN": ("true or false", (bool,)),
    "LIST": ("a list", (list,)),
    "STRUCT": ("an object", (dict,)),
}


def _fits(value: object, parameter_type: str) -> bool:
    if parameter_type not in _TYPES:  # types that are newer than we are: the server decides
        return True
    if isinstance(value, bool):
        return parameter_type == "BOOLEAN"
    return isinstance(value, _TYPES[parameter_type][1])


def _json(value: object) -> str:
    return f"{json.dumps(value, ensure_ascii=False):.60}"


def find_pipeline(file_name: str, folders: Iterable[Path]) -> Path:
    """Return the file of that name in the first of the folders that has it, or else in the built-in catalog.

    The name may lead into subfolders, never outside: neither by itself nor through a symbolic link. Raises
    InputError.
    """
    parts = PurePosixPath(file_name).parts
    if "\0" in file_name or "\\" in file_name or not parts:
        raise InputError(Problem(file_name, "is not a file name", "name a compiled pipeline"))
    if (
        PurePosixPath(file_name).is_absolute()
        or PureWindowsPath(file_name).drive
        or ".." in parts
        or parts[0] == "~"
    ):
        remedy = "name a file relative to the scenario file, or configure a pipeline folder"
        raise InputError(Problem(file_name, "leads outside of the pipelines' folders", remedy))
    searched = [*folders, PIPELINES]
    for folder in searched:
        candidate = folder / file_name
        try:
            found = candidate.is_file()
            inside = found and candidate.resolve().is_relative_to(folder.resolve())
        except OSError as error:
            raise InputError(
                Problem(f"{file_name:.80}", f"cannot be looked up: {error.strerror}", "shorten it")
            ) from None
        if found and not inside:
            remedy = "put the file itself there, or configure its folder as a pipeline folder"
            raise InputError(Problem(file_name, f"is a link that leads outside of {folder}", remedy))
        if found:
            return candidate
        if candidate.is_dir():
            raise InputError(Problem(file_name, "is a folder", "name the compiled pipeline in it"))
    raise InputError(
        Problem(file_name, f"does not exist in {', '.join(map(str, searched))}", _near(file_name, searched))
    )


def _near(file_name: str, folders: Iterable[Path]) -> str:
    names = sorted({file.name for folder in folders if folder.is_dir() for file in folder.iterdir()} - {""})
    compiled = [name for name in names if name.endswith(_SUFFIXES)]
    near = difflib.get_close_matches(file_name, compiled, n=1)
    built_in = ", ".join(sorted(file.name for file in PIPELINES.glob("*.yaml")))
    return f"did you mean {near[0]}?" if near else f"built-in pipelines: {built_in}"


def read_pipeline(path: Path) -> PipelinePackage:
    """Return the compiled pipeline in a file. Raises InputError with every problem of it."""
    label = str(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(
            Problem(label, f"is none of {', '.join(_SUFFIXES)}", "give the compiled YAML itself")
        )
    data = read_bytes(path)
    documents = [document for document in parse_yaml(data, label) if document is not None]
    specs = [document for document in documents if isinstance(document, dict) and "platforms" not in document]
    if len(specs) != 1 or len(documents) > 2:
        raise InputError(Problem(label, "is not a compiled pipeline", COMPILE_REMEDY))
    spec: dict[str, Any] = specs[0]
    problems = list(faults_of(spec, label))
    if problems:
        raise InputError(problems)
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return PipelinePackage(
        path=path,
        name=spec["pipelineInfo"]["name"],
        parameters={name: _parameter(raw) for name, raw in inputs.items()},
        tasks=tuple(_tasks(spec, label)),
        spec=spec,
        platform=tuple(document for document in documents if document is not spec),
        _data=data,
    )


def _parameter(raw: Mapping[str, Any]) -> Parameter:
    required = "defaultValue" not in raw and not raw.get("isOptional", False)
    literals = tuple(raw.get("literals") or ())
    return Parameter(str(raw.get("parameterType", "")), required, raw.get("defaultValue"), literals)


def _tasks(spec: Mapping[str, Any], label: str) -> Iterator[Task]:
    """Yield every task, nested DAGs expanded. Raises InputError where they hold themselves or grow without end."""
    components = spec.get("components", {})
    pending: list[tuple[tuple[str, ...], tuple[str, ...], Mapping[str, Any]]] = [
        ((), (), spec["root"]["dag"])
    ]
    count = 0
    while pending:
        path, above, dag = pending.pop()
        for name, task in dag.get("tasks", {}).items():
            component = task["componentRef"]["name"]
            inner = components[component].get("dag")
            count += 1
            if component in above or count > MAX_TASKS:
                what = "holds itself" if component in above else f"expands to more than {MAX_TASKS} tasks"
                raise InputError(Problem(f"{label}: component {component}", what, COMPILE_REMEDY))
            yield Task((*path, name), component, inner is not None)
            if inner is not None:
                pending.append(((*path, name), (*above, component), inner))
