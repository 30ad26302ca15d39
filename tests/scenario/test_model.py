from __future__ import annotations

import pickle
from typing import get_args

import pytest
from pydantic import ValidationError

from kfp_perf.scenario.model import DEFAULT_MIX, ReadCall, TestMode, TestScenario
from kfp_perf.scenario.quantities import Rate


def scenario(**fields: object) -> TestScenario:
    return TestScenario.model_validate({"mode": TestMode.PIPELINE_RUN, "run_time": 1, **fields})


def test_times_are_kept_in_minutes_and_told_in_seconds() -> None:
    one = scenario(
        start_time="20s", run_time="7s", warmup="100ms", grace_period=2, poll_interval="3s", think_time="1s"
    )
    assert one.start_time == pytest.approx(1 / 3)
    assert (one.start_seconds, one.run_seconds, one.warmup_seconds) == (20.0, 7.0, 0.1)
    assert (one.grace_seconds, one.poll_seconds, one.think_seconds) == (120.0, 3.0, 1.0)


def test_times_that_adapt_are_none() -> None:
    assert scenario().grace_seconds is None
    assert scenario().poll_seconds is None
    assert scenario().interval_seconds is None


def test_a_scenario_is_immutable_and_can_cross_processes() -> None:
    one = scenario(arrival_rate="30/min", params={"a": [1, {"b": None}]})
    with pytest.raises(ValidationError):
        one.run_time = 5
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_scenario_can_be_written_and_read_again() -> None:
    one = scenario(
        stages=[{"duration": "30s", "target": "1/s"}, {"duration": "30s", "target": "0/s"}], tags={"a": "b"}
    )
    assert TestScenario.model_validate_json(one.model_dump_json(exclude_unset=True)) == one


def test_caching_tells_not_given_from_null() -> None:
    assert scenario().caching(True) is True
    assert scenario().caching(False) is False
    assert scenario(cache_enabled=True).caching(False) is True
    assert scenario(cache_enabled=None).caching(True) is None
    assert scenario(cache_enabled=None).model_copy(update={"name": "n"}).caching(True) is None


def test_the_rate_is_the_highest() -> None:
    assert scenario().rate is None
    assert scenario(arrival_rate="5/s").rate == Rate(5.0, "s")
    stages = [{"duration": "30s", "target": "90/min"}, {"duration": "30s", "target": "1/s"}]
    assert scenario(stages=stages).rate == Rate(90.0, "min")
    assert scenario(stages=[{"duration": 1, "target": 3}]).rate is None


def test_every_call_has_a_weight() -> None:
    assert set(DEFAULT_MIX) == set(get_args(ReadCall))


def test_stages_say_how_long_a_scenario_lasts() -> None:
    stages = [{"duration": "20s", "target": 5}, {"duration": 1, "target": 5}]
    fields = {"mode": "PIPELINE_RUN", "stages": stages}
    assert TestScenario.model_validate(fields).run_seconds == 80.0
    assert TestScenario.model_validate({**fields, "warmup": "10s", "runTime": "80s"}).run_seconds == 80.0
    nothing = [{"duration": 0, "target": 5}]
    for wrong in ({"runTime": "1min"}, {"warmup": "80s"}, {"stages": nothing}, {"stages": None}):
        with pytest.raises(ValidationError):
            TestScenario.model_validate(fields | wrong)
