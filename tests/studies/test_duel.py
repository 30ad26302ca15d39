"""The order of a duel's executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from made_executions import total, write_execution

from kfp_perf.config import TestConfig
from kfp_perf.result.reader import TestResult
from kfp_perf.studies import Duel, DuelTarget, run_executions

if TYPE_CHECKING:
    from pathlib import Path

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
