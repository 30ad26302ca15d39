"""The layout and the scenario file of the earlier prototype work as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.catalog import PIPELINES
from kfp_perf.plan import make_plan
from kfp_perf.scenario.model import TestMode, TestScenario
from kfp_perf.scenario.serde import JsonDeserializationUtils

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.config import TestConfig

SMOKE: list[dict[str, Any]] = [
    {
        "mode": "PIPELINE_RUN",
        "startTime": 0,
        "runTime": 1,
        "numTimes": 2,
        "pipelineFileName": "add_numbers.yaml",
        "params": {"a": 1, "b": 2},
    },
    {
        "mode": "EXPERIMENT",
        "startTime": 0.5,
        "runTime": 1,
        "numTimes": 2,
        "pipelineFileName": "add_numbers.yaml",
        "params": {"a": 3, "b": 4},
    },
    {"mode": "RANDOM_GETS", "startTime": 0, "runTime": 1},
    {
        "mode": "PIPELINE_RUN",
        "startTime": 0,
        "runTime": 1,
        "numTimes": 1,
        "pipelineFileName": "pipeline_with_large_datasets.yaml",
        "params": {},
    },
]


@pytest.fixture
def smoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "test_data" / "scenarios" / "smoke.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(SMOKE))
    monkeypatch.chdir(tmp_path)
    return path


def test_the_file_is_found_and_its_pipelines_are_built_in(smoke: Path, config: TestConfig) -> None:
    plan = make_plan(config.SCENARIO_FILE_NAME, config)
    assert plan.path.resolve() == smoke
    assert plan.warnings == ()
    assert [package.path for package in plan.packages.values()] == [
        PIPELINES / "add_numbers.yaml",
        PIPELINES / "add_numbers.yaml",
        PIPELINES / "pipeline_with_large_datasets.yaml",
    ]


def test_pipelines_in_pipeline_files_come_before_the_built_in_ones(smoke: Path, config: TestConfig) -> None:
    files = smoke.parents[1] / "pipeline_files"
    files.mkdir()
    for name in ("add_numbers.yaml", "pipeline_with_large_datasets.yaml"):
        (files / name).write_bytes((PIPELINES / name).read_bytes())
    plan = make_plan(config.SCENARIO_FILE_NAME, config)
    assert {package.path.resolve().parent for package in plan.packages.values()} == {files}


def test_the_file_is_read_into_scenarios(smoke: Path) -> None:
    scenarios = JsonDeserializationUtils.get_list_from_file(smoke, TestScenario)
    assert [scenario.mode for scenario in scenarios] == [
        TestMode.PIPELINE_RUN,
        TestMode.EXPERIMENT,
        TestMode.RANDOM_GETS,
        TestMode.PIPELINE_RUN,
    ]
    assert scenarios[0].params == {"a": 1, "b": 2}
    assert scenarios[2].num_times == 1
