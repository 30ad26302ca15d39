"""What the executions of a study are given."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_executions import total, write_execution

from kfp_perf.config import TestConfig
from kfp_perf.result.reader import TestResult
from kfp_perf.runners import PipelineRunner, RandomGetsRunner, create_runner
from kfp_perf.scenario.model import TestScenario
from kfp_perf.studies import PlannedExecution, Repetition, run_study, session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.studies import Executed

RUNS = {"mode": "PIPELINE_RUN", "pipelineFileName": "hello.yaml", "runTime": "1s", "numTimes": 1}
READS = {"mode": "RANDOM_GETS", "runTime": "1s"}


@dataclass(frozen=True)
class Deleting(Repetition):
    """A repetition whose runs are deleted early."""

    def next(self, done: Sequence[Executed]) -> PlannedExecution | None:
        planned = super().next(done)
        return planned and replace(planned, deletes_early=True)


@pytest.mark.parametrize("deletes_early", [False, True])
def test_runners_that_start_runs_delete_them_early_where_the_design_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deletes_early: bool
) -> None:
    given: list[dict[str, Any]] = []

    def run(*_: Any, folder: Path, **options: Any) -> TestResult:
        given.append(options)
        write_execution(folder, total(1.0))
        return TestResult.open(folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "run_test", run)
    (tmp_path / "t.json").write_text(json.dumps([RUNS]))
    kind = Deleting if deletes_early else Repetition
    run_study(kind(executions=1, warmup=False), "t.json", create_runner=create_runner)
    (options,) = given
    create = pickle.loads(pickle.dumps(options["create_runner"]))  # an engine may need it in another process
    runner = create(TestScenario.model_validate(RUNS))
    assert isinstance(runner, PipelineRunner)
    assert runner.deletes_early is deletes_early
    assert isinstance(create(TestScenario.model_validate(READS)), RandomGetsRunner)


def test_the_newest_result_as_the_baseline_is_that_before_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baselines = []

    def run(_: Any, settings: TestConfig, *, folder: Path, **__: Any) -> TestResult:
        baselines.append([path.resolve() for path in settings.baseline])
        write_execution(folder, total(1.0))
        return TestResult.open(folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "run_test", run)
    relative = RUNS | {"thresholds": {"run.visible.mean": "<= baseline + 10%"}}
    (tmp_path / "t.json").write_text(json.dumps([{"name": "steady", **relative}]))
    before = write_execution(tmp_path / "results" / "before", total(1.0))
    (tmp_path / "results" / "latest").symlink_to("before")
    config = TestConfig(baseline=(Path("results/latest"),))
    run_study(Repetition(executions=2, warmup=False), "t.json", config)
    assert baselines == [[before]] * 2
