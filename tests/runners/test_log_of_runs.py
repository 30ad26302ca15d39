"""Which runs without a good end are logged as warnings."""

from __future__ import annotations

import logging

import pytest
from fake_kfp import FakeKfp
from virtual_time import EPOCH, VirtualClock, run_virtually

from kfp_perf.config import TestConfig
from kfp_perf.result.records import Outcome, RunRecord
from kfp_perf.runners import RUNNERS
from kfp_perf.scenario.model import TestScenario


@pytest.mark.parametrize("stopped", [False, True])
def test_no_run_is_a_warning_while_the_test_is_being_stopped(
    stopped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        clock = VirtualClock()
        plain = {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml"}
        runner = RUNNERS["PIPELINE_RUN"](
            TestScenario.model_validate(plain),
            config=TestConfig(),
            client=FakeKfp(clock),
            clock=clock,
            t0=EPOCH,
        )
        if stopped:
            runner.request_stop()
        runner.record_run(RunRecord(scenario="s", name="r", run_id="i", outcome=Outcome.CUT_OFF, due=EPOCH))

    run_virtually(main)
    warned = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(warned) == (not stopped)
