"""`TestPerformance`: the test that pytest collects runs the scenario file, with runners that can be selected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kfp_perf import test_performance
from kfp_perf.execution import EmulatorProcess
from kfp_perf.result.reader import TestResult
from kfp_perf.runners import PipelineRunner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from kfp_perf.runners import BaseRunner
    from kfp_perf.scenario.model import TestScenario

SCENARIOS = [
    {"mode": "RANDOM_GETS", "runTime": "500ms", "name": "reads"},
    {
        "mode": "PIPELINE_RUN",
        "runTime": "1s",
        "pipelineFileName": "add_numbers.yaml",
        "params": {"a": 1, "b": 2},
        "name": "runs",
    },
]


class Selected(test_performance.TestPerformance):
    """Selects a runner of its own for one mode, and the usual ones for all others."""

    def create_runner(
        self,
        test_scenario: TestScenario,
        *,
        plugins: Mapping[str, type[BaseRunner]] | None = None,
        **given: Any,
    ) -> BaseRunner:
        if test_scenario.mode_name == "PIPELINE_RUN":
            return Own(test_scenario, **given)
        return super().create_runner(test_scenario, plugins=plugins, **given)


class Own(PipelineRunner):
    made = 0

    async def run(self) -> None:
        type(self).made += 1
        await super().run()


def test_the_scenario_file_is_run_with_the_runners_that_were_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "test_data" / "scenarios"
    folder.mkdir(parents=True)
    (folder / "mine.json").write_text(json.dumps(SCENARIOS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCENARIO_FILE_NAME", "mine.json")
    # The names of result files must not be taken by the log.
    monkeypatch.setenv("log_file_name", "result.json")
    with EmulatorProcess("fast") as emulator:
        monkeypatch.setenv("API_HOST", emulator.url)
        Selected().test_scenario()
    assert Own.made == 1
    (path,) = (one for one in (tmp_path / "results").iterdir() if not one.is_symlink())
    result = TestResult(path)
    assert {run.scenario for run in result.runs()} == {"runs"}
    assert all(run.run_id for run in result.runs())
    assert json.loads((path / "result.json").read_text())["verdict"]["exit_code"] == 0
    assert "results go to" in (path / "logs" / "result.json").read_text()
