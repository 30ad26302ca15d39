from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from made_executions import times, total, write_execution, write_side

from kfp_perf.compare import ComparisonVerdict, compare_sides, read_side
from kfp_perf.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from kfp_perf.compare import Comparison

BASE = [10.0, 10.2, 9.9, 10.1]


def compared(folder: Path, new: list[float], baseline: list[float] = BASE, **rest: Any) -> Comparison:
    """Two sides that were executed in turn."""
    failed = rest.pop("failed", 0)
    one = write_side(folder / "a", baseline, **rest)
    other = write_side(folder / "b", new, first_minute=1, failed=failed, **rest)
    return compare_sides(read_side([one]), read_side([other]))


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ([11.5, 11.6, 11.4, 11.7], ComparisonVerdict.SLOWER),
        ([8.5, 8.6, 8.4, 8.7], ComparisonVerdict.FASTER),
        ([10.1, 10.0, 10.2, 10.1], ComparisonVerdict.SAME),
        ([8.0, 13.0, 10.0, 12.0], ComparisonVerdict.TOO_LITTLE_DATA),
        ([11.0, 11.0, 11.0, 11.0], ComparisonVerdict.TOO_COARSE),
    ],
)
def test_the_verdict_of_the_default_primary(
    tmp_path: Path, new: list[float], verdict: ComparisonVerdict
) -> None:
    found = compared(tmp_path, new)
    (primary,) = found.primary
    assert (primary.label, primary.verdict) == ("run.visible.mean", verdict)
    assert found.warnings == ()


def test_a_rate_that_rises_is_faster(tmp_path: Path) -> None:
    found = compared(tmp_path, [8.5, 8.6, 8.4, 8.7], primary=[(None, "run.throughput")])
    (primary,) = found.primary
    assert primary.verdict is ComparisonVerdict.FASTER
    assert primary.change is not None
    assert primary.change > 0.1
    slower = compared(tmp_path / "other", [11.5, 11.6, 11.4, 11.7], primary=[(None, "run.throughput")])
    assert slower.primary[0].verdict is ComparisonVerdict.SLOWER
    assert "slower by 13" in slower.regressions(0.05)[0]
    assert slower.primary[0].worst is not None
    assert slower.primary[0].worst > 0.13


def test_the_error_is_divided_among_declared_metrics_only(tmp_path: Path) -> None:
    declared = [(None, "run.visible.mean"), ("steady", "api.CreateRun.latency.p95")]
    found = compared(tmp_path, [11.5, 11.6, 11.4, 11.7], primary=declared)
    assert [one.label for one in found.primary] == [
        "run.visible.mean",
        "steady: api.CreateRun.latency.p95",
    ]
    assert [one.confidence for one in found.primary] == pytest.approx([0.975, 0.975])
    further = {one.name: one.confidence for one in found.metrics if not one.primary}
    assert further["run.duration.mean"] == pytest.approx(0.95)
    assert "run.visible.mean" not in further
    assert {"phase.execute.mean", "run.throughput", "api.CreateRun.latency.p95"} <= further.keys()


def test_files_without_runs_are_compared_by_the_commonest_read(tmp_path: Path) -> None:
    def side(name: str, first: int, means: list[float]) -> Path:
        for place, mean in enumerate(means):
            calls = {"ListRuns": 500, "GetRun": 200, "CreateExperiment": 900}
            figures = {"api": total(mean, calls=calls)["api"]}
            write_execution(tmp_path / name / str(place), figures, minute=first + 2 * place)
        return tmp_path / name

    found = compare_sides(read_side([side("a", 0, BASE)]), read_side([side("b", 1, BASE[::-1])]))
    assert [one.name for one in found.primary] == ["api.ListRuns.latency.p95"]


@pytest.mark.parametrize("scenario", [None, "steady"])
def test_faster_is_not_said_where_more_fails(tmp_path: Path, scenario: str | None) -> None:
    """The rates of the only scenario are those of the whole test."""
    found = compared(tmp_path, [8.5, 8.6, 8.4, 8.7], failed=3, primary=[(scenario, "run.visible.mean")])
    (primary,) = found.primary
    assert primary.verdict is ComparisonVerdict.MORE_FAILURES
    assert "run.success_rate went from 100.0 % to 97.0 %" in primary.reason
    (guard, _) = found.guards
    assert (guard.worse, guard.certain) == (True, True)
    assert found.regressions(0.05) == ["run.success_rate: from 100.0 % to 97.0 %"]


def test_a_quantile_that_is_not_reached_is_compared_by_the_share_that_reached_it(tmp_path: Path) -> None:
    found = compared(tmp_path, BASE, failed=8, primary=[(None, "run.visible.p95")])
    (primary,) = found.primary
    assert primary.verdict is ComparisonVerdict.SLOWER
    assert primary.change is None
    assert primary.unreached is not None
    assert primary.unreached.points == pytest.approx(-0.08)
    assert found.regressions(0.5)[0] == "run.visible.p95: fewer reached it"
    assert "run.visible.p95: slower, so no change is excluded" in found.not_excluded(0.5)


def test_some_failures_in_one_execution_are_too_little_to_tell(tmp_path: Path) -> None:
    one = write_side(tmp_path / "a", BASE, primary=[(None, "run.visible.p99")])
    for place, failed in enumerate([0, 2, 0, 0]):
        write_execution(tmp_path / "b" / str(place), total(10.0, failed=failed), minute=1 + 2 * place)
    found = compare_sides(read_side([one]), read_side([tmp_path / "b"]))
    assert found.primary[0].verdict is ComparisonVerdict.TOO_LITTLE_DATA
    assert "not reached" in found.primary[0].reason
    assert found.primary[0].new.values == (10.0, None, 10.0, 10.0)


def test_one_execution_against_one_is_run_to_run_variation(tmp_path: Path) -> None:
    found = compared(tmp_path, [12.0], [10.0])
    (primary,) = found.primary
    assert primary.verdict is ComparisonVerdict.TOO_LITTLE_DATA
    assert primary.change == pytest.approx(0.2)
    assert "run-to-run variation" in primary.reason
    assert found.regressions(0.05) == []
    assert found.not_excluded(0.05) == ["run.visible.mean: too little data, so no change is excluded"]


def test_not_slower_is_required_by_the_end_of_the_interval(tmp_path: Path) -> None:
    found = compared(tmp_path, [10.3, 10.1, 10.4, 10.2])
    worst = found.primary[0].worst
    assert worst is not None
    assert 0.01 < worst < 0.05
    assert found.not_excluded(0.05) == []
    assert "may be slower by up to" in found.not_excluded(0.01)[0]


def test_values_that_have_no_ratio_and_values_that_are_missing(tmp_path: Path) -> None:
    figures = total(10.0)
    figures["runs"]["duration_seconds"] = times(-0.1)
    found = compared(tmp_path, BASE, figures=figures)
    names = {one.name: one for one in found.metrics}
    assert names["run.duration.mean"].reason == "a value is not positive, so there is no ratio"
    one = write_side(tmp_path / "c", BASE, primary=[(None, "phase.execute.mean")])
    other = write_side(tmp_path / "d", BASE[:3])
    lacking = total(10.0) | {"phases": {}}
    write_execution(tmp_path / "d" / "03", lacking, minute=9)
    found = compare_sides(read_side([one]), read_side([other]))
    assert found.primary[0].verdict is ComparisonVerdict.NOT_COMPARABLE
    assert found.primary[0].reason == "1 of 8 executions have no value of it"


def test_pairs(tmp_path: Path) -> None:
    levels = [10.0, 14.0, 18.0, 12.0, 16.0]
    one = write_side(tmp_path / "a", levels)
    other = write_side(tmp_path / "b", [11.0, 15.5, 19.7, 13.3, 17.5], first_minute=1)
    sides = read_side([one]), read_side([other])
    assert compare_sides(*sides).primary[0].verdict is ComparisonVerdict.TOO_LITTLE_DATA
    assert compare_sides(*sides, paired=True).primary[0].verdict is ComparisonVerdict.SLOWER


def test_a_result_against_itself_is_refused(tmp_path: Path) -> None:
    one = write_side(tmp_path / "a", BASE)
    with pytest.raises(InputError, match="stands on both sides"):
        compare_sides(read_side([one]), read_side([one / "00"]))


def test_sides_without_a_metric_in_common_are_refused(tmp_path: Path) -> None:
    one = write_side(tmp_path / "a", BASE)
    reads = {"api": total(1.0, calls={"GetRun": 5})["api"]}
    other = write_side(tmp_path / "b", BASE, figures=reads)
    with pytest.raises(InputError, match=r"has no values of the primary metric run\.visible\.mean"):
        compare_sides(read_side([one]), read_side([other]))
    with pytest.raises(InputError, match=r"there is no metric 'mine\.size'"):
        compare_sides(
            read_side([write_side(tmp_path / "c", BASE, primary=[(None, "mine.size")])]), read_side([one])
        )
