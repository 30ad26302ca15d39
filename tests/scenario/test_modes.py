"""MODES is the table of modes: an entry is sufficient, and every entry is documented."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kfp_perf.metrics import METRICS
from kfp_perf.runners import RUNNERS
from kfp_perf.scenario.model import TestScenario
from kfp_perf.scenario.modes import EARLIER_MODES, MODES, PLUGIN_MODE, SPECIAL_FIELDS, TestMode, mode_of
from kfp_perf.scenario.rules import suits
from kfp_perf.scenario.serde import parse_scenarios

REFERENCE = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")


def test_every_mode_has_an_entry_and_a_runner() -> None:
    assert set(MODES) == set(TestMode)
    assert set(RUNNERS) == {mode.name for mode in MODES}


def test_the_entries_name_fields_and_metrics_that_exist() -> None:
    assert set(TestScenario.model_fields) > SPECIAL_FIELDS
    assert {family for entry in MODES.values() for family in entry.metrics} <= set(METRICS)


@pytest.mark.parametrize("mode", list(MODES))
def test_every_mode_has_a_heading_with_an_example_that_is_valid(mode: TestMode) -> None:
    section = re.search(rf"^### {mode.name}\n(.*?)^##", REFERENCE, re.DOTALL | re.MULTILINE)
    assert section is not None
    examples = re.findall(r"```json\n(.*?)```", section[1], re.DOTALL)
    assert examples
    for example in examples:
        parsed = parse_scenarios(example, "example.json")
        assert parsed.problems == []
        assert {scenario.mode for scenario in parsed.scenarios.values()} == {mode}


@pytest.mark.parametrize("field", sorted(SPECIAL_FIELDS))
def test_a_field_that_a_mode_does_not_use_names_the_modes_that_do(field: str) -> None:
    assert suits(field, "CUSTOM")
    users = [mode for mode in MODES if suits(field, mode.name)]
    assert 0 < len(users) < len(MODES)


def test_a_mode_of_a_plug_in_may_use_every_field_and_fill_every_metric() -> None:
    assert mode_of("CUSTOM") is PLUGIN_MODE
    assert PLUGIN_MODE.fields == SPECIAL_FIELDS
    assert all(entry.metrics <= PLUGIN_MODE.metrics for entry in MODES.values())


@pytest.mark.parametrize("name", EARLIER_MODES)
def test_earlier_names_are_answered_with_a_mode_that_exists(name: str) -> None:
    text = json.dumps([{"mode": name, "runTime": 1}])
    (problem,) = parse_scenarios(text, "f.json").problems
    assert problem.what == f'"{name}" is an earlier name'
    (written,) = re.findall(r'write "(\w+)"', problem.remedy)
    assert written in TestMode.__members__
