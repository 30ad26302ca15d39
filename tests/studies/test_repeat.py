"""Repetition: its seeds, and when it has repeated enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from made_executions import total, write_execution

from kfp_perf.result.reader import TestResult
from kfp_perf.studies import Repetition, run_executions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kfp_perf.result.study import Study
    from kfp_perf.studies import PlannedExecution

CLOSE = [10.0, 10.1, 9.9, 10.05, 9.95, 10.0, 10.0, 10.0]
FAR = [10.0, 14.0, 9.0, 13.0, 8.0, 12.0, 10.0, 9.0]


def repeated(
    results: Path, means: Sequence[float], design: Repetition
) -> tuple[Study, list[PlannedExecution]]:
    planned: list[PlannedExecution] = []

    def run(one: PlannedExecution, folder: Path) -> TestResult:
        write_execution(folder, total(means[len(planned)]), minute=len(planned))
        planned.append(one)
        return TestResult.open(folder)

    return run_executions(design, "nightly", results, run), planned


def test_each_execution_on_the_emulator_has_the_next_seed(tmp_path: Path) -> None:
    _, planned = repeated(tmp_path, CLOSE, Repetition(2, first_seed=7))
    assert [one.emulator_seed for one in planned] == [7, 8, 9]
    _, planned = repeated(tmp_path / "real", CLOSE, Repetition(2, warmup=False))
    assert [one.emulator_seed for one in planned] == [None, None]
    assert not any(one.warmup for one in planned)


@pytest.mark.parametrize(("means", "executions", "stable"), [(CLOSE, 5, True), (FAR, 7, False)])
def test_until_stable_ends_when_the_intervals_are_narrow(
    tmp_path: Path, means: list[float], executions: int, stable: bool
) -> None:
    study, planned = repeated(tmp_path, means, Repetition(7, until_stable=0.02))
    assert sum(not one.warmup for one in planned) == executions
    assert study.record.answer == {"stable": stable}
    assert study.record.planned is None
