from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.catalog import PIPELINES, SCENARIOS
from kfp_perf.errors import ExitCode, InputError
from kfp_perf.plan import Plan, find_scenario_file, make_plan, most_at_once
from kfp_perf.scenario.model import TestMode, TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.config import TestConfig

RUN: dict[str, Any] = {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml"}


def problems(error: InputError) -> dict[str, str]:
    return {problem.where: problem.what for problem in error.problems}


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


# what is wrong with the file itself


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"", "f.json", "is empty"),
        (b"{", "f.json: line 1, column 2", "is not JSON"),
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


# what goes beyond one field


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


def test_a_pool_too_small_for_the_overlap(plan_of: Callable[..., Plan]) -> None:
    three = [RUN, {**RUN, "startTime": "30s"}, {**RUN, "startTime": "59s"}]
    with pytest.raises(InputError) as caught:
        plan_of(three, {"pool_size": 2})
    assert problems(caught.value) == {"KFP_PERF_POOL_SIZE": "is 2, but 3 scenarios of f.json overlap"}
    plan_of(three, {"pool_size": 3})
    plan_of([RUN, {**RUN, "startTime": 1, "gracePeriod": 0}], {"pool_size": 1})


@pytest.mark.parametrize(
    ("first", "warned"), [({}, True), ({"gracePeriod": "2s"}, False), ({"gracePeriod": "2min"}, True)]
)
def test_a_pool_that_has_no_room_for_what_comes_after_the_run_time_is_a_warning(
    plan_of: Callable[..., Plan], first: dict[str, Any], warned: bool
) -> None:
    both = [{**RUN, **first}, {**RUN, "startTime": "65s"}]
    warnings = plan_of(both, {"pool_size": 1}).warnings
    assert [warning.where for warning in warnings] == ["KFP_PERF_POOL_SIZE"] * warned
    assert all("set it to 2" in warning.remedy for warning in warnings)
    assert plan_of(both, {"pool_size": 2}).warnings == ()


def test_scenarios_that_follow_each_other_do_not_overlap() -> None:
    def one(start: float, run: float) -> TestScenario:
        return TestScenario(mode=TestMode.RANDOM_GETS, start_time=start, run_time=run)

    assert most_at_once([]) == 0
    assert most_at_once([one(0, 1), one(1, 1), one(2, 1)]) == 1
    assert most_at_once([one(0, 10), one(1, 1), one(1.5, 1), one(5, 1)]) == 3


def test_many_rows_beforehand_are_confirmed(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of([{**RUN, "prefill": {"runs": 20_000}}], assume_yes=True)
    assert plan.scenarios[0].prefill is not None


def test_modes_of_plug_ins_are_planned(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of(
        [{"mode": "CUSTOM", "runTime": 1, "pipelineFileName": "hello.yaml"}], extra_modes=["CUSTOM"]
    )
    assert plan.scenarios[0].name == "custom"
    assert "custom" in plan.packages
    assert plan.estimates == {}


# what is doubtful


def schedule(**fields: Any) -> dict[str, Any]:
    return {"mode": "PIPELINE_SCHEDULED_RUN", "runTime": 10, "pipelineFileName": "hello.yaml", **fields}


@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        ({"cron": "*/5 * * * *"}, 2),
        ({"cron": "5 12 * * *"}, 1),
        ({"interval": "1m", "numTimes": 3}, 30),
        ({"cron": "0 0 * * *", "runTime": 30 * 24 * 60}, 30),
        ({"cron": "0 0 25 12 *", "runTime": 366 * 24 * 60}, 1),
    ],
)
def test_schedules_that_fire_are_counted(
    plan_of: Callable[..., Plan], fields: dict[str, Any], runs: int
) -> None:
    plan = plan_of([schedule(**fields)])
    assert plan.warnings == ()
    assert plan.estimates["pipeline-scheduled-run"].runs == runs


@pytest.mark.parametrize(
    ("fields", "path", "remedy"),
    [
        ({"cron": "0 11 * * *"}, "cron", "it would fire next at 2026-01-02 11:00 UTC"),
        ({"cron": "5 12 * * *", "startTime": 6}, "cron", "it would fire next at 2026-01-02 12:05 UTC"),
        ({"interval": "11m"}, "interval", "let it fire more often"),
    ],
)
def test_schedules_that_do_not_fire_within_the_run_time_are_a_warning(
    plan_of: Callable[..., Plan], fields: dict[str, Any], path: str, remedy: str
) -> None:
    (warning,) = plan_of([schedule(**fields)]).warnings
    assert warning.where == f"f.json: $[0].{path}"
    assert warning.what.startswith("does not fire within runTime (600 s)")
    assert remedy in warning.remedy


@pytest.mark.parametrize(
    ("fields", "warned"),
    [({"interval": "9s"}, True), ({"interval": "10s"}, False), ({"cron": "* * * * *"}, False)],
)
def test_schedules_that_cannot_keep_up_are_a_warning(
    plan_of: Callable[..., Plan], fields: dict[str, Any], warned: bool
) -> None:
    warnings = plan_of([schedule(**fields)]).warnings
    assert [warning.where for warning in warnings] == ["f.json: $[0].interval"] * warned
    assert all("numTimes" in warning.remedy for warning in warnings)


def test_given_fields_that_a_mode_does_not_use_are_a_warning(plan_of: Callable[..., Plan]) -> None:
    gets = {
        "mode": "RANDOM_GETS",
        "runTime": 1,
        "pipelineFileName": "none.yaml",
        "params": {"x": 1},
        "cron": "* * * * *",
    }
    plan = plan_of([gets])
    assert {warning.where: warning.what for warning in plan.warnings} == {
        "f.json: $[0].pipelineFileName": "is not used by mode RANDOM_GETS",
        "f.json: $[0].params": "is not used by mode RANDOM_GETS",
        "f.json: $[0].cron": "is not used by mode RANDOM_GETS",
    }
    assert plan.packages == {}


def test_a_namespace_is_of_no_use_on_a_single_user_server(plan_of: Callable[..., Plan]) -> None:
    scenario = {**RUN, "namespace": "team-a"}
    (warning,) = plan_of([scenario]).warnings
    assert warning.where == "f.json: $[0].namespace"
    assert plan_of([scenario], {"IS_KUBEFLOW_MODE": True}).warnings == ()


GETS = {"name": "gets", "mode": "RANDOM_GETS", "runTime": 1}


@pytest.mark.parametrize(
    ("whole", "scenarios", "where"),
    [
        ({}, [{**GETS, "thresholds": {"run.duration.p95": "< 1s"}}], '$[0].thresholds["run.duration.p95"]'),
        (
            {},
            [{**RUN, "thresholds": {"schedule.drift.p50": "< 1m"}}],
            '$[0].thresholds["schedule.drift.p50"]',
        ),
        ({"run.success_rate": ">= 0.9"}, [GETS], '$.thresholds["run.success_rate"]'),
        ({"phase.queue.mean": "< 9s"}, [GETS], '$.thresholds["phase.queue.mean"]'),
    ],
)
def test_a_threshold_on_runs_needs_a_scenario_that_starts_some(
    plan_of: Callable[..., Plan], whole: dict[str, str], scenarios: list[dict[str, Any]], where: str
) -> None:
    value = {"thresholds": whole, "scenarios": scenarios} if whole else scenarios
    with pytest.raises(InputError) as caught:
        plan_of(value)
    (problem,) = caught.value.problems
    assert problem.where.endswith(where)
    assert "would have no values of" in problem.what
    assert "PIPELINE_SCHEDULED_RUN" in problem.remedy


@pytest.mark.parametrize(
    ("whole", "scenarios"),
    [
        ({"run.duration.p50": "< 1m"}, [GETS, RUN]),
        ({"run.failed": "== 0"}, [GETS]),
        ({"api.GetRun.latency.p95": "< 1s"}, [GETS]),
        ({"run.duration.p50": "< 1m"}, [GETS, {"mode": "CUSTOM", "runTime": 1}]),
    ],
)
def test_a_threshold_that_can_be_told_is_good(
    plan_of: Callable[..., Plan], whole: dict[str, str], scenarios: list[dict[str, Any]]
) -> None:
    plan = plan_of({"thresholds": whole, "scenarios": scenarios}, extra_modes=["CUSTOM"])
    assert len(plan.thresholds) == 1


@pytest.mark.parametrize(
    ("condition", "load", "warned"),
    [
        ({"run.duration.p99": "< 1m"}, {"arrivalRate": "60/min"}, True),
        ({"run.duration.p95": "< 1m"}, {"arrivalRate": "60/min"}, False),
        ({"run.success_rate": ">= 0.9"}, {"arrivalRate": "1/min"}, False),
        # How many runs a closed load comes to hangs on how long they last.
        ({"run.duration.p99": "< 1m"}, {"numTimes": 1}, False),
        ({"api.CreateRun.latency.p99": "< 1m"}, {"arrivalRate": "60/min"}, False),
    ],
)
def test_a_quantile_of_more_runs_than_will_be_started_is_doubted(
    plan_of: Callable[..., Plan], condition: dict[str, str], load: dict[str, Any], warned: bool
) -> None:
    one = {"mode": "EXPERIMENT", "runTime": 1, "pipelineFileName": "hello.yaml", **load}
    plan = plan_of([{**one, "thresholds": condition}])
    assert bool(plan.warnings) is warned
    if warned:
        (warning,) = plan.warnings
        assert warning.where.endswith('$[0].thresholds["run.duration.p99"]')
        assert "needs 100 runs, and 60 are expected" in warning.what


@pytest.mark.parametrize(
    ("name", "condition", "nearest"),
    [
        ("server.CreateRun.handling.p99", "< 500ms", "300ms"),
        ("server.*.handling.p95", "< 900ms", "1s"),
        ("server.GetRun.handling.p50", "< 2ms", "5ms"),
        ("controller.workflow_queue.latency.p95", "< 30s", "20s"),
        ("server.CreateRun.handling.p99", "< 1s", ""),
        ("server.CreateRun.handling.p99", "< 10m", ""),
        ("server.CreateRun.handling.mean", "< 500ms", ""),
        ("api.CreateRun.latency.p99", "< 500ms", ""),
    ],
)
def test_a_bound_within_a_bucket_is_warned_of(
    plan_of: Callable[..., Plan], name: str, condition: str, nearest: str
) -> None:
    warnings = plan_of({"thresholds": {name: condition}, "scenarios": [RUN]}).warnings
    found = [one for one in warnings if "lies within a bucket" in one.what]
    assert [one.remedy for one in found] == (
        [f"take the bound of a bucket, of which {nearest} is the nearest"] if nearest else []
    )
