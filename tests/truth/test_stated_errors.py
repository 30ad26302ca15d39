"""The errors of times, of single runs and of all, are stated in the result of a test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from program import Program

from kfp_perf.config import TestConfig, variable_name
from kfp_perf.execution import EmulatorProcess
from kfp_perf.observe import PHASES

if TYPE_CHECKING:
    from pathlib import Path


def test_the_poll_interval_and_its_error_are_in_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for field in TestConfig.model_fields:
        if field != "evidence":  # which is off for all tests, see tests/conftest.py
            monkeypatch.delenv(variable_name(TestConfig, field), raising=False)
    scenario = {
        "name": "one",
        "mode": "PIPELINE_RUN",
        "pipelineFileName": "hello.yaml",
        "runTime": "1s",
        "numTimes": 1,
    }
    (tmp_path / "t.json").write_text(json.dumps([scenario]))
    with EmulatorProcess("fast", seed=1) as emulator:
        program = Program(tmp_path, "run", "t.json", "--host", emulator.url)
        code, _, errors = program.end()
    assert code == 0, errors
    metrics = program.result()["scenarios"][0]["metrics"]
    observer = metrics["observer"]
    # The emulator answers at once, so looks have their highest frequency.
    assert observer["shortest_poll_seconds"] == pytest.approx(0.25)
    assert observer["longest_poll_seconds"] >= observer["poll_seconds"] >= 0.25
    runs = [run for run in program.runs() if run["outcome"] == "succeeded"]
    late = [run["seen_finished"] - run["seen_unfinished"] for run in runs]
    assert observer["ends_seen"] == len(runs) > 0
    assert observer["longest_seen_late_seconds"] == pytest.approx(max(late), abs=1e-5)
    assert 0.0 < observer["seen_late_seconds"] <= observer["longest_seen_late_seconds"]
    for run in runs:
        assert run["phase_errors"].keys() == run["phases"].keys() == PHASES.keys()
        assert 0.0 < run["duration_error_seconds"] <= 1.0
    assert (
        metrics["phases"]["visible"]["error_seconds"] <= metrics["phases"]["visible"]["worst_error_seconds"]
    )
