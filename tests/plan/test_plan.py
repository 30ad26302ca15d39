from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.catalog import PIPELINES, SCENARIOS
from kfp_perf.errors import ExitCode, InputError
from kfp_perf.plan import Plan, find_scenario_file, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.config import TestConfig
from planned import RUN, problems


def test_a_plan_holds_all_that_a_test_needs(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    value = {
        "name": "nightly",
        "thresholds": {"run.duration.p95": "< 90s"},
        "scenarios": [RUN, {**RUN, "startTime": "30s", "runTime": "2m", "params": {"message": "x"}}],
    }
    plan = plan_of(value)
    assert plan.name == "nightly"
    assert plan.path.resolve() == tmp_path / "f.json"
    assert json.loads(plan.text) == value
    assert [scenario.name for scenario in plan.scenarios] == ["pipeline-run-1", "pipeline-run-2"]
    assert set(plan.packages) == set(plan.estimates) == {"pipeline-run-1", "pipeline-run-2"}
    assert plan.packages["pipeline-run-1"].name == "kfp-perf-hello"
    assert [(one.scenario, one.metric.name, one.bound) for one in plan.thresholds] == [
        (None, "run.duration.p95", 90.0)
    ]
    assert plan.duration_seconds == 150.0
    assert plan.warnings == ()


@pytest.mark.parametrize(
    ("scenarios", "names"),
    [
        ([{}], ["pipeline-run"]),
        ([{}, {}], ["pipeline-run-1", "pipeline-run-2"]),
        ([{}, {"mode": "EXPERIMENT"}], ["pipeline-run", "experiment"]),
        ([{}, {"name": "mine"}], ["pipeline-run", "mine"]),
        ([{}, {"name": "pipeline-run"}], ["pipeline-run-2", "pipeline-run"]),
        ([{}, {}, {"name": "pipeline-run-1"}], ["pipeline-run-2", "pipeline-run-3", "pipeline-run-1"]),
        ([{}, {"name": "Pipeline-Run-"}], ["pipeline-run-2", "Pipeline-Run-"]),
    ],
)
def test_every_scenario_has_a_name_of_its_own(
    plan_of: Callable[..., Plan], scenarios: list[dict[str, Any]], names: list[str]
) -> None:
    assert [scenario.name for scenario in plan_of([{**RUN, **one} for one in scenarios]).scenarios] == names


def test_a_plan_is_called_like_its_file_in_letters_that_every_file_system_takes(
    tmp_path: Path, config: TestConfig
) -> None:
    path = tmp_path / "my test (1).json"
    path.write_text(json.dumps([RUN]))
    assert make_plan(path, config).name == "my-test-1"


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"", "f.json", "is empty"),
        (b"{", "f.json", "is not JSON"),
        (b"\xff", "f.json", "is not UTF-8"),
        (b"[" * 100_000, "f.json", "is nested too deeply"),
        (b"null", "f.json: $", "must be a list or an object, got null"),
        (b"5", "f.json: $", "must be a list or an object, got a number"),
        (b"[]", "f.json: $", "holds no scenarios"),
        (b"[1, 2]", "f.json: $[0]", "must be an object"),
        (
            b'[{"mode": "RANDOM_GETS", "runTime": Infinity}]',
            "f.json: $[0].runTime",
            "must be a finite number",
        ),
        (b'[{"mode": "RANDOM_GETS", "runTime": NaN}]', "f.json: $[0].runTime", "must be a finite number"),
        (b'[{"mode": "NONE", "runTime": 1}]', "f.json: $[0].mode", "must be one of"),
        (b'[{"mode": "RANDOM_GETS", "runTime": 1, "runTime": 1}]', "f.json: $[0].runTime", "is given twice"),
    ],
)
def test_a_file_that_is_no_scenario_file(
    plan_of: Callable[..., Plan], content: bytes, where: str, what: str
) -> None:
    with pytest.raises(InputError) as caught:
        plan_of(content)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert problems(caught.value)[where].startswith(what)


def test_a_byte_order_mark_is_accepted(plan_of: Callable[..., Plan]) -> None:
    assert len(plan_of(b"\xef\xbb\xbf" + json.dumps([RUN]).encode()).scenarios) == 1


def test_a_missing_file_and_a_folder(
    tmp_path: Path, config: TestConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        make_plan("smok.json", config)
    assert caught.value.problems[0].what == "does not exist"
    assert caught.value.problems[0].remedy.startswith("did you mean smoke.json?")
    with pytest.raises(InputError, match="is a folder"):
        make_plan(tmp_path, config)
    for name in ("a" * 5000, "a\0b", ""):
        with pytest.raises(InputError):
            make_plan(name, config)


def test_built_in_files_are_found_by_name_unless_there_is_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_scenario_file("smoke.json") == find_scenario_file("smoke") == SCENARIOS / "smoke.json"
    with pytest.raises(InputError):
        find_scenario_file("sub/smoke.json")
    (tmp_path / "smoke.json").write_text("[]")
    assert find_scenario_file("smoke.json").resolve() == tmp_path / "smoke.json"


@pytest.mark.parametrize(
    ("scenario", "path", "what"),
    [
        (
            {"mode": "PIPELINE_RUN", "runTime": 1},
            "pipelineFileName",
            "is missing: mode PIPELINE_RUN needs a pipeline",
        ),
        (
            {"mode": "EXPERIMENT", "runTime": 1},
            "pipelineFileName",
            "is missing: mode EXPERIMENT needs a pipeline",
        ),
        (
            {"mode": "PIPELINE_SCHEDULED_RUN", "runTime": 1, "interval": "5s"},
            "pipelineFileName",
            "is missing: mode PIPELINE_SCHEDULED_RUN needs a pipeline",
        ),
        ({**RUN, "pipelineFileName": "none.yaml"}, "pipelineFileName", '"none.yaml" does not exist in'),
        (
            {**RUN, "pipelineFileName": "../f.yaml"},
            "pipelineFileName",
            '"../f.yaml" leads outside of the pipelines\'',
        ),
        ({**RUN, "pipelineFileName": "/etc/passwd"}, "pipelineFileName", '"/etc/passwd" leads outside'),
        ({**RUN, "params": {"message": 5}}, "params.message", "must be a string (STRING), got 5"),
        (
            {**RUN, "params": {"mesage": "x"}},
            "params.mesage",
            "is not a parameter of the pipeline kfp-perf-hello",
        ),
        ({**RUN, "params": {"a b": "x"}}, 'params["a b"]', "is not a parameter"),
        ({**RUN, "prefill": {"runs": 10_001}}, "prefill", "would create 10001 rows, more than 10000"),
    ],
)
def test_a_scenario_that_cannot_be_run(
    plan_of: Callable[..., Plan], scenario: dict[str, Any], path: str, what: str
) -> None:
    with pytest.raises(InputError) as caught:
        plan_of([RUN, scenario])
    assert list(problems(caught.value)) == [f"f.json: $[1].{path}"]
    assert caught.value.problems[0].what.startswith(what)
    assert caught.value.problems[0].remedy


def test_a_missing_required_parameter(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    text = (
        (PIPELINES / "hello.yaml")
        .read_text()
        .replace("defaultValue: hello", "")
        .replace("isOptional: true", "")
    )
    (tmp_path / "strict.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        plan_of([{**RUN, "pipelineFileName": "strict.yaml"}])
    assert problems(caught.value) == {
        "f.json: $[0].params.message": "is missing: the pipeline kfp-perf-hello requires it"
    }


def test_all_problems_of_fields_pipelines_and_parameters_are_told_at_once(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(InputError) as caught:
        plan_of(
            [
                {**RUN, "runTime": -1},
                {**RUN, "params": {"x": 1}, "name": "a"},
                {**RUN, "pipelineFileName": "broken.yaml", "name": "a"},
                {**RUN, "pipelineFileName": "broken.yaml"},
            ]
        )
    assert list(problems(caught.value)) == [
        "f.json: $[0].runTime",
        "f.json: $[1].params.x",
        "f.json: $[2].pipelineFileName: broken.yaml: line 2, column 1",
        "f.json: $[3].pipelineFileName: broken.yaml: line 2, column 1",
        "f.json: $[1].name",
        "f.json: $[2].name",
    ]


def test_a_pipeline_is_looked_for_beside_the_file_in_its_subfolder_and_in_configured_folders(
    plan_of: Callable[..., Plan], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    for folder in (tmp_path / "pipelines", elsewhere):
        folder.mkdir()
    hello = (PIPELINES / "hello.yaml").read_text()
    for path in ("beside.yaml", "pipelines/below.yaml", "elsewhere/configured.yaml"):
        (tmp_path / path).write_text(hello)
    names = ("beside.yaml", "below.yaml", "configured.yaml", "hello.yaml")
    plan = plan_of([{**RUN, "pipelineFileName": name} for name in names], {"pipeline_folders": (elsewhere,)})
    assert [package.path.name for package in plan.packages.values()] == list(names)
    with pytest.raises(InputError, match="does not exist"):
        plan_of([{**RUN, "pipelineFileName": "configured.yaml"}])


def test_a_link_in_the_files_folder_must_not_lead_outside(
    plan_of: Callable[..., Plan], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "p.yaml"
    outside.write_text((PIPELINES / "hello.yaml").read_text())
    (tmp_path / "link.yaml").symlink_to(outside)
    with pytest.raises(InputError, match="is a link that leads outside"):
        plan_of([{**RUN, "pipelineFileName": "link.yaml"}])


def test_a_wrong_default_pipeline_is_told_once(plan_of: Callable[..., Plan]) -> None:
    value = {
        "defaults": {"pipelineFileName": "none.yaml"},
        "scenarios": [{"mode": "PIPELINE_RUN", "runTime": 1}, {"mode": "EXPERIMENT", "runTime": 1}],
    }
    with pytest.raises(InputError) as caught:
        plan_of(value)
    assert list(problems(caught.value)) == ["f.json: $.defaults.pipelineFileName"]


def test_a_wrong_default_pipeline_file_is_told_once(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: 1")
    value = {
        "defaults": {"pipelineFileName": "broken.yaml"},
        "scenarios": [{"mode": "PIPELINE_RUN", "runTime": 1}, {"mode": "EXPERIMENT", "runTime": 1}],
    }
    with pytest.raises(InputError) as caught:
        plan_of(value)
    (where,) = problems(caught.value)
    assert where == "f.json: $.defaults.pipelineFileName: broken.yaml"
