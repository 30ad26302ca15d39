from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from kfp_perf.catalog import PROJECT, SCENARIOS
from kfp_perf.scenario.serde import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {"mode": "PIPELINE_RUN", "runTime": 1}


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.Draft202012Validator(json_schema())


FILES = [*sorted(SCENARIOS.glob("*.json")), *sorted(PROJECT.glob("*.json"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_schema_takes_the_projects_own_files(validator: Any, path: Any) -> None:
    assert validator.is_valid(json.loads(path.read_text()))


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        ([RUN], True),
        ([{**RUN, "runTime": "1h30m", "arrivalRate": "30/min"}], True),
        ({"scenarios": [RUN]}, True),
        ({"$schema": "x", "defaults": {"runTime": 1}, "scenarios": [{"mode": "EXPERIMENT"}]}, True),
        ([], False),
        ({"scenarios": []}, False),
        ([{**RUN, "runtime": 1}], False),
        ([{**RUN, "run_time": 1}], False),
        ([{**RUN, "mode": "SCHEDULED_RUNS"}], False),
        ([{**RUN, "runTime": 0}], False),
        ([{**RUN, "runTime": "soon"}], False),
        ([{**RUN, "numTimes": 1.5}], False),
        ([{"mode": "EXPERIMENT"}], False),
        ([{"mode": "EXPERIMENT", "stages": [{"duration": "1m", "target": 2}]}], True),
        ({"defaults": {"runtime": 1}, "scenarios": [RUN]}, False),
        ([{**RUN, "mix": {"ListRun": 1}}], False),
        ([{**RUN, "runTime": "${X"}], False),
        ([{**RUN, "runTime": "$${X}"}], False),
    ],
)
def test_the_schema_says_what_the_reader_says(validator: Any, value: object, is_valid: bool) -> None:
    assert validator.is_valid(value) is is_valid


WHOLE: dict[str, Any] = {
    "name": "all",
    "thresholds": {"run.success_rate": ">= 99%"},
    "primary": ["run.visible.mean"],
    "defaults": {"runTime": 1, "prefill": {"runs": 3}},
    "scenarios": [
        {
            "mode": "RANDOM_GETS",
            "seed": 1,
            "arrivals": "poisson",
            "stages": [{"duration": "1m", "target": "60/min"}],
            "mix": {"GetRun": 1},
            "cacheEnabled": True,
            "tags": {"team": "search"},
        }
    ],
}


def _with_each_value_replaced(value: Any) -> Iterator[Any]:
    """Yield copies of a document, with a variable in place of one value each."""
    for key in value if isinstance(value, dict) else range(len(value)):
        for part in (
            "${X}",
            "${X:-5}",
            *(_with_each_value_replaced(value[key]) if isinstance(value[key], dict | list) else ()),
        ):
            changed = value.copy()
            changed[key] = part
            yield changed


def test_every_value_may_be_a_variable(validator: Any) -> None:
    listed = [{"runTime": 1, **WHOLE["scenarios"][0]}]
    documents = [*_with_each_value_replaced(WHOLE), *_with_each_value_replaced(listed)]
    assert [each for each in documents if not validator.is_valid(each)] == []


def _members(schema: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each member of an object in a schema, with its path."""
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            yield f"{path}.{name}", one
    for key, one in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if isinstance(one, dict | list) and key not in {"default", "examples"}:
            yield from _members(one, f"{path}.{key}")


def test_each_description_says_what_an_editor_shows_to_users() -> None:
    members = dict(_members(json_schema()))
    assert len(members) > 100
    for path, one in members.items():
        if path.endswith(".defaults"):
            continue  # of its definition
        sentence, *rest = one["description"].split("\n\n")
        assert sentence.endswith("."), path
        assert sentence.rstrip(".").count(". ") == 0, f"{path}: more than a sentence"
        assert "title" not in one
        shown = " ".join(rest)
        assert ("Example: " in shown) is bool(one.get("examples")), path
        is_time = any("ms|s|min" in choice.get("pattern", "") for choice in one.get("anyOf", ()))
        assert ("In minutes" in shown) is is_time, path
        if one.get("default") not in (None, {}, []):
            assert f"Default: {json.dumps(one['default']).removesuffix('.0')}." in shown, path


def test_each_value_of_an_enumeration_is_described() -> None:
    fields = json_schema()["$defs"]["TestScenario"]["properties"]
    for name in ("mode", "arrivals"):
        (choice,) = (one for one in fields[name]["anyOf"] if "enum" in one)
        assert len(choice["markdownEnumDescriptions"]) == len(choice["enum"])
        assert all(text.endswith(".") for text in choice["markdownEnumDescriptions"])


def test_nothing_of_a_schema_is_for_developers() -> None:
    text = json.dumps(json_schema())
    for word in ("pydantic", "ValidationError", "serde", "Problem", "docstring"):
        assert word not in text
