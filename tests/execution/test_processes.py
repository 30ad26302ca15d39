"""Scenarios in processes of their own, through the same protocol as those in threads."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from process_engine import ProcessEngine

from kfp_perf.config import TestConfig
from kfp_perf.engine import load_plugins
from kfp_perf.errors import TargetError
from kfp_perf.execution import TestFailed, execute
from kfp_perf.live import open_display
from kfp_perf.log import Logger
from kfp_perf.pacing import RealClock
from kfp_perf.plan import make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from program import Server

    from kfp_perf.result.reader import TestResult

PLUGIN = """
import os
from kfp_perf import BaseRunner, MetricsCollector
from kfp_perf.errors import TargetError

class Failing(BaseRunner):
    def run(self):
        raise TargetError("It went away.")

    def stop(self):
        pass

class Process(MetricsCollector):
    runs = 0

    def on_run(self, record):
        self.runs += 1

    def merge(self, other):
        self.runs += other.runs

    def collect_custom_metrics(self):
        return {"process": os.getpid(), "runs": self.runs}

RUNNERS = {"FAILING": Failing}
METRICS = {"process": Process}
"""
RUNS: dict[str, Any] = {
    "name": "a",
    "mode": "PIPELINE_RUN",
    "runTime": "1s",
    "arrivalRate": "10/s",
    "pipelineFileName": "hello.yaml",
}


def run_in_processes(folder: Path, server: Server, scenarios: list[dict[str, Any]]) -> TestResult:
    (folder / "t.json").write_text(json.dumps(scenarios))
    (folder / "mine.py").write_text(PLUGIN)
    plugins = load_plugins([str(folder / "mine.py")])
    config = TestConfig(KFP_API_HOST=server.url, results_folder=folder / "results")
    plan = make_plan(folder / "t.json", config, extra_modes=plugins.runners)
    with Logger(console=io.StringIO()) as logger:
        return execute(
            plan,
            config,
            logger=logger,
            display=open_display(logger, quiet=True),
            plugins=plugins,
            engine=lambda: ProcessEngine(RealClock().now),
        )


def test_scenarios_run_in_processes_of_their_own(server: Server, tmp_path: Path) -> None:
    scenarios = [RUNS, {**RUNS, "name": "b", "startTime": "500ms"}]
    result = run_in_processes(tmp_path, server, scenarios)
    assert result.document["verdict"]["exit_code"] == 0
    assert result.document["complete"] is True
    due = {name: [run.due for run in result.runs() if run.scenario == name] for name in "ab"}
    assert [len(dues) for dues in due.values()] == [10, 10]
    # All clocks have the same anchor, and all scenarios the same time zero.
    assert min(due["b"]) - min(due["a"]) == pytest.approx(0.5, abs=1e-6)
    for run in result.runs():
        assert run.due <= run.sent <= run.ended
    processes = {one["metrics"]["process"]["process"] for one in result.document["scenarios"]}
    assert len(processes | {os.getpid()}) == 3
    assert result.document["total"]["process"]["runs"] == 20
    assert result.document["generator"]["scenarios"]["a"]["connections_limit"] > 0
    assert server.ours() == {}


def test_a_failure_in_another_process_arrives_as_it_was(server: Server, tmp_path: Path) -> None:
    failing = {"name": "x", "mode": "FAILING", "runTime": "1s"}
    with pytest.raises(TestFailed) as failed:
        run_in_processes(tmp_path, server, [RUNS, failing])
    assert isinstance(failed.value.errors[0], TargetError)
    assert str(failed.value.errors[0]) == "It went away."
    assert failed.value.result.document["scenarios"][0]["metrics"]["runs"]["succeeded"] == 10
    assert server.ours() == {}
