"""The input parameters of a pipeline, and whether values fit them."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input of a pipeline: `type` is the IR's (STRING, NUMBER_INTEGER, ...); no `literals`: any value."""

    type: str
    required: bool
    default: Any = None
    literals: tuple[Any, ...] = ()


def parameters_of(spec: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the input parameters of a specification by name."""
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return {name: _parameter(raw) for name, raw in inputs.items()}


def _parameter(raw: Mapping[str, Any]) -> Parameter:
    required = "defaultValue" not in raw and not raw.get("isOptional", False)
    literals = tuple(raw.get("literals", ()))
    return Parameter(raw.get("parameterType", ""), required, raw.get("defaultValue"), literals)


def check_parameters(
    pipeline: str, parameters: Mapping[str, Parameter], values: Mapping[str, Any]
) -> list[Problem]:
    """Return the problems of values for the parameters of a pipeline; `where` is the parameter's name.

    The API server refuses the same with 400: a parameter that is unknown, or required and missing, and a value of
    another type (null has none) or that is not among the allowed literals.
    """
    problems = []
    for name, value in values.items():
        parameter = parameters.get(name)
        if parameter is None:
            near = difflib.get_close_matches(name, parameters, n=1)
            known = ", ".join(parameters) or "it has none"
            remedy = f"did you mean {near[0]}?" if near else f"parameters of {pipeline}: {known}"
            problems.append(Problem(name, f"is not a parameter of the pipeline {pipeline}", remedy))
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
    for name, parameter in parameters.items():
        if parameter.required and name not in values:
            remedy = f'add "{name}": a value of type {parameter.type}'
            problems.append(Problem(name, f"is missing: the pipeline {pipeline} requires it", remedy))
    return problems


_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "STRING": ("a string", (str,)),
    "NUMBER_INTEGER": ("a number", (int, float)),
    "NUMBER_DOUBLE": ("a number", (int, float)),
    "BOOLEAN": ("true or false", (bool,)),
    "LIST": ("a list", (list,)),
    "STRUCT": ("an object", (dict,)),
}


def _fits(value: object, parameter_type: str) -> bool:
    if parameter_type not in _TYPES:  # a type of a newer KFP: the server decides
        return True
    if isinstance(value, bool):
        return parameter_type == "BOOLEAN"
    return isinstance(value, _TYPES[parameter_type][1])


def _json(value: object) -> str:
    return f"{json.dumps(value, ensure_ascii=False):.60}"
