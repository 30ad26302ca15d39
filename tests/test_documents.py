"""What the documents say of the code that a reader could check with a look is checked here."""

from __future__ import annotations

import html
import json
import re
import shlex
import tomllib
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

from reference.screen import terminal_picture

from kfp_perf.config import TestConfig
from kfp_perf.plan import make_plan
from kfp_perf.result import coarse_histogram
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


def _commands(page: str) -> list[str]:
    """The lines of the shell examples of a page that start kfp-perf."""
    text = (ROOT / page).read_text()
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    return [line for line in lines if line.startswith("kfp-perf ")]


def test_commands_name_no_file_before_it_is_shown() -> None:
    text = (ROOT / "README.md").read_text()
    shown = text.index("```json\n")
    assert 0 < shown < text.index("kfp-perf validate mine.json")
    assert "`mine.json`" in text[:shown]
    before = "".join(re.findall(r"```sh\n(.*?)```", text[:shown], re.DOTALL))
    assert "mine.json" not in before


def test_commands_with_overrides_fit_the_file_of_the_readme(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "mine.json").write_text(example)
    lines = [line for line in _commands("docs/scenarios.md") if "--set" in line]
    overrides = [
        [value for flag, value in pairwise(shlex.split(line, comments=True)) if flag == "--set"]
        for line in lines
    ]
    quoted = re.findall(r'overrides=\["([^"]+)"\]', (ROOT / "docs" / "python.md").read_text())
    assert len(overrides) >= 3
    assert quoted
    for given in [*overrides, quoted]:
        assert make_plan(tmp_path / "mine.json", TestConfig(), overrides=given).resolved
    # Brackets outside of quotes are patterns of file names in zsh, which is an error where no file matches.
    assert [line for line in lines if re.search(r"--set [^'\"]*\[", line)] == []


def test_the_schema_for_an_editor_is_named_as_its_settings_take_it() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text()
    (settings,) = re.findall(r"```jsonc\n(.*?)```", text, re.DOTALL)
    (entry,) = json.loads(settings)["json.schemas"]
    assert f"kfp-perf schema > {entry['url'].removeprefix('./')}" in text


def test_how_coarse_times_are_while_a_test_runs() -> None:
    text = (ROOT / "docs" / "report.md").read_text()
    excess = (10 ** (1 / coarse_histogram._BINS_A_DECADE) - 1) * 100
    assert f"up to {excess:.1f} % too high" in " ".join(text.split())
    assert f"{coarse_histogram._BINS_A_DECADE} for each factor of ten" in " ".join(text.split())


def test_the_picture_of_the_screen_is_what_the_screen_shows() -> None:
    """The letters of it, as a newer rich may place them otherwise."""

    def letters(picture: str) -> str:
        texts = re.findall(r"<text[^>]*>(.*?)</text>", picture, re.DOTALL)
        return " ".join(html.unescape("".join(texts)).split())

    shown = (ROOT / "docs" / "images" / "terminal.svg").read_text()
    assert letters(shown) == letters(terminal_picture()), "run python docs/make.py"


def test_no_index_is_said_to_have_the_package() -> None:
    pages = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("src/**/*.py"),
        *ROOT.glob("src/**/*.yml"),
    ]
    claim = re.compile(r"pip install (?:--upgrade )?['\"]?kfp-perf")
    assert [str(page) for page in pages if claim.search(page.read_text())] == []
