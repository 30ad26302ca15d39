"""Thresholds relative to a baseline: how they are written, and how they are judged."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from kfp_perf.compare.baseline import Baseline, BaselineValues
from kfp_perf.errors import ExitCode, Problem
from kfp_perf.judgement import Judged, Judgement
from kfp_perf.metrics.figures import Figures
from kfp_perf.metrics.metric import Unit
from kfp_perf.thresholds import MARGIN_EXAMPLES, Margin, Threshold, parse_threshold
from kfp_perf.verdict import decide, judge, with_defaults

STEADY = (10.0, 10.2, 9.9, 10.1, 9.8)


def parsed(name: str, condition: str, scenario: str | None = None) -> Threshold:
    found = parse_threshold(name, condition, "$.thresholds", scenario)
    assert isinstance(found, Threshold), found
    return found


def visible(mean: float | None, **more: Any) -> dict[str, Any]:
    return {"runs": {"visible_seconds": {"n": 100, "mean": mean, **more}}}


def judged(
    condition: str,
    metrics: dict[str, Any],
    values: tuple[float | None, ...] = STEADY,
    name: str = "run.visible.mean",
    *,
    accept: bool = False,
) -> Judgement:
    baseline = Baseline("base", tuple(map(str, values)), values=(BaselineValues(None, name, values),))
    (found,) = judge([parsed(name, condition)], Figures({}, metrics), baseline, accept_undecided=accept)
    return found


@pytest.mark.parametrize(
    ("name", "condition", "margin"),
    [
        ("run.duration.p95", "<= baseline + 10%", Margin(0.1, is_relative=True)),
        ("run.duration.p95", "<baseline+10 %", Margin(0.1, is_relative=True)),
        ("run.duration.p95", "<= baseline - 5%", Margin(-0.05, is_relative=True)),
        ("run.duration.p95", "<= baseline + 2s", Margin(2.0, is_relative=False)),
        ("run.duration.p95", ">= baseline - 1m30s", Margin(-90.0, is_relative=False)),
        ("api.CreateRun.latency.p95", "<= baseline + 50ms", Margin(0.05, is_relative=False)),
        ("run.success_rate", ">= baseline - 1%", Margin(-0.01, is_relative=False)),
        ("run.success_rate", ">= baseline - 0.01", Margin(-0.01, is_relative=False)),
        ("run.duration.drift", "<= baseline + 5%", Margin(0.05, is_relative=False)),
        ("run.failed", "<= baseline + 2", Margin(2.0, is_relative=False)),
        ("run.failed", "<= baseline + 0", Margin(0.0, is_relative=False)),
        ("run.due", ">= baseline - 5%", Margin(-0.05, is_relative=True)),
        ("run.throughput", ">= baseline - 5%", Margin(-0.05, is_relative=True)),
        ("run.throughput", ">= baseline - 2/min", Margin(-2 / 60, is_relative=False)),
    ],
)
def test_a_margin_is_relative_or_in_the_metric_s_own_unit(name: str, condition: str, margin: Margin) -> None:
    found = parsed(name, condition)
    assert found.margin is not None
    assert found.margin.is_relative is margin.is_relative
    assert found.margin.amount == pytest.approx(margin.amount)
    assert math.isnan(found.bound)
    assert found.condition == condition


@pytest.mark.parametrize(
    ("name", "condition", "what"),
    [
        ("run.duration.p95", "<= baseline", "a baseline needs a margin"),
        ("run.duration.p95", "== baseline + 10%", "never exactly that of a baseline"),
        ("run.duration.p95", "<= baseline * 1.1", "is not a margin"),
        ("run.duration.p95", "<= baseline + 10", "is not a margin in per cent or units of time"),
        ("run.duration.p95", "<= baseline + 30/min", "is not a margin in per cent or units of time"),
        ("run.duration.p95", "<= baseline + -10%", "is not a margin in per cent or units of time"),
        ("run.duration.p95", "<= baseline + inf%", "is not a margin in per cent or units of time"),
        ("run.duration.p95", "<= baseline - 100%", "not more than 100 % below"),
        ("run.success_rate", ">= baseline - 2s", "is not a margin in per cent"),
        ("run.success_rate", ">= baseline - 100%", "less than 100 points"),
        ("run.failed", "<= baseline + 1.5", "is not a margin in per cent or whole numbers"),
        ("run.throughput", ">= baseline - 5s", "is not a margin in per cent or so many in what time"),
    ],
)
def test_what_is_wrong_is_said_with_an_example(name: str, condition: str, what: str) -> None:
    found = parse_threshold(name, condition, "$.thresholds")
    assert isinstance(found, Problem)
    assert what in found.what
    assert condition in found.what
    assert "baseline" in found.remedy


def test_other_words_are_no_baseline() -> None:
    found = parse_threshold("run.duration.p95", "<= baselines + 10%", "$")
    assert isinstance(found, Problem)
    assert "units of time" in found.what


@pytest.mark.parametrize("unit", Unit)
def test_each_unit_has_examples_that_are_conditions(unit: Unit) -> None:
    metric = {
        Unit.SECONDS: "run.duration.p95",
        Unit.SHARE: "run.success_rate",
        Unit.CHANGE: "run.duration.drift",
        Unit.COUNT: "run.failed",
        Unit.PER_SECOND: "run.throughput",
        Unit.BYTES: "server.memory.max",
        Unit.CORES: "server.cpu.max",
    }[unit]
    for example in MARGIN_EXAMPLES[unit].split('"')[1::2]:
        assert parsed(metric, example).margin is not None


def test_kept_where_the_whole_interval_is_within_the_margin() -> None:
    found = judged("<= baseline + 10%", visible(10.1))
    assert (found.judged, found.passed, found.reason) == (Judged.KEPT, True, "")
    assert found.threshold.bound == pytest.approx(11.0, rel=1e-3)
    assert found.margin == pytest.approx(0.9, rel=0.01)
    document = found.document()
    assert document["baseline"]["executions"] == 5
    assert document["interval"] == [found.interval[0], found.interval[1]] if found.interval else False
    assert document["bound"] == found.threshold.bound


def test_not_kept_where_it_is_all_beyond() -> None:
    found = judged("<= baseline + 10%", visible(13.0))
    assert (found.judged, found.passed) == (Judged.NOT_KEPT, False)
    assert found.reason == "is 13 s, not <= baseline + 10% (11 s)"
    assert found.margin is not None
    assert found.margin < 0.0


def test_a_value_within_the_bound_that_cannot_be_told_from_variation_fails() -> None:
    found = judged("<= baseline + 10%", visible(10.8))
    assert (found.judged, found.passed) == (Judged.CANNOT_TELL, False)
    assert found.value is not None
    assert found.value < found.threshold.bound
    assert found.reason.startswith(
        "cannot be told from run-to-run variation: it lies between 10.3 s and 11.3 s"
    )
    assert found.reason.endswith("executions a side would do")
    verdict = decide([], [found])
    assert verdict.exit_code is ExitCode.FAILED
    assert "run.visible.mean cannot be told" in verdict.reasons[0]


def test_it_passes_where_that_is_accepted() -> None:
    found = judged("<= baseline + 10%", visible(10.8), accept=True)
    assert (found.judged, found.passed) == (Judged.CANNOT_TELL, True)
    assert found.reason
    assert decide([], [found]).exit_code is ExitCode.GOOD
    assert not judged("<= baseline + 10%", visible(13.0), accept=True).passed
    assert not judged("<= baseline + 10%", {"runs": {}}, accept=True).passed


@pytest.mark.parametrize("values", [(10.0,), (10.0, 10.2), (10.0, 10.0, 10.0)])
def test_one_execution_against_one_cannot_be_told(values: tuple[float, ...]) -> None:
    found = judged("<= baseline + 10%", visible(10.0), values)
    assert found.judged is Judged.CANNOT_TELL
    assert found.document()["bound"] == pytest.approx(11.0, rel=0.02)


def test_without_a_baseline_it_cannot_be_told() -> None:
    (found,) = judge([parsed("run.visible.mean", "<= baseline + 10%")], Figures({}, visible(10.0)))
    assert (found.judged, found.margin, found.document()["bound"]) == (Judged.CANNOT_TELL, None, None)
    assert "there is no baseline" in found.reason


def test_no_value_is_not_enough_data() -> None:
    found = judged("<= baseline + 10%", {"runs": {"visible_seconds": {"n": 0}}})
    assert found.judged is Judged.NOT_ENOUGH_DATA


def test_a_quantile_that_is_not_reached_is_not_kept() -> None:
    metrics = visible(None, p95=None, not_reached=["p95"])
    found = judged("<= baseline + 10%", metrics, name="run.visible.p95")
    assert (found.judged, found.not_reached) == (Judged.NOT_KEPT, True)
    assert found.reason == "lies above all that was answered, not <= baseline + 10% (11 s)"


def test_several_relative_thresholds_share_the_error() -> None:
    values = tuple(BaselineValues(None, name, STEADY) for name in ("run.visible.mean", "run.duration.mean"))
    metrics = visible(10.0)
    metrics["runs"]["duration_seconds"] = {"n": 100, "mean": 10.0}
    names = ("run.visible.mean", "run.duration.mean")
    thresholds = [parsed(name, "<= baseline + 10%") for name in names] + [parsed("run.visible.mean", "< 90s")]
    found = judge(thresholds, Figures({}, metrics), Baseline("a", ("1",) * 5, values=values))
    assert [one.against.finding.confidence for one in found if one.against] == pytest.approx([0.975, 0.975])


def test_a_mean_of_survivors_is_not_kept_by_a_margin_either() -> None:
    metrics = visible(10.0)
    metrics["runs"] |= {"success_rate": 0.5, "due": 100}
    thresholds = [parsed("run.visible.mean", "<= baseline + 50%"), parsed("run.success_rate", ">= 95%")]
    baseline = Baseline("a", (), values=(BaselineValues(None, "run.visible.mean", STEADY),))
    mean, _ = judge(thresholds, Figures({}, metrics), baseline)
    assert mean.judged is Judged.NOT_KEPT
    assert "only of what was answered" in mean.reason


@pytest.mark.parametrize(
    ("condition", "failed", "kept"),
    [
        ("<= baseline + 1", 3, True),
        ("<= baseline + 1", 4, False),
        ("< baseline + 1", 3, False),
        ("< baseline + 1", 2, True),
        (">= baseline - 1", 1, True),
        ("> baseline - 1", 1, False),
    ],
)
def test_counts_that_are_always_the_same_are_exact(condition: str, failed: int, kept: bool) -> None:
    found = judged(condition, {"runs": {"failed": failed}}, (2.0, 2.0, 2.0), "run.failed")
    assert found.judged is (Judged.KEPT if kept else Judged.NOT_KEPT)


@pytest.mark.parametrize("given", [True, False])
def test_a_relative_threshold_takes_the_place_of_the_default_one_where_there_is_a_baseline(
    given: bool,
) -> None:
    """With `--undecided pass` and none, all runs may fail otherwise."""
    metrics = {"runs": {"due": 100, "success_rate": 0.5}}
    baseline = Baseline("b", ("x",), values=(BaselineValues(None, "run.success_rate", (0.6,)),))
    relative = parsed("run.success_rate", ">= baseline - 1%")
    found = with_defaults([relative], [], Figures({"s": metrics}, metrics), baseline if given else None)
    assert [one.metric.name for one in found if one.default] == ([] if given else ["run.success_rate"])


def test_a_threshold_is_still_a_value() -> None:
    found = parsed("run.visible.mean", "<= baseline + 10%")
    assert dataclasses.replace(found, bound=11.0) == dataclasses.replace(found, bound=11.0)


def test_a_value_of_which_only_bounds_are_known_cannot_be_told() -> None:
    """Such as the quantile of a server's own histogram: it is not above every bound, though it has no value."""
    metrics = visible(None, p95=None, between={"p95": [1.0, 20.0]})
    found = judged("<= baseline + 10%", metrics, name="run.visible.p95")
    assert (found.judged, found.passed, found.not_reached) == (Judged.CANNOT_TELL, False, False)
    assert found.reason == "lies between 1 s and 20 s, so whether it is <= baseline + 10% cannot be told"
    assert judged("<= baseline + 10%", metrics, name="run.visible.p95", accept=True).passed
