"""What a plan warns of, and thresholds that cannot be kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from planned import RUN, problems
from small_pipelines import Draft, task

from kfp_perf.errors import InputError
from kfp_perf.plan import Plan, most_at_once
from kfp_perf.scenario.model import TestMode, TestScenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


def test_runs_that_will_fail_for_want_of_a_value(plan_of: Callable[..., Plan], tmp_path: Path) -> None:
    draft = Draft()
    draft.container("work", inputs={"text": "STRING"})
    documents = draft.documents({"a": task("work", gets={"text": ("parent", "text")})}, {"text": "STRING"})
    documents[0]["root"]["inputDefinitions"]["parameters"]["text"]["isOptional"] = True
    (tmp_path / "p.json").write_text(json.dumps(documents[0]))
    scenario = {**RUN, "pipelineFileName": "p.json"}
    (warning,) = plan_of([scenario]).warnings
    assert warning.where == "f.json: $[0].params.text"
    assert warning.what == "is not given and has no default, and the task a fails without it"
    assert plan_of([{**scenario, "params": {"text": ""}}]).warnings == ()
    assert plan_of([{"mode": "PIPELINE_UPLOAD", "runTime": 1, "pipelineFileName": "p.json"}]).warnings == ()
