from __future__ import annotations

import json
from typing import Any

import pytest

from kfp_perf.errors import InputError
from kfp_perf.scenario.overrides import resolve
from kfp_perf.scenario.serde import parse_scenarios

BASE = {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml"}
ENVIRONMENT = {"RATE": "60/min", "N": "7", "EMPTY": "", "FLAG": "true", "WHO": "me & you", "BUILD": "123"}


def _value(fields: dict[str, Any], *overrides: str) -> Any:
    text = json.dumps([{**BASE, **fields}])
    return json.loads(resolve(text, "t.json", overrides, ENVIRONMENT).text)[0]


@pytest.mark.parametrize(
    ("field", "given", "resolved"),
    [
        ("arrivalRate", "${RATE}", "60/min"),
        ("numTimes", "${N}", 7),
        ("numTimes", "${NONE:-3}", 3),
        ("numTimes", "${EMPTY:-4}", 4),
        ("runTime", "${NONE:-5m}", "5m"),
        ("cacheEnabled", "${FLAG}", True),
        ("cacheEnabled", "${NONE:-null}", None),
        ("name", "${BUILD}", "123"),
        ("name", "nightly-${BUILD}-${NONE:-x}", "nightly-123-x"),
        ("namespace", "${EMPTY}", ""),
        ("params", {"a": "${N}", "b": "n=${N}", "c": ["${WHO}"]}, {"a": 7, "b": "n=7", "c": ["me & you"]}),
        ("params", {"a": "$${N}", "b": "$N", "c": "a $${x} ${N}"}, {"a": "${N}", "b": "$N", "c": "a ${x} 7"}),
        ("thresholds", {"run.count": "${N}"}, {"run.count": "7"}),
        ("stages", [{"duration": "1m", "target": "${N}"}], [{"duration": "1m", "target": 7}]),
    ],
)
def test_variables(field: str, given: Any, resolved: Any) -> None:
    assert _value({field: given})[field] == resolved


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("scenarios[0].arrivalRate=60/min", "arrivalRate", "60/min"),
        ("[0].numTimes=12", "numTimes", 12),
        ("scenarios[0].name=12", "name", "12"),
        ("scenarios[0].cacheEnabled=null", "cacheEnabled", None),
        ("scenarios[0].params.message=a=b", "params", {"message": "a=b"}),
        ("scenarios[0].params.n=5", "params", {"n": 5}),
        ('scenarios[0].params.n="5"', "params", {"n": "5"}),
        ('scenarios[0].params={"a": [1]}', "params", {"a": [1]}),
        ('scenarios[0].thresholds["run.duration.p95"]=< 90s', "thresholds", {"run.duration.p95": "< 90s"}),
        (
            'scenarios[0].stages=[{"duration": "1m", "target": 3}]',
            "stages",
            [{"duration": "1m", "target": 3}],
        ),
        ("scenarios[0].runTime=NaN", "runTime", "NaN"),
    ],
)
def test_overrides(override: str, field: str, value: Any) -> None:
    assert _value({}, override)[field] == value


def test_later_overrides_win_and_an_empty_one_removes() -> None:
    changed = _value(
        {"numTimes": 3},
        "scenarios[0].numTimes=",
        "scenarios[0].arrivalRate=1/s",
        "scenarios[0].arrivalRate=2/s",
        "scenarios[0].seed=",
    )
    assert "numTimes" not in changed
    assert changed["arrivalRate"] == "2/s"


def test_the_object_form() -> None:
    text = json.dumps({"defaults": {"runTime": "${N}m"}, "scenarios": [{"mode": "RANDOM_GETS"}]})
    overrides = ("name=nightly", "defaults.numTimes=2", "scenarios[0].name=reads")
    resolved = resolve(text, "t.json", overrides, ENVIRONMENT)
    parsed = parse_scenarios(resolved.text, "t.json")
    assert parsed.problems == []
    assert parsed.name == "nightly"
    assert (parsed.scenarios[0].name, parsed.scenarios[0].num_times) == ("reads", 2)
    assert parsed.scenarios[0].run_seconds == 420
    assert resolved.changes == (
        '$.defaults.runTime = "7m", from "${N}m"',
        '$.name = "nightly", by --set',
        "$.defaults.numTimes = 2, by --set",
        '$.scenarios[0].name = "reads", by --set',
    )


def test_a_file_without_any_stays_as_it_is() -> None:
    text = '[ {"mode":  "RANDOM_GETS"} ]  '
    assert resolve(text, "t.json", (), ENVIRONMENT).text is text


def test_a_file_that_is_wrong_is_left_to_its_reader() -> None:
    text = '[{"mode": "${X}", "mode": "b"}]'
    assert resolve(text, "t.json", (), {}).text is text
    with pytest.raises(InputError, match=r"t\.json:1:8: is not JSON"):
        resolve('["${X}"', "t.json", (), {})


@pytest.mark.parametrize(
    ("fields", "overrides", "words"),
    [
        ({"name": "${NONE}"}, (), "$[0].name: needs the variable NONE, which is not set"),
        ({"name": "${NONE}"}, (), "${NONE:-default}"),
        ({"name": "a ${"}, (), "holds ${ without"),
        ({"name": "${1x}"}, (), "holds ${ without"),
        ({"params": {"t": "${KFP_TOKEN}"}}, (), "which is a secret"),
        ({"params": {"t": "${DB_PASSWORD}"}}, (), "which is a secret"),
        ({"params": {"t": "${MY_API_KEY:-x}"}}, (), "which is a secret"),
        ({"params": {"t": "${TOKENIZER}"}}, (), "needs the variable TOKENIZER"),
        ({}, ("arrivalRate",), "is not of the form PATH=VALUE"),
        ({}, ("=3",), "is not of the form PATH=VALUE"),
        ({}, ("scenarios[0]x=3",), "is not a known field"),
        ({}, ("scenarios[1].name=x",), "$ has 1 items, counted from 0"),
        ({}, ("scenarios.name=x",), "$ is not an object"),
        ({}, ("scenarios=[]",), "would replace all"),
        ({}, ("scenarios[0].mode.x=1",), "$[0].mode is neither an object nor a list"),
        ({}, ("scenarios[0].params[0]=1", "scenarios[0]=1"), ""),
        ({}, ("scenarios[0]=",), "removes an item"),
    ],
)
def test_what_does_not_fit_is_named(fields: dict[str, Any], overrides: tuple[str, ...], words: str) -> None:
    text = json.dumps([{**BASE, **fields}])
    with pytest.raises(InputError) as caught:
        raise InputError(
            parse_scenarios(resolve(text, "t.json", overrides, ENVIRONMENT).text, "t.json").problems
        )
    assert caught.value.problems
    assert words in str(caught.value)


def test_all_that_does_not_fit_is_named_at_once() -> None:
    text = json.dumps([{**BASE, "name": "${A}", "namespace": "${B}"}])
    with pytest.raises(InputError) as caught:
        resolve(text, "t.json", ("x", "[5].name=y"), {})
    assert len(caught.value.problems) == 4
