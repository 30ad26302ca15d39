"""The JSON Schema of scenario files, for editors: made from the model."""

from __future__ import annotations

from typing import Any

from kfp_perf.scenario.model import ScenarioFile


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of both forms of a scenario file: a list, or an object with `scenarios`.

    It gives an editor fields, types, ranges and meanings; `validate` checks the rules between fields.
    """
    of_file = ScenarioFile.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = of_file.pop("$defs")
    scenario = definitions["TestScenario"]
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
