from __future__ import annotations

from typing import Any

import pytest

from kfp_perf.scenario.estimate import LoadEstimate, estimate
from kfp_perf.scenario.model import TestScenario

RUN = {"mode": "EXPERIMENT", "runTime": 10}


def guess(fields: dict[str, Any], seconds_per_run: float = 20.0, firings: int = 0) -> LoadEstimate | None:
    context = {"extra_modes": ["CUSTOM"]}
    return estimate(TestScenario.model_validate(fields, context=context), seconds_per_run, firings)


@pytest.mark.parametrize(
    ("fields", "runs"),
    [
        ({**RUN, "numTimes": 3}, 90),  # 3 slots x 600 s / 20 s
        ({**RUN, "numTimes": 3, "thinkTime": "10s"}, 60),
        ({**RUN, "runTime": "5s", "numTimes": 3}, 3),  # each slot starts one at once
        ({**RUN, "arrivalRate": "30/min"}, 300),
        ({**RUN, "arrivalRate": "30/min", "arrivals": "poisson"}, 300),
        ({**RUN, "stages": [{"duration": 10, "target": 6}]}, 90),  # three slots on average
        ({**RUN, "stages": [{"duration": 10, "target": "60/min"}]}, 300),
    ],
)
def test_runs(fields: dict[str, Any], runs: int) -> None:
    expected = guess(fields)
    assert expected is not None
    assert expected.runs == runs
    assert expected.requests >= 3 * runs
    assert bool(expected.seconds_per_run) == ("arrivalRate" not in fields and "60/min" not in str(fields))


def test_following_many_runs_takes_more_pages_not_more_looks() -> None:
    few = guess({**RUN, "numTimes": 100, "pollInterval": "10s"}, 600.0)
    many = guess({**RUN, "numTimes": 200, "pollInterval": "10s"}, 600.0)
    assert few is not None
    assert many is not None
    assert many.requests - few.requests == 3 * 100 + 60


def test_schedules_count_their_firings() -> None:
    fields = {"mode": "PIPELINE_SCHEDULED_RUN", "runTime": 10, "numTimes": 4, "interval": "1m"}
    expected = guess(fields, firings=10)
    assert expected is not None
    assert expected.runs == 40


def test_reads_and_uploads_make_no_runs() -> None:
    reads = guess({"mode": "RANDOM_GETS", "runTime": 1, "numTimes": 10})
    assert reads is not None
    assert reads.runs == 0
    assert reads.requests == pytest.approx(10 * 60 / 1.05, rel=0.02)
    uploads = guess({"mode": "PIPELINE_UPLOAD", "runTime": 1, "numTimes": 10, "prefill": {"runs": 100}})
    assert uploads is not None
    assert uploads.requests == 5 + 200 + 20


def test_modes_of_plug_ins_are_not_guessed_at() -> None:
    assert guess({"mode": "CUSTOM", "runTime": 1}) is None
