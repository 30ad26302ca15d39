"""The scenario reference is in step with the code, and its examples are good."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kfp_perf.scenario.model import TestMode
from kfp_perf.scenario.overrides import resolve
from kfp_perf.scenario.serde import JsonDeserializationUtils, parse_scenarios

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "scenarios.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", REFERENCE, re.DOTALL)


@pytest.fixture(scope="module")
def make() -> Any:
    spec = importlib.util.spec_from_file_location("docs_make", DOCS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_made_from_the_code_is_in_step(make: Any) -> None:
    stale = [
        page
        for page in make.PAGES
        if make.made(page, text := (DOCS / page).read_text(encoding="utf-8")) != text
    ]
    assert not stale, "run python docs/make.py"


def test_a_part_without_markers_is_an_error(make: Any) -> None:
    with pytest.raises(ValueError, match="markers of the part modes"):
        make.made("scenarios.md", "no markers")


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_good(example: str) -> None:
    assert parse_scenarios(resolve(example, "example.json", (), {}).text, "example.json").problems == []


@pytest.mark.parametrize("mode", list(TestMode))
def test_each_mode_has_a_heading_and_an_example(mode: TestMode) -> None:
    assert f"\n### {mode.name}\n" in REFERENCE
    assert any(f'"mode": "{mode.name}"' in example for example in EXAMPLES)


def test_the_error_that_is_shown_is_the_real_one(tmp_path: Path) -> None:
    scenarios = [{"mode": "RANDOM_GETS", "runTime": 1}, {"mode": "RANDOM_GETS", "numTimes": 2, "runtime": 1}]
    path = tmp_path / "nightly.json"
    path.write_text(json.dumps({"scenarios": scenarios}, indent=2))
    parsed = JsonDeserializationUtils.parse_scenario_file(path, "nightly.json")
    problems = parsed.located(parsed.problems)
    shown = re.search(r"```text\n(.*?)\n```", REFERENCE, re.DOTALL)
    assert shown is not None
    assert shown[1] in {str(problem) for problem in problems}
