"""The JSON Schema of scenario files, for editors: made from the model."""

from __future__ import annotations

from typing import Any

from kfp_perf.scenario.model import ScenarioFile

_VARIABLE = {
    "type": "string",
    "pattern": r"(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
    "description": "A text with a variable of the environment: ${NAME} or ${NAME:-default}.",
}
_NOTES = ("title", "description", "unit", "default", "examples")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of both forms of a scenario file: a list, or an object with `scenarios`.

    It gives an editor fields, types, ranges and meanings; `validate` checks the rules between fields. Each value
    may also be a text with a variable, which stands for a value of any type.
    """
    schema = resolved_schema()
    definitions = {name: _with_variables(one) for name, one in schema["$defs"].items()}
    return {
        **schema,
        "oneOf": [_with_variables(form) for form in schema["oneOf"]],
        "$defs": {**definitions, "Variable": _VARIABLE},
    }


def resolved_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files whose variables are replaced."""
    of_file = ScenarioFile.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = of_file.pop("$defs")
    scenario = definitions["TestScenario"]
    timed = {"anyOf": [{"required": [field]} for field in ("runTime", "stages")]}
    definitions["TestScenario"] = scenario | timed
    defaults = {key: value for key, value in scenario.items() if key not in {"required", "title"}}
    definitions["Defaults"] = {**defaults, "description": of_file["properties"]["defaults"]["description"]}
    of_file["properties"]["defaults"] = {"$ref": "#/$defs/Defaults"}
    # A scenario may get a required field from the defaults, which a schema cannot express.
    definitions["ScenarioOverDefaults"] = defaults
    of_file["properties"]["scenarios"]["items"] = {"$ref": "#/$defs/ScenarioOverDefaults"}
    listed = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/TestScenario"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kfp-perf scenario file",
        "oneOf": [listed, of_file],
        "$defs": definitions,
    }


def _with_variables(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema in which each value within an object or a list may be a variable."""
    changed = dict(schema)
    if "properties" in schema:
        changed["properties"] = {name: _or_variable(one) for name, one in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            changed[key] = _or_variable(schema[key])
    if "anyOf" in schema:
        changed["anyOf"] = [_with_variables(one) for one in schema["anyOf"]]
    return changed


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value that may be a variable too."""
    notes = {key: schema[key] for key in _NOTES if key in schema}
    inner = {key: value for key, value in _with_variables(schema).items() if key not in notes}
    choices = inner.get("anyOf", [inner])
    if {"type": "string"} in choices or {} in choices:
        return {**notes, **inner}  # takes every text already
    return {**notes, "anyOf": [*choices, {"$ref": "#/$defs/Variable"}]}
