from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from kfp_perf.errors import InputError
from kfp_perf.scenario.conditions import GivenThreshold
from kfp_perf.scenario.model import TestMode, TestScenario
from kfp_perf.scenario.serde import EnumSerDe, JsonDeserializationUtils, parse_scenarios, read_scenario_file

if TYPE_CHECKING:
    from pathlib import Path

RUN: dict[str, Any] = {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml"}
GETS: dict[str, Any] = {"mode": "RANDOM_GETS", "runTime": 1}
UPLOAD: dict[str, Any] = {"mode": "PIPELINE_UPLOAD", "runTime": 1}
SCHEDULE: dict[str, Any] = {"mode": "PIPELINE_SCHEDULED_RUN", "runTime": 60, "pipelineFileName": "hello.yaml"}
CRON: dict[str, Any] = {**SCHEDULE, "cron": "*/5 * * * *"}


def problems_of(value: object, **options: Any) -> dict[str, tuple[str, str]]:
    """The problems of a file that holds a value: path -> (what, remedy)."""
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        parsed = parse_scenarios(text, "f.json", **options)
    except InputError as error:
        problems = list(error.problems)
    else:
        problems = parsed.problems
    return {problem.where.removeprefix("f.json: "): (problem.what, problem.remedy) for problem in problems}


def good(value: object) -> list[TestScenario]:
    parsed = parse_scenarios(json.dumps(value), "f.json")
    assert parsed.problems == []
    return list(parsed.scenarios.values())


def test_a_list_of_scenarios_as_it_was_always_given(tmp_path: Path) -> None:
    path = tmp_path / "scenarios.json"
    path.write_text(
        """[{"mode": "PIPELINE_RUN", "startTime": 0, "runTime": 10, "numTimes": 5,
             "pipelineFileName": "hello.yaml", "params": {"message": "x"}},
            {"mode": "PIPELINE_SCHEDULED_RUN", "startTime": 1.5, "runTime": 20, "pipelineFileName": "hello.yaml",
             "cron": "*/5 * * * *"},
            {"mode": "RANDOM_GETS", "startTime": 2, "runTime": 5, "numTimes": 3}]"""
    )
    run, schedule, gets = JsonDeserializationUtils.get_list_from_file(path, TestScenario)
    assert run.mode is TestMode.PIPELINE_RUN
    assert (run.start_seconds, run.run_seconds, run.num_times) == (0.0, 600.0, 5)
    assert run.params == {"message": "x"}
    assert (schedule.start_seconds, schedule.cron) == (90.0, "*/5 * * * *")
    assert gets.think_seconds == 1.0
    assert run.think_seconds == 0.0


def test_the_object_form_gives_defaults_where_they_suit() -> None:
    run, gets, burst, schedule = good(
        {
            "$schema": "./schema.json",
            "name": "nightly",
            "defaults": {
                "runTime": "5m",
                "numTimes": 4,
                "pipelineFileName": "hello.yaml",
                "cron": "* * * * *",
            },
            "thresholds": {"run.duration.p95": "< 90s"},
            "scenarios": [
                {"mode": "PIPELINE_RUN", "numTimes": 7},
                {"mode": "RANDOM_GETS", "runTime": "30s"},
                {"mode": "EXPERIMENT", "arrivalRate": "1/s"},
                {"mode": "PIPELINE_SCHEDULED_RUN", "interval": "1m"},
            ],
        }
    )
    assert (run.run_seconds, run.num_times, run.cron) == (300.0, 7, None)
    assert (gets.run_seconds, gets.num_times, gets.pipeline_file_name) == (30.0, 4, None)
    assert burst.num_times == 1
    assert burst.rate is not None
    assert (schedule.cron, schedule.interval_seconds) == (None, 60.0)


def test_a_file_knows_its_name_and_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"name": "n", "thresholds": {"a": "< 1"}, "scenarios": [RUN]}))
    file = read_scenario_file(path)
    assert (file.name, file.thresholds, len(file.scenarios)) == ("n", {"a": (GivenThreshold("< 1"),)}, 1)


@pytest.mark.parametrize(
    ("value", "path", "what"),
    [
        ("null", "$", "must be a list or an object, got null"),
        ("5", "$", "must be a list or an object, got a number"),
        ('"x"', "$", "must be a list or an object, got a string"),
        ("true", "$", "must be a list or an object, got true or false"),
        ([], "$", "holds no scenarios"),
        ({"scenarios": []}, "$.scenarios", "holds no scenarios"),
        ([1, 2], "$[0]", "must be an object, got a number"),
        ([None], "$[0]", "must be an object, got null"),
        ([[RUN]], "$[0]", "must be an object, got a list"),
        ({"scenarios": {}}, "$.scenarios", "must be a list, got an object"),
        ({}, "$.scenarios", "is missing"),
        ([RUN] * 1001, "$", "holds 1001 scenarios"),
        ({"scenarios": [RUN], "defaults": 3}, "$.defaults", "must be an object, got 3"),
        ({"scenarios": [RUN], "name": "a/b"}, "$.name", "must match"),
        (
            {"scenarios": [RUN], "thresholds": {"a": 1}},
            "$.thresholds.a",
            "must be a string, an object or a list, got 1",
        ),
    ],
)
def test_a_file_of_the_wrong_shape(value: object, path: str, what: str) -> None:
    assert problems_of(value)[path][0].startswith(what)


@pytest.mark.parametrize(
    ("scenario", "field", "what"),
    [
        ({**RUN, "mode": "RUN_PIPELINES"}, "mode", "must be one of EXPERIMENT, PIPELINE_RUN"),
        ({**RUN, "mode": 1}, "mode", "must be one of"),
        ({**RUN, "mode": None}, "mode", "must be one of"),
        ({"runTime": 1}, "mode", "is missing"),
        ({"mode": "RANDOM_GETS"}, "runTime", "is missing"),
        ({**RUN, "startTime": -1}, "startTime", "must not be negative, got -1"),
        ({**RUN, "startTime": None}, "startTime", "is not a time, got null"),
        ({**RUN, "runTime": 0}, "runTime", "must be greater than 0, got 0"),
        ({**RUN, "runTime": -1}, "runTime", "must be greater than 0, got -1"),
        ({**RUN, "runTime": "soon"}, "runTime", 'is not a time, got "soon"'),
        ({**RUN, "runTime": 1e300}, "runTime", "must be at most 527040 minutes (a year), got 1e+300"),
        ({**RUN, "numTimes": 0}, "numTimes", "must be at least 1, got 0"),
        ({**RUN, "numTimes": -3}, "numTimes", "must be at least 1, got -3"),
        ({**RUN, "numTimes": 1.5}, "numTimes", "must be a whole number, got 1.5"),
        ({**RUN, "numTimes": "3"}, "numTimes", 'must be a whole number, got "3"'),
        ({**RUN, "numTimes": True}, "numTimes", "must be a whole number, got true"),
        ({**RUN, "numTimes": 10**30}, "numTimes", "must be at most 100000, got 1000"),
        ({**RUN, "pipelineFileName": ""}, "pipelineFileName", "must not be empty"),
        ({**RUN, "pipelineFileName": ["a"]}, "pipelineFileName", 'must be a string, got ["a"]'),
        ({**RUN, "params": [1]}, "params", "must be an object, got [1]"),
        ({**RUN, "name": "a b"}, "name", "must match"),
        ({**RUN, "namespace": "A"}, "namespace", "must match"),
        ({**RUN, "tags": {"a": 1}}, "tags.a", "must be a string, got 1"),
        ({**RUN, "seed": -1}, "seed", "must be at least 0, got -1"),
        ({**RUN, "arrivalRate": "0/s"}, "arrivalRate", 'must be greater than 0, got "0/s"'),
        ({**RUN, "arrivalRate": "1e9/s"}, "arrivalRate", 'must be at most 10000/s, got "1e9/s"'),
        ({**RUN, "arrivalRate": 5}, "arrivalRate", "is not a rate, got 5"),
        (
            {**RUN, "numTimes": 2, "arrivalRate": "5/s"},
            "arrivalRate",
            "cannot be given together with numTimes",
        ),
        ({**RUN, "arrivals": "poisson"}, "arrivals", "needs a rate"),
        (
            {**RUN, "arrivalRate": "5/s", "arrivals": "random"},
            "arrivals",
            "must be one of 'constant' or 'poisson'",
        ),
        ({**RUN, "maxInFlight": 5}, "maxInFlight", "needs a rate"),
        ({**RUN, "arrivalRate": "5/s", "thinkTime": 1}, "thinkTime", "cannot be given with a rate"),
        ({**RUN, "stages": []}, "stages", "must not be empty"),
        (
            {**RUN, "stages": [{"duration": 2, "target": 1}]},
            "stages",
            "last 120 s together, but runTime is 60 s",
        ),
        ({**RUN, "stages": [{"duration": 1, "target": 0}]}, "stages", "never ask for any load"),
        ({**RUN, "stages": [{"duration": 1, "target": "0/s"}]}, "stages", "never ask for any load"),
        (
            {**RUN, "stages": [{"duration": "30s", "target": 3}, {"duration": "30s", "target": "3/s"}]},
            "stages",
            "mixes slots and rates",
        ),
        (
            {**RUN, "stages": [{"duration": 1, "target": 1}], "numTimes": 2},
            "stages",
            "cannot be given together",
        ),
        ({**RUN, "stages": [{"duration": 1}]}, "stages[0].target", "is missing"),
        (
            {**RUN, "stages": [{"duration": 1, "target": 1, "targt": 1}]},
            "stages[0].targt",
            "is not a known field",
        ),
        ({**RUN, "stages": 5}, "stages", "must be a list, got 5"),
        ({**RUN, "stages": [5]}, "stages[0]", "must be an object, got 5"),
        (
            {**UPLOAD, "stages": [{"duration": 1, "target": 5}]},
            "stages",
            "must be rates in mode PIPELINE_UPLOAD",
        ),
        ({**RUN, "warmup": 1}, "warmup", "must be shorter than runTime (60 s), got 60 s"),
        ({**RUN, "warmup": "2h"}, "warmup", "must be shorter than runTime"),
        ({**GETS, "mix": {"ListRun": 1}}, "mix.ListRun", "is a call that RANDOM_GETS does not make"),
        ({**GETS, "mix": {"ListRuns": 0, "GetRun": 0}}, "mix", "gives no call a weight above 0"),
        ({**GETS, "mix": {}}, "mix", "gives no call a weight above 0"),
        ({**GETS, "mix": {"ListRuns": -1}}, "mix.ListRuns", "must be at least 0, got -1"),
        ({**RUN, "mix": {"ListRuns": 1}}, "mix", "is not used by mode PIPELINE_RUN"),
        ({**GETS, "gracePeriod": 1}, "gracePeriod", "is not used by mode RANDOM_GETS"),
        ({**RUN, "prefill": {"run": 1}}, "prefill.run", "is not a known field"),
        ({**RUN, "prefill": {"runs": -1}}, "prefill.runs", "must be at least 0, got -1"),
        ({**RUN, "cacheEnabled": "no"}, "cacheEnabled", 'must be true or false, got "no"'),
        ({**RUN, "pollInterval": 0}, "pollInterval", "must be greater than 0, got 0"),
        (SCHEDULE, "cron", "is missing"),
        ({**SCHEDULE, "cron": "* * * *"}, "cron", "must have five fields, got 4"),
        ({**SCHEDULE, "cron": "0 0 30 2 *"}, "cron", "can never fire"),
        ({**SCHEDULE, "cron": 5}, "cron", "must be a string, got 5"),
        ({**CRON, "interval": 1}, "interval", "cannot be given together with cron"),
        ({**SCHEDULE, "interval": "500ms"}, "interval", "must be whole seconds, at least 1, got 0.5 s"),
        ({**SCHEDULE, "interval": "1500ms"}, "interval", "must be whole seconds"),
    ],
)
def test_a_wrong_scenario(scenario: dict[str, Any], field: str, what: str) -> None:
    problems = problems_of([RUN, scenario])
    assert list(problems) == [f"$[1].{field}"]
    assert problems[f"$[1].{field}"][0].startswith(what)


@pytest.mark.parametrize(
    ("field", "remedy"),
    [
        ("runtime", "did you mean runTime?"),
        ("run_time", "did you mean runTime?"),
        ("StartTime", "did you mean startTime?"),
        ("num-times", "did you mean numTimes?"),
        ("pipelineFilename", "did you mean pipelineFileName?"),
        ("param", "did you mean params?"),
        ("concurrency", "write numTimes"),
        ("resourceLimits", "set limits in the pipeline"),
        ("qqq", "allowed: mode, startTime, runTime"),
        ("", "allowed: mode"),
    ],
)
def test_an_unknown_field_is_answered_with_what_to_write(field: str, remedy: str) -> None:
    problems = problems_of([{**RUN, field: 1}])
    assert len(problems) == 1
    (what, answer) = next(iter(problems.values()))
    assert what in {"is not a known field", "is not a field of a scenario"}
    assert answer.startswith(remedy)


@pytest.mark.parametrize(
    ("mode", "remedy"),
    [
        ("SCHEDULED_RUNS", 'write "PIPELINE_SCHEDULED_RUN"'),
        ("PIPELINE_RUNN", 'did you mean "PIPELINE_RUN"?'),
        ("experiment", 'did you mean "EXPERIMENT"?'),
        ("random-gets", 'did you mean "RANDOM_GETS"?'),
    ],
)
def test_an_unknown_mode_is_answered_with_what_to_write(mode: str, remedy: str) -> None:
    assert problems_of([{**RUN, "mode": mode}])["$[0].mode"][1] == remedy


def test_all_errors_are_told_at_once_each_with_its_path() -> None:
    problems = problems_of(
        {
            "defaults": {"runTime": -1, "concurency": 3},
            "scenarios": [
                {"mode": "PIPELINE_RUN", "runtime": 3, "numTimes": 0},
                {"mode": "EXPERIMENT", "runTime": 1, "arrivalRate": "5/s", "warmup": 2, "stages": []},
                5,
            ],
        }
    )
    assert set(problems) == {
        "$.defaults.runTime",
        "$.defaults.concurency",
        "$.scenarios[0].runtime",
        "$.scenarios[0].numTimes",
        "$.scenarios[1].stages",
        "$.scenarios[2]",
    }


def test_every_broken_rule_of_a_scenario_is_told() -> None:
    problems = problems_of([{**RUN, "arrivalRate": "5/s", "numTimes": 2, "warmup": 2, "mix": {"GetRun": 0}}])
    assert set(problems) == {"$[0].arrivalRate", "$[0].warmup", "$[0].mix"}


def test_a_wrong_default_is_told_once_at_its_own_place() -> None:
    problems = problems_of({"defaults": {"numTimes": 0}, "scenarios": [RUN, RUN, {**RUN, "numTimes": 0}]})
    assert set(problems) == {"$.defaults.numTimes", "$.scenarios[2].numTimes"}


def test_one_scenario_without_a_list_is_answered() -> None:
    assert "put it into a list" in problems_of(RUN)["$.mode"][1]


def test_numbers_that_are_none_are_told_once() -> None:
    problems = problems_of(
        '[{"mode": "RANDOM_GETS", "runTime": NaN, "startTime": 1e999, "numTimes": Infinity}]'
    )
    assert {path: what for path, (what, _) in problems.items()} == {
        "$[0].runTime": "must be a finite number",
        "$[0].startTime": "must be a finite number",
        "$[0].numTimes": "must be a finite number",
    }


def test_a_key_that_is_given_twice_is_an_error() -> None:
    text = '[{"mode": "RANDOM_GETS", "runTime": 1, "runTime": 2}]'
    assert problems_of(text)["$[0].runTime"][0] == "is given twice"


def test_modes_of_plug_ins_use_every_field() -> None:
    custom = {"mode": "CUSTOM", "runTime": 1, "cron": "* * * * *", "mix": {"GetRun": 1}, "pollInterval": 1}
    assert "CUSTOM" in problems_of([custom])["$[0].mode"][0]
    parsed = parse_scenarios(json.dumps([custom]), "f.json", extra_modes={"CUSTOM"})
    assert parsed.problems == []
    assert parsed.scenarios[0].mode == "CUSTOM"
    assert parsed.scenarios[0].mode_name == "CUSTOM"


def test_a_subclass_of_the_scenario_has_fields_of_its_own(tmp_path: Path) -> None:
    class ExtendedScenario(TestScenario):
        owner: str = "nobody"

    path = tmp_path / "a.json"
    path.write_text(json.dumps([{**RUN, "owner": "me"}]))
    assert [one.owner for one in JsonDeserializationUtils.get_list_from_file(path, ExtendedScenario)] == [
        "me"
    ]
    with pytest.raises(InputError, match="owner"):
        JsonDeserializationUtils.get_list_from_file(path, TestScenario)


def test_any_model_can_be_read_from_a_list(tmp_path: Path) -> None:
    class Point(BaseModel):
        x: int

    path = tmp_path / "points.json"
    path.write_text('[{"x": 1}, {"x": 2}]')
    assert JsonDeserializationUtils.get_list_from_file(path, Point) == [Point(x=1), Point(x=2)]
    path.write_text('[{"x": 1}, {"y": 2}, {"x": "a"}]')
    with pytest.raises(InputError) as caught:
        JsonDeserializationUtils.get_list_from_file(path, Point)
    assert [problem.where for problem in caught.value.problems] == [f"{path}: $[1].x", f"{path}: $[2].x"]
    path.write_text("{}")
    with pytest.raises(InputError, match="must be a list, got an object"):
        JsonDeserializationUtils.get_list_from_file(path, Point)


class Colour(Enum):
    RED = 1
    GREEN = 2


def test_enumerations_are_read_and_written_by_name() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Colour, EnumSerDe(Colour).enum_by_name()])
    assert adapter.validate_python("RED") is Colour.RED
    assert adapter.validate_python(Colour.GREEN) is Colour.GREEN
    assert adapter.dump_json(Colour.GREEN) == b'"GREEN"'
    assert adapter.json_schema() == {"type": "string", "enum": ["RED", "GREEN"]}
    for wrong in (1, "red", "BLUE", None):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_a_field_may_have_the_name_that_pydantic_marks_wrong_keys_with() -> None:
    (problem,) = parse_scenarios(json.dumps([{**RUN, "[key]": 1}]), "f.json").problems
    assert problem.where == 'f.json: $[0]["[key]"]'
    assert problem.what == "is not a known field"
