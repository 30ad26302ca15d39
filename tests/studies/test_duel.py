"""The order of a duel's executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from made_executions import total, write_execution

from kfp_perf.config import TestConfig
from kfp_perf.errors import ExitCode
from kfp_perf.reports.github import annotations_of_study
from kfp_perf.reports.study_reports import FORMATS
from kfp_perf.result.reader import TestResult
from kfp_perf.studies import Duel, DuelTarget, run_executions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kfp_perf.result.study import Study
    from kfp_perf.studies import PlannedExecution

A = DuelTarget("A", TestConfig.with_values({"KFP_API_HOST": "http://old:1"}))
B = DuelTarget("B", TestConfig.with_values({"KFP_API_HOST": "http://new:2"}))


def planned(design: Duel, results: Path) -> list[PlannedExecution]:
    found: list[PlannedExecution] = []

    def run(one: PlannedExecution, folder: Path) -> TestResult:
        found.append(one)
        write_execution(folder, total(10.0), minute=len(found))
        return TestResult.open(folder)

    run_executions(design, "nightly", results, run)
    assert len(found) == design.planned
    return found


def test_each_pair_has_both_targets_in_an_order_that_the_seed_decides(tmp_path: Path) -> None:
    executions = planned(Duel(A, B, pairs=12, seed=1), tmp_path)
    pairs = [executions[place : place + 2] for place in range(0, len(executions), 2)]
    assert [one.pair for one in executions] == [place // 2 for place in range(26)]
    assert all({one.label for one in pair} == {"A", "B"} for pair in pairs)
    assert {pair[0].label for pair in pairs} == {"A", "B"}, "both are first at times"
    assert [one.warmup for one in executions] == [True] * 2 + [False] * 24
    assert all(one.config is {"A": A, "B": B}[one.label].config for one in executions)
    again = planned(Duel(A, B, pairs=12, seed=1), tmp_path)
    assert [one.label for one in again] == [one.label for one in executions]
    other = planned(Duel(A, B, pairs=12, seed=2), tmp_path)
    assert [one.label for one in other] != [one.label for one in executions]


def test_emulators_have_a_seed_for_each_execution(tmp_path: Path) -> None:
    emulated = DuelTarget("A", A.config, emulator="fast")
    executions = planned(Duel(emulated, B, pairs=2, seed=5, warmup=False), tmp_path)
    assert all(one.emulator_seed is None for one in executions if one.label == "B")
    seeds = [one.emulator_seed for one in executions if one.label == "A"]
    assert len(set(seeds)) == 2
    assert None not in seeds


RELATIVE = {
    "scenario": None,
    "metric": "run.visible.mean",
    "condition": "<= baseline + 10%",
    "where": "t.json: $",
    "position": [7, 5],
}
#: What drifts from pair to pair is the same for both sides.
OLD = [10.0, 12.0, 14.0, 17.0, 20.0]


def judged_duel(
    results: Path, new: Sequence[float], *, accept: bool = False, incomplete: int | None = None
) -> Study:
    """A duel whose new side takes so long; one execution may be incomplete, and a pair before is a warm-up."""
    means = {"A": [99.0, *OLD], "B": [1.0, *new]}
    given = {
        "thresholds": [],
        "pair_thresholds": [RELATIVE],
        "scenario_file": {"path": "t.json", "text": "[]"},
    }

    def run(one: PlannedExecution, folder: Path) -> TestResult:
        number = len(list(folder.parent.iterdir())) if folder.parent.exists() else 0
        whole = total(means[one.label][one.pair or 0])
        write_execution(folder, whole, minute=number, given=given, complete=number != incomplete)
        return TestResult.open(folder)

    return run_executions(Duel(A, B, pairs=len(new), accept_undecided=accept), "nightly", results, run)


@pytest.mark.parametrize(
    ("factors", "accept", "judged", "code"),
    [
        ([1.01, 1.0, 1.02, 0.99, 1.01], False, "kept", ExitCode.GOOD),
        ([1.2, 1.22, 1.19, 1.21, 1.2], True, "not kept", ExitCode.FAILED),
        ([1.1, 1.05, 1.15, 1.0, 1.2], False, "cannot be told", ExitCode.FAILED),
        ([1.1, 1.05, 1.15, 1.0, 1.2], True, "cannot be told", ExitCode.GOOD),
        ([1.0, 1.01], False, "cannot be told", ExitCode.FAILED),
    ],
)
def test_relative_thresholds_are_judged_by_the_pairs(
    tmp_path: Path, factors: list[float], accept: bool, judged: str, code: ExitCode
) -> None:
    new = [mean * factor for mean, factor in zip(OLD, factors, strict=False)]
    study = judged_duel(tmp_path, new, accept=accept)
    (found,) = study.record.answer["thresholds"]
    assert (found["judged"], found["count"], found["line"]) == (judged, len(factors), 7)
    assert found["baseline"]["paired"] is True
    assert study.record.exit_code == code


def test_reports_of_a_duel_show_its_thresholds(tmp_path: Path) -> None:
    study = judged_duel(tmp_path, [mean * 1.2 + place / 10 for place, mean in enumerate(OLD)])
    page = FORMATS["markdown"](study)["report.md"].decode()
    assert "Were the thresholds kept?" in page
    assert "judged by the pairs" in page
    (failure,) = (
        line for line in FORMATS["junit"](study)["junit.xml"].decode().splitlines() if "<failure" in line
    )
    assert "run.visible.mean is" in failure
    (error, *_) = annotations_of_study(study, "t.json")
    assert str(error).startswith("::error title=nightly%3A failed,file=t.json,line=7::run.visible.mean is")


def test_a_pair_without_one_of_its_executions_does_not_count(tmp_path: Path) -> None:
    study = judged_duel(tmp_path, [mean * 1.01 + place / 100 for place, mean in enumerate(OLD)], incomplete=4)
    (found,) = study.record.answer["thresholds"]
    assert (found["judged"], found["count"]) == ("kept", 4)
