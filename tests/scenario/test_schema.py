from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from kfp_perf.catalog import SCENARIOS
from kfp_perf.scenario.serde import json_schema

RUN = {"mode": "PIPELINE_RUN", "runTime": 1}


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.Draft202012Validator(json_schema())


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.json")), ids=lambda path: path.name)
def test_the_schema_takes_the_built_in_scenarios(validator: Any, path: Any) -> None:
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
        ({"defaults": {"runtime": 1}, "scenarios": [RUN]}, False),
        ([{**RUN, "mix": {"ListRun": 1}}], False),
    ],
)
def test_the_schema_says_what_the_reader_says(validator: Any, value: object, is_valid: bool) -> None:
    assert validator.is_valid(value) is is_valid
