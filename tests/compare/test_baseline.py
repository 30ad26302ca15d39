from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from made_executions import times, total, write_execution, write_side, write_study

from kfp_perf.compare import Side, read_side
from kfp_perf.compare.baseline import (
    Baseline,
    BaselineValues,
    against_baseline,
    baseline_in,
    read_baseline,
    with_warnings,
)
from kfp_perf.errors import InputError
from kfp_perf.statistics.margins import MarginVerdict
from kfp_perf.thresholds import Threshold, parse_threshold

if TYPE_CHECKING:
    from pathlib import Path

BASE = [10.0, 10.2, 9.9]


def threshold(
    name: str = "run.visible.mean", condition: str = "<= baseline + 10%", scenario: str | None = None
) -> Threshold:
    found = parse_threshold(name, condition, f'$.thresholds["{name}"]', scenario)
    assert isinstance(found, Threshold), found
    return found


def read(folder: Path, *thresholds: Threshold) -> tuple[Side, Baseline]:
    found = read_baseline([folder], thresholds)
    assert found is not None
    return found


def refused(paths: list[Path], *thresholds: Threshold) -> list[tuple[str, str, str]]:
    with pytest.raises(InputError) as caught:
        read_baseline(paths, thresholds)
    return [(one.where, one.what, one.remedy) for one in caught.value.problems]


def test_the_values_are_those_of_each_execution(tmp_path: Path) -> None:
    write_side(tmp_path / "a", BASE)
    wanted = [
        threshold(),
        threshold("run.success_rate", ">= baseline - 1%", "steady"),
        threshold("run.failed", "== 0"),
    ]
    _, baseline = read(tmp_path / "a", *wanted)
    assert baseline.values_of(None, "run.visible.mean") == (10.0, 10.2, 9.9)
    assert baseline.values_of("steady", "run.success_rate") == (1.0, 1.0, 1.0)
    assert baseline.values_of(None, "run.failed") == ()
    assert [path.rpartition("/")[2] for path in baseline.executions] == ["00", "01", "02"]
    assert baseline_in({"baseline": msgspec.to_builtins(baseline)}) == baseline
    assert baseline_in({}) is None
    assert baseline_in({"baseline": {"name": 5}}) is None


def test_a_study_is_a_baseline_without_its_warm_up(tmp_path: Path) -> None:
    write_study(tmp_path / "a", [20.0, *BASE], warmups=1)
    _, baseline = read(tmp_path / "a", threshold())
    assert baseline.values_of(None, "run.visible.mean") == (10.0, 10.2, 9.9)
    assert baseline.left_out == ()


def test_without_relative_thresholds_no_baseline_is_read(tmp_path: Path) -> None:
    assert read_baseline([tmp_path / "none"], [threshold(condition="< 90s")]) is None
    assert read_baseline([], []) is None


def test_without_a_baseline_each_threshold_is_named(tmp_path: Path) -> None:
    found = refused([], threshold(), threshold("run.duration.p95"), threshold(condition="< 90s"))
    assert [where for where, _, _ in found] == [
        '$.thresholds["run.visible.mean"]',
        '$.thresholds["run.duration.p95"]',
    ]
    assert found[0][1] == "<= baseline + 10% needs a baseline, and none is given"
    assert "--baseline FOLDER" in found[0][2]


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (threshold(scenario="other"), "has no scenario 'other'"),
        (threshold("api.GetRun.latency.p95"), "has no values of api.GetRun.latency.p95"),
        # 100 runs are not enough for it.
        (threshold("api.CreateRun.latency.p99.9"), "has no values of api.CreateRun.latency.p99.9"),
    ],
)
def test_a_baseline_of_another_test_is_refused(tmp_path: Path, wanted: Threshold, what: str) -> None:
    write_side(tmp_path / "a", BASE)
    ((where, found, remedy),) = refused([tmp_path / "a"], wanted)
    assert where == str(tmp_path / "a")
    assert found.startswith(what)
    assert wanted.where in found
    assert "name results of this scenario file" in remedy.lower()


def test_folders_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused([tmp_path / "none"], threshold())[0][1]
    write_execution(tmp_path / "newer", total(10.0), schema_version=99)
    assert "newer kfp-perf" in refused([tmp_path / "newer"], threshold())[0][1]
    write_execution(tmp_path / "damaged", total(10.0))
    (tmp_path / "damaged" / "result.json").write_text('{"schema_ver')
    assert "cannot be read" in refused([tmp_path / "damaged"], threshold())[0][1]
    write_execution(tmp_path / "partial", total(10.0), complete=False)
    assert "did not reach its end" in refused([tmp_path / "partial"], threshold())[0][1]


def test_partial_results_are_left_out(tmp_path: Path) -> None:
    write_side(tmp_path / "a", BASE)
    write_execution(tmp_path / "a" / "99", total(99.0), minute=30, complete=False)
    _, baseline = read(tmp_path / "a", threshold())
    assert len(baseline.executions) == 3
    assert "did not reach its end" in baseline.left_out[0]


def given(**changes: Any) -> dict[str, Any]:
    base = {
        "name": "nightly",
        "started": "2026-01-02T00:00:00.000Z",
        "target": {"version": "2.17.0", "commit": "abc", "emulator": True, "emulator_profile": "fast"},
        "scenarios": [{"name": "steady", "pipeline": "a" * 64}],
        "environment": {"system": "Linux", "cpus": 2, "kfp_perf": "0.1.0"},
        "scenario_file": {"path": "nightly.json", "text": '[{"mode": "PIPELINE_RUN"}]'},
        "primary": [],
    }
    return base | changes


def test_what_makes_a_test_hard_to_compare_is_a_warning(tmp_path: Path) -> None:
    write_side(tmp_path / "a", BASE)
    side, baseline = read(tmp_path / "a", threshold())
    (drift,) = with_warnings(baseline, side, given()).warnings
    assert "a drift of the environment is not excluded" in drift
    other = given(scenario_file={"text": '[{"mode": "EXPERIMENT"}]'}, name="other")
    assert any("the scenario file differs" in one for one in with_warnings(baseline, side, other).warnings)
    real = given(target={"version": "2.17.0", "emulator": False})
    assert any(
        "a real server in the new results" in one for one in with_warnings(baseline, side, real).warnings
    )


def test_thresholds_added_to_the_file_are_no_other_scenario(tmp_path: Path) -> None:
    write_side(tmp_path / "a", BASE)
    side, baseline = read(tmp_path / "a", threshold())
    text = {
        "thresholds": {"run.visible.mean": "<= baseline + 10%"},
        "primary": ["run.visible.mean"],
        "scenarios": [{"mode": "PIPELINE_RUN", "thresholds": {"run.failed": "== 0"}}],
    }
    found = with_warnings(baseline, side, given(scenario_file={"text": json.dumps(text)}))
    assert not any("scenario file differs" in one for one in found.warnings)


def test_too_few_executions_are_a_warning_before_the_test(tmp_path: Path) -> None:
    write_side(tmp_path / "a", BASE[:1])
    side, baseline = read(tmp_path / "a", threshold())
    assert any(
        "the baseline has 1 of at least 3 executions" in one
        for one in with_warnings(baseline, side, given()).warnings
    )


def of(values: tuple[float | None, ...], name: str = "run.visible.mean") -> Baseline:
    return Baseline("a", tuple(map(str, values)), values=(BaselineValues(None, name, values),))


def test_the_bound_and_the_interval_are_in_the_unit_of_the_metric() -> None:
    found = against_baseline(threshold(), [10.1], of((10.0, 10.2, 9.8, 10.0)))
    assert found.baseline == pytest.approx(10.0, rel=1e-3)
    assert found.bound == pytest.approx(11.0, rel=1e-3)
    assert found.low is not None
    assert found.high is not None
    assert found.bound is not None
    assert found.low < 10.1 < found.high < found.bound
    assert found.finding.verdict is MarginVerdict.WITHIN
    document = found.document()
    assert (document["value"], document["executions"]) == (found.baseline, 4)
    assert document["change_interval"][0] < document["change"] < document["change_interval"][1]


def test_a_margin_in_seconds_is_added() -> None:
    found = against_baseline(threshold(condition="<= baseline + 2s"), [15.0], of((10.0, 10.2, 9.8, 10.0)))
    assert found.bound == pytest.approx(12.0)
    assert found.finding.change == pytest.approx(5.0)
    assert found.finding.verdict is MarginVerdict.BEYOND


def test_times_are_not_shown_below_zero() -> None:
    found = against_baseline(threshold(condition="<= baseline + 20s"), [0.5], of((0.1, 3.0, 0.2)))
    assert found.low == 0.0
    assert found.finding.low is not None
    assert found.finding.low < -0.5


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [("<= baseline + 10%", MarginVerdict.BEYOND), (">= baseline - 10%", MarginVerdict.WITHIN)],
)
def test_what_is_not_reached_is_above_every_bound(condition: str, verdict: MarginVerdict) -> None:
    found = against_baseline(threshold(condition=condition), [math.inf], of((10.0, 10.2, 9.9)))
    assert found.finding.verdict is verdict
    assert found.bound is not None


@pytest.mark.parametrize(
    ("baseline", "new", "reason"),
    [
        (None, [10.0], "there is no baseline"),
        (of((10.0,), "run.duration.mean"), [10.0], "the baseline has no value of it"),
        (of((10.0, None, 9.9)), [10.0], "the baseline did not reach it in 1 of 3 executions"),
        (of((10.0, 10.2, 9.9)), [10.0, math.inf], "it was not reached in 1 of 2 executions"),
    ],
)
def test_without_a_value_it_cannot_be_told(baseline: Baseline | None, new: list[float], reason: str) -> None:
    found = against_baseline(threshold(), new, baseline)
    assert (found.finding.verdict, found.finding.reason) == (MarginVerdict.UNDECIDED, reason)


def test_a_threshold_without_a_margin_is_no_use() -> None:
    with pytest.raises(ValueError, match="no margin"):
        against_baseline(threshold(condition="< 90s"), [10.0], None)


def test_values_not_reached_in_the_baseline_are_kept_as_such(tmp_path: Path) -> None:
    figures = total(10.0)
    figures["runs"]["visible_seconds"] = times(10.0, above=2)
    write_side(tmp_path / "a", BASE)
    write_execution(tmp_path / "a" / "03", figures, minute=10)
    side, baseline = read(tmp_path / "a", threshold("run.visible.p99"))
    assert baseline.values_of(None, "run.visible.p99") == (10.0, 10.2, 9.9, None)
    assert len(read_side([tmp_path / "a"]).executions) == len(side.executions)
