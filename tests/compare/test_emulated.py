"""From the emulator to the verdict; benchmarks/comparison_emulated.py is the long form, on a measured profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from emulated_executions import execute, write_profile

from kfp_perf.compare import ComparisonVerdict, compare_sides, read_side
from kfp_perf.compare.baseline import against_baseline, read_baseline
from kfp_perf.compare.compared_metrics import number_in
from kfp_perf.statistics.margins import MarginVerdict
from kfp_perf.thresholds import Threshold, parse_threshold

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.compare import Side

LOAD = {"runTime": "10s", "arrivalRate": "3/s"}
EXECUTIONS = 4


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Side]:
    """Two sides of equal executors, and one of 10 % longer ones; seeds all differ."""
    folder: Path = tmp_path_factory.mktemp("emulated")
    same = write_profile(folder, "same", "fast", 4.0, 4.8)
    longer = write_profile(folder, "longer", "fast", 4.4, 5.28)
    found = {}
    for number, (name, profile) in enumerate((("a", same), ("again", same), ("longer", longer))):
        for place in range(EXECUTIONS):
            execute(folder / name, f"{place}", profile, seed=3 * place + number, fields=LOAD)
        found[name] = read_side([folder / name])
    return found


def test_executors_that_take_a_tenth_longer_are_found(sides: dict[str, Side]) -> None:
    found = compare_sides(sides["a"], sides["longer"])
    (primary,) = found.primary
    assert primary.verdict is ComparisonVerdict.SLOWER
    assert primary.change is not None
    assert 0.05 < primary.change < 0.1  # executors are most of a run, and not all of it
    phases = {one.name: one for one in found.metrics if one.name.startswith("phase.")}
    assert phases["phase.execute.mean"].verdict is ComparisonVerdict.SLOWER
    assert phases["phase.execute.mean"].change == pytest.approx(0.1, abs=0.03)
    assert found.warnings == ()
    assert found.regressions(0.02)


@pytest.mark.parametrize(
    ("side", "condition", "verdict"),
    [
        ("longer", "<= baseline + 2%", MarginVerdict.BEYOND),
        ("longer", "<= baseline + 20%", MarginVerdict.WITHIN),
        ("again", "<= baseline + 5%", MarginVerdict.WITHIN),
    ],
)
def test_thresholds_against_a_baseline_say_so_too(
    sides: dict[str, Side], side: str, condition: str, verdict: MarginVerdict
) -> None:
    threshold = parse_threshold("run.visible.mean", condition, "x")
    assert isinstance(threshold, Threshold)
    read = read_baseline([one.path for one in sides["a"].executions], [threshold])
    assert read is not None
    values = [
        number_in(one.metrics(None), "runs", "visible_seconds", "mean") for one in sides[side].executions
    ]
    new = [value for value in values if value is not None]
    assert len(new) == EXECUTIONS
    assert against_baseline(threshold, new, read[1]).finding.verdict is verdict
    alone = {against_baseline(threshold, [value], read[1]).finding.verdict for value in new}
    assert alone <= {verdict, MarginVerdict.UNDECIDED}


def test_the_same_server_is_the_same(sides: dict[str, Side]) -> None:
    found = compare_sides(sides["a"], sides["again"])
    assert found.primary[0].verdict is ComparisonVerdict.SAME
    assert found.regressions(0.02) == []
    assert found.not_excluded(0.05) == []
