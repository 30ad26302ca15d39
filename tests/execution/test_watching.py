"""The orchestrator in a process that has lived before, and what becomes of a test that it cannot watch."""

from __future__ import annotations

import io
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from kfp_perf.config import TestConfig
from kfp_perf.execution.execute import TestFailed, execute
from kfp_perf.live import open_display
from kfp_perf.log import Logger
from kfp_perf.pacing import RealClock
from kfp_perf.plan import make_plan
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from pathlib import Path

    from program import Server

    from kfp_perf.live import Snapshot

SCENARIOS = [
    {"name": "a", "mode": "PIPELINE_RUN", "runTime": "10min", "numTimes": 2, "pipelineFileName": "hello.yaml"}
]


class Broken:
    """A display that fails as soon as something can be lost."""

    def update(self, snapshot: Snapshot) -> None:
        if snapshot.scenarios[0].in_flight:
            raise OSError("Stale file handle")

    def end(self) -> None:
        pass

    def finish(self, result: TestResult, report: Path | None) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_test_that_cannot_be_watched_ends_in_good_order(server: Server, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(SCENARIOS))
    config = TestConfig(KFP_API_HOST=server.url, results_folder=tmp_path / "results")
    console = io.StringIO()
    with Logger(console=console) as logger, pytest.raises(TestFailed) as failed:
        execute(make_plan(tmp_path / "t.json", config), config, logger=logger, display=Broken())
    assert str(failed.value) == "Stale file handle"
    assert "can no longer be observed" in console.getvalue()
    document = TestResult.open(tmp_path / "results/latest").document
    assert document["verdict"]["exit_code"] == 1
    assert document["total"]["runs"]["created"] > 0
    assert server.ours() == {}


def test_a_test_begins_with_the_time_of_day_also_after_the_machine_slept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RealClock, "_anchor", RealClock._anchor - 7200.0)
    (tmp_path / "t.json").write_text(json.dumps([{**SCENARIOS[0], "runTime": "1s"}]))
    config = TestConfig(KFP_API_HOST=server.url, results_folder=tmp_path / "results")
    before = time.time()
    with Logger(console=io.StringIO()) as logger:
        plan = make_plan(tmp_path / "t.json", config)
        result = execute(plan, config, logger=logger, display=open_display(logger, quiet=True))
    started = datetime.fromisoformat(result.document["started"]).timestamp()
    assert before - 60.0 < started < time.time() + 60.0
    assert all(run.duration_seconds is not None for run in result.runs())
