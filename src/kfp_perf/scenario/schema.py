"""The JSON Schema of scenario files, for editors: made from the model.

What an editor shows of a field is its description alone, so unit, default and example are part of that.
"""

from __future__ import annotations

import json
from typing import Any

from kfp_perf.scenario.model import ScenarioFile

_VARIABLE = {
    "type": "string",
    "pattern": r"(^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
    "description": "A text with a variable of the environment: ${NAME} or ${NAME:-default}.",
}
_NOTES = ("description", "default", "examples")
#: What the model's docstrings, which are for developers, say otherwise.
_DESCRIPTIONS = {
    "TestScenario": "One kind of load, which runs beside the other scenarios of the file.",
    "ScenarioFile": "A scenario file with a name, defaults or thresholds for all of its scenarios.",
}
_UNITS = {
    "minutes": 'In minutes, or a text with a unit: "90s", "5m", "1h30m".',
    "bytes": 'In bytes, or a text with a unit: "1KB" to "32MiB".',
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of both forms of a scenario file: a list, or an object with `scenarios`.

    It gives an editor fields, types, ranges and meanings; `validate` checks the rules between fields. Each value
    may also be a text with a variable, which stands for a value of any type.
    """
    schema = _for_editors(resolved_schema())
    definitions = {name: _with_variables(one) for name, one in schema["$defs"].items()}
    return {
        **schema,
        "oneOf": [_with_variables(form) for form in schema["oneOf"]],
        "$defs": {**definitions, "Variable": _VARIABLE},
    }


def resolved_schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files whose variables are replaced."""
    of_file = ScenarioFile.model_json_schema(by_alias=True) | {"description": _DESCRIPTIONS["ScenarioFile"]}
    definitions: dict[str, Any] = of_file.pop("$defs")
    scenario = definitions["TestScenario"] | {"description": _DESCRIPTIONS["TestScenario"]}
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


def _for_editors(value: Any) -> Any:
    """Return a schema in which each description says unit, default and example; without titles of members."""
    if isinstance(value, list):
        return [_for_editors(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: one if key in {"default", "examples"} else _for_editors(one) for key, one in value.items()}
    if isinstance(properties := found.get("properties"), dict):
        found["properties"] = {name: _described(one) for name, one in properties.items()}
    return found


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a member with all that an editor shows in its description."""
    kept = {key: one for key, one in schema.items() if key not in {"title", "unit", "unset"}}
    parts = [schema.get("description", ""), _UNITS.get(schema.get("unit", ""), "")]
    default = schema.get("unset") or (
        _code(schema["default"]) if schema.get("default") not in _NOTHING else ""
    )
    parts.append(f"Default: {default}." if default else "")
    if examples := schema.get("examples"):
        parts.append(f"Example: {' or '.join(map(_code, examples))}")
    text = "\n\n".join(filter(None, parts))
    return kept | {"description": text} if text else kept


_NOTHING: tuple[Any, ...] = (None, {}, [])


def _code(value: Any) -> str:
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return json.dumps(value, ensure_ascii=False)


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
