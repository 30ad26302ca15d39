"""Scenario files and their pipelines are found where users have them; a pipeline is read once."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.catalog import PIPELINES, SCENARIOS
from kfp_perf.pipelines.documents import read_bytes
from kfp_perf.plan import find_scenario_file, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.config import TestConfig
    from kfp_perf.plan import Plan

RUN: dict[str, Any] = {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml"}


@pytest.fixture
def test_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The layout of the earlier prototype, in the current folder."""
    for name in ("scenarios", "pipeline_files"):
        (tmp_path / "test_data" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "test_data"


def test_pipeline_files_beside_the_folder_of_scenarios(test_data: Path, config: TestConfig) -> None:
    (test_data / "pipeline_files" / "mine.yaml").write_bytes((PIPELINES / "hello.yaml").read_bytes())
    path = test_data / "scenarios" / "nightly.json"
    path.write_text(json.dumps([{**RUN, "pipelineFileName": "mine.yaml"}]))
    for name in ("nightly", "nightly.json", "test_data/scenarios/nightly.json", path):
        plan = make_plan(name, config)
        assert plan.path.resolve() == path
        assert plan.packages["pipeline-run"].path.resolve() == test_data / "pipeline_files" / "mine.yaml"


def test_a_file_in_the_current_folder_comes_before_test_data_and_that_before_the_built_in_one(
    test_data: Path,
) -> None:
    assert find_scenario_file("smoke.json") == SCENARIOS / "smoke.json"
    (test_data / "scenarios" / "smoke.json").write_text("[]")
    assert find_scenario_file("smoke") == Path("test_data/scenarios/smoke.json")
    Path("smoke.json").write_text("[]")
    assert find_scenario_file("smoke.json") == Path("smoke.json")


def test_pipeline_files_beside_the_current_folder(
    test_data: Path, config: TestConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(test_data / "scenarios")
    (test_data / "pipeline_files" / "mine.yaml").write_bytes((PIPELINES / "hello.yaml").read_bytes())
    Path("f.json").write_text(json.dumps([{**RUN, "pipelineFileName": "mine.yaml"}]))
    assert make_plan("f.json", config).packages["pipeline-run"].name == "kfp-perf-hello"


def test_a_pipeline_of_several_scenarios_is_read_once(
    plan_of: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def counted(path: Path) -> bytes:
        reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr("kfp_perf.pipelines.package.read_bytes", counted)
    plan = plan_of([RUN, RUN, {**RUN, "pipelineFileName": "sequential.yaml"}])
    assert [path.name for path in reads] == ["hello.yaml", "sequential.yaml"]
    assert plan.packages["pipeline-run-1"] is plan.packages["pipeline-run-2"]


def test_a_plan_can_cross_processes(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of([{**RUN, "thresholds": {"run.success_rate": ">= 95%"}}])
    assert pickle.loads(pickle.dumps(plan)) == plan
