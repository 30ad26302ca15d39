"""The reports of studies, in every format."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from made_executions import total, write_study
from rich.console import Console

from kfp_perf.errors import InputError
from kfp_perf.reports.markdown import markdown_of
from kfp_perf.reports.story.blocks import Column, Facts, Section, Story, Table, Tone, VerdictBlock
from kfp_perf.reports.story_console import parts_of_block
from kfp_perf.reports.study_reports import FORMATS, story_of_study
from kfp_perf.reports.webpage import block_of
from kfp_perf.result.study import Study

if TYPE_CHECKING:
    from pathlib import Path

BASE = [10.0, 10.3, 9.8, 10.1, 10.2, 9.9]
SLOWER = [12.0, 12.4, 11.8, 12.1, 12.3, 11.9]
PAIRS = [mean for pair in zip(BASE, SLOWER, strict=True) for mean in pair]


#: What formats for programs have of the executions.
_NAMED = {"csv": "emulator_seed", "junit": "<testsuite ", "openmetrics": "kfp_perf_run_visible_mean_seconds"}


def changed(folder: Path, **values: Any) -> Study:
    """The study with other values in `study.json`."""
    file = folder / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return Study.open(folder)


@pytest.fixture
def repetition(tmp_path: Path) -> Path:
    return write_study(tmp_path / "study", BASE, warmups=1)


@pytest.fixture
def duel(tmp_path: Path) -> Path:
    folder = write_study(tmp_path / "study", PAIRS, kind="duel", warmups=2, labels="AB")
    changed(folder, settings={"labels": ["A", "B"], "within": 0.05})
    return folder


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["repetition", "duel"])
def test_every_format_names_the_executions(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    study = Study.open(request.getfixturevalue(kind))
    ((_, content),) = FORMATS[name](study).items()
    text = content.decode()
    assert _NAMED.get(name, "run.visible.mean") in text
    if name == "json":
        document = json.loads(text)
        assert document["study"]["kind"] == kind
        assert len(document["study"]["executions"]) == len(study.record.executions)
    elif name not in _NAMED:
        assert "warm-up" in text


def test_the_mean_of_a_repetition_is_that_of_the_executions_that_count(repetition: Path) -> None:
    document = json.loads(FORMATS["json"](Study.open(repetition))["study.json"])
    primary = document["metrics"][0]
    assert primary["values"] == BASE[1:]
    assert primary["variation"]["count"] == 5
    assert min(BASE[1:]) < primary["variation"]["mean"] < max(BASE[1:])


def test_a_duel_compares_pairs(duel: Path) -> None:
    document = json.loads(FORMATS["json"](Study.open(duel))["study.json"])
    assert document["verdict"] == "slower"
    comparison = document["comparison"]
    assert comparison["paired"] is True
    assert comparison["metrics"][0]["baseline"]["values"] == BASE[1:]
    assert comparison["metrics"][0]["new"]["values"] == SLOWER[1:]


@pytest.mark.parametrize(
    ("values", "caveat"),
    [
        ({"finished": "", "exit_code": None}, "did not reach its end"),
        ({"ended": "The study was stopped before its end.", "exit_code": 4}, "stopped before its end"),
        ({"settings": {"until_stable": 0.01}, "answer": {"stable": False}}, "not known to within 1 %"),
    ],
)
def test_how_a_study_ended_is_told_first(repetition: Path, values: dict[str, Any], caveat: str) -> None:
    story = story_of_study(changed(repetition, **values))
    assert any(caveat in one for one in story.verdict.caveats)


def test_each_execution_has_its_own_value_where_another_is_left_out(repetition: Path) -> None:
    shutil.rmtree(repetition / "executions" / "02")
    file = repetition / "executions" / "04" / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"complete": False}))
    story = story_of_study(Study.open(repetition))
    (table,) = next(one.blocks for one in story.sections if one.id == "executions")
    assert isinstance(table, Table)
    assert [row[1] for row in table.rows] == ["–", "10.3 s", "–", "10.1 s", "–", "9.90 s"]


def test_executions_that_are_not_alike_or_did_not_count_are_named_first(repetition: Path) -> None:
    for place, values in (
        ("02", {"verdict": {"exit_code": 3}}),
        ("03", {"target": {"version": "2.18.0", "emulator": True, "emulator_profile": "fast"}}),
        ("04", {"scenario_file": {"text": "[]"}}),
    ):
        file = repetition / "executions" / place / "result.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))
    verdict = story_of_study(Study.open(repetition)).verdict
    assert verdict.sentence.startswith("In 4 executions, run.visible.mean is")
    assert list(verdict.caveats) == [
        f"Left out: {repetition}/executions/02: the target failed.",
        "The scenario file differs between executions.",
        "The version of the server differs between executions: 2.17.0 (abc) and 2.18.0.",
    ]


def test_a_value_of_zero_is_no_value_that_was_not_reached(tmp_path: Path) -> None:
    figures = total(10.0) | {"phases": {"transition": {"n": 100, "mean": 0.0}}}
    study = Study.open(write_study(tmp_path / "study", BASE[:2], figures=figures))
    text = FORMATS["markdown"](study)["report.md"].decode()
    assert "not reached" not in text
    assert "| phase.transition.mean | 0" in text


def test_one_execution_is_not_said_to_be_like_itself(tmp_path: Path) -> None:
    story = story_of_study(Study.open(write_study(tmp_path / "study", BASE[:1])))
    assert not any("do not differ" in one for one in story.verdict.caveats)


def test_a_duel_without_a_pair_still_lists_its_executions(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "study", [10.0], kind="duel", labels="AB")
    story = story_of_study(changed(folder, settings={"labels": ["A", "B"]}))
    assert [one.id for one in story.sections] == ["executions"]


def test_only_a_warm_up_has_no_variation(tmp_path: Path) -> None:
    story = story_of_study(Study.open(write_study(tmp_path / "study", [10.0], warmups=1)))
    assert [one.id for one in story.sections] == ["executions"]


def test_a_kind_of_a_newer_version_is_named(repetition: Path) -> None:
    with pytest.raises(InputError, match="unknown kind"):
        story_of_study(changed(repetition, kind="tournament"))


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_table_loses_a_letter_on_a_terminal(width: int) -> None:
    """What does not fit is folded: a cell that is cut would hide a verdict."""
    columns = [
        Column("Metric", is_number=False),
        *(Column(title) for title in ("Baseline", "New", "Change in points", "95 % interval")),
        Column("Verdict", is_number=False),
    ]
    rows = [
        [f"steps-in-a-row: {name}", "0.719 /s", "–", "+1,226 %", "-92.8 to +1,226 %", verdict]
        for name in ("run.success_rate", "api.CreateRun.latency.p95", "phase.transition.mean")
        for verdict in ("same within 5 %", "not worse by a point", "backlog grows, ended early")
    ]
    text = io.StringIO()
    table = Table("Further metrics", columns, rows)
    Console(file=text, width=width).print(next(iter(parts_of_block(table))))
    letters = "".join(column.title for column in columns) + "".join(cell for row in rows for cell in row)
    assert Counter("".join(text.getvalue().split())) == Counter("".join(letters.split()))


@pytest.mark.parametrize("name", ["console", "markdown", "html"])
@pytest.mark.parametrize("kind", ["repetition", "duel"])
def test_a_target_is_called_by_its_name_and_its_address(
    name: str, kind: str, request: pytest.FixtureRequest
) -> None:
    study = Study.open(request.getfixturevalue(kind))
    targets = {"": "staging", "A": "old", "B": "staging"}
    executions = [
        {**msgspec.to_builtins(one), "target": "http://kfp.example:1", "target_name": targets[one.label]}
        for one in study.record.executions
    ]
    ((_, content),) = FORMATS[name](changed(study.path, executions=executions)).items()
    assert "staging (http://kfp.example:1)" in content.decode()


def test_names_are_folded_between_their_parts() -> None:
    columns = [Column("Metric", is_number=False), Column("Value")]
    text = io.StringIO()
    table = Table("Metrics", columns, [["components.ml-pipeline-persistenceagent.memory.max", "1 GiB"]])
    Console(file=text, width=40).print(*parts_of_block(table))
    lines = [line.strip() for line in text.getvalue().splitlines()]
    assert lines[1:] == ["components.ml-pipeline-           1 GiB", "persistenceagent.memory.max"]


def test_minor_rows_are_folded_away_and_left_out_on_a_terminal() -> None:
    columns = [Column("Metric", is_number=False)]
    table = Table("Metrics", columns, [["a"], ["b"], ["c"]], minor=[0, 2], minor_title="2 others")
    text = io.StringIO()
    Console(file=text, width=80).print(*parts_of_block(table))
    assert " ".join(text.getvalue().split()) == "Metric b 2 others: see the page (--format html)"
    page = str(block_of(table))
    shown, _, folded = page.partition("<details><summary>2 others</summary>")
    assert [name for name in "abc" if f">{name}</th>" in shown] == ["b"]
    assert [name for name in "abc" if f">{name}</th>" in folded] == ["a", "c"]
    section = Section("s", "S", "", [table])
    story = Story("T", VerdictBlock("Passed", "Good.", Tone.GOOD), Facts([]), (), [section])
    shown, _, folded = markdown_of(story, {"s": False}).decode().partition("<details><summary>2 others")
    assert "| b |" in shown
    assert "| a |" not in shown
    assert "| a |\n| c |" in folded
