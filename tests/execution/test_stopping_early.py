"""A test that `stop_when` ends early: in good order, with a result that is neither failed nor interrupted."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.errors import ExitCode, TestInterrupted
from kfp_perf.execution import StopWhen, TestFailed, execute
from kfp_perf.execution.document import result_document
from kfp_perf.live import open_display
from kfp_perf.log import Logger
from kfp_perf.plan import make_plan
from kfp_perf.result.files import RESULT_FILE
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from program import Server

    from kfp_perf.result.counters import ScenarioCounters

SCENARIO: dict[str, Any] = {
    "name": "a",
    "mode": "PIPELINE_RUN",
    "runTime": "10min",
    "arrivalRate": "20/s",
    "pipelineFileName": "hello.yaml",
}
REASON = "the outcome is certain"


def run(
    server: Server, folder: Path, scenario: dict[str, Any], stop_when: StopWhen
) -> tuple[TestResult, str]:
    (folder / "t.json").write_text(json.dumps([scenario]))
    config = TestConfig(KFP_API_HOST=server.url, results_folder=folder / "results")
    plan = make_plan(folder / "t.json", config)
    console = io.StringIO()
    with Logger(console=console) as logger:
        display = open_display(logger, quiet=True)
        result = execute(plan, config, logger=logger, display=display, stop_when=stop_when)
    return result, console.getvalue()


def test_a_test_that_is_ended_early_passes_and_is_cleaned_up(server: Server, tmp_path: Path) -> None:
    asked: list[float] = []

    def ten_succeeded(counters: Mapping[str, ScenarioCounters], elapsed: float) -> str | None:
        asked.append(elapsed)
        return REASON if counters["a"].ended >= 10 else None

    result, log = run(server, tmp_path, SCENARIO, ten_succeeded)
    document = result.document
    assert document["verdict"]["text"] == "passed"
    assert document["stopped_early"]["reason"] == REASON
    assert document["stopped_early"]["elapsed_seconds"] == asked[-1], "it is not asked again"
    assert asked == sorted(asked)
    assert f"Ending the test early: {REASON}" in log
    runs = document["total"]["runs"]
    assert runs["succeeded"] >= 10
    assert runs["success_rate"] == 1.0, "runs in flight were cut off, and count in no rate"
    assert document["scenarios"][0]["metrics"]["load"]["fell_behind"] != 1
    assert server.ours() == {}


def test_the_files_alone_give_the_same_verdict(server: Server, tmp_path: Path) -> None:
    result, _ = run(server, tmp_path, SCENARIO, lambda counters, elapsed: REASON)
    info = result.scenarios[0].info
    assert info.start_at <= info.stopped_at == info.load_end < info.end_at
    (result.path / RESULT_FILE).unlink()
    again = result_document(TestResult.open(result.path))
    assert again["verdict"] == result.document["verdict"]
    assert again["stopped_early"] == result.document["stopped_early"]


def test_a_function_that_fails_ends_the_test_as_failed(server: Server, tmp_path: Path) -> None:
    def broken(counters: Mapping[str, ScenarioCounters], elapsed: float) -> str | None:
        raise ZeroDivisionError("no such plateau")

    with pytest.raises(TestFailed, match="no such plateau") as failed:
        run(server, tmp_path, SCENARIO, broken)
    assert failed.value.exit_code == ExitCode.FAILED
    assert server.ours() == {}


def test_a_function_that_says_interrupted_ends_the_test_as_ctrl_c_does(
    server: Server, tmp_path: Path
) -> None:
    def stopped(counters: Mapping[str, ScenarioCounters], elapsed: float) -> str | None:
        raise TestInterrupted("stopped")

    with pytest.raises(TestFailed) as failed:
        run(server, tmp_path, SCENARIO, stopped)
    assert failed.value.exit_code == ExitCode.INTERRUPTED
    assert failed.value.result.document["verdict"]["exit_code"] == ExitCode.INTERRUPTED
    assert server.ours() == {}
