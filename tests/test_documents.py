"""What the documents say of the code that a reader could check with a look is checked here."""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

from kfp_perf.config import TestConfig
from kfp_perf.plan import make_plan
from kfp_perf.runners import PipelineRunner
from kfp_perf.scenario.model import TestScenario

HELLO = {"pipelineFileName": "hello.yaml"}
ROOT = Path(__file__).parents[1]


def test_the_layers_are_those_that_are_enforced() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one.get("containers") == ["kfp_perf"])
    page = (ROOT / "docs" / "architecture.md").read_text()
    (told,) = re.findall(r"`(cli \|[^`]*)`", page)
    assert " ".join(told.split()).split(" > ") == contract["layers"]


def test_the_scenarios_of_the_readme_are_a_good_plan(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "mine.json").write_text(example)
    plan = make_plan(tmp_path / "mine.json", TestConfig())
    assert [scenario.mode_name for scenario in plan.scenarios] == [
        "PIPELINE_RUN",
        "EXPERIMENT",
        "RANDOM_GETS",
    ]
    assert plan.warnings == ()


def test_links_between_documents_lead_somewhere() -> None:
    dead = [
        f"{page.name}: {target}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not dead


def test_the_example_of_faults_strikes_runs_as_kfp_perf_names_them() -> None:
    page = (ROOT / "docs" / "emulator.md").read_text()
    rules = [
        rule
        for example in re.findall(r"```json\n(.*?)```", page, re.DOTALL)
        for rule in json.loads(example)
        if isinstance(rule, dict) and "run" in rule
    ]
    assert rules
    scenario = TestScenario.model_validate({"mode": "PIPELINE_RUN", "name": "nightly", "runTime": 1, **HELLO})
    runner = PipelineRunner(scenario, config=TestConfig())
    assert all(fnmatchcase(f"{runner.prefix}-1", rule["run"]) for rule in rules)
