"""Thresholds judged by the figures of a test, and the verdict that follows."""

from __future__ import annotations

from typing import Any

import pytest

from kfp_perf.errors import ExitCode, Problem
from kfp_perf.judgement import Judged, Judgement
from kfp_perf.metrics import METRICS, MetricsCollector
from kfp_perf.metrics.figures import Figures
from kfp_perf.metrics.metric import Metric, Unit, distribution
from kfp_perf.metrics.registry import Registry
from kfp_perf.result.records import Purpose
from kfp_perf.thresholds import Threshold, parse_threshold
from kfp_perf.verdict import Reason, decide, judge, why_failed


def parsed(name: str, condition: str, scenario: str | None = None) -> Threshold:
    found = parse_threshold(name, condition, "$.thresholds", scenario)
    assert isinstance(found, Threshold), found
    return found


def judged(name: str, condition: str, metrics: dict[str, Any]) -> Judgement:
    (found,) = judge([parsed(name, condition)], Figures({}, metrics))
    return found


def durations(**statistics: Any) -> dict[str, Any]:
    return {"runs": {"duration_seconds": {"n": 1000, **statistics}}}


@pytest.mark.parametrize(
    ("condition", "kept", "margin"),
    [
        ("< 2s", True, 0.5),
        ("< 1500ms", False, 0.0),
        ("<= 1500ms", True, 0.0),
        ("< 1s", False, -0.5),
        ("> 1s", True, 0.5),
        (">= 2s", False, -0.5),
        ("== 1500ms", True, 0.0),
        ("== 2s", False, -0.5),
    ],
)
def test_value_bound_and_margin(condition: str, kept: bool, margin: float) -> None:
    found = judged("run.duration.p95", condition, durations(p95=1.5))
    assert (found.passed, found.value, found.count) == (kept, 1.5, 1000)
    assert found.margin == pytest.approx(margin)
    assert str(found.margin) != "-0.0"
    assert found.judged is (Judged.KEPT if kept else Judged.NOT_KEPT)
    assert bool(found.reason) is not kept
    assert found.document()["margin"] == found.margin


@pytest.mark.parametrize(
    ("statistic", "fewest"),
    [("p50", 2), ("p90", 10), ("p95", 20), ("p99", 100), ("p99.9", 1000), ("max", 1), ("mean", 1)],
)
def test_a_quantile_needs_so_many_values_that_one_lies_beyond_it(statistic: str, fewest: int) -> None:
    def of(count: int) -> Judgement:
        latency = {"latency_seconds": {"n": count, statistic: 0.01}}
        metrics = {"api": {"load": {"CreateRun": latency}}}
        return judged(f"api.CreateRun.latency.{statistic}", "< 1s", metrics)

    assert of(fewest).judged is Judged.KEPT
    too_few = of(fewest - 1)
    assert too_few.judged is Judged.NOT_ENOUGH_DATA
    assert not too_few.passed
    if fewest > 1:
        assert too_few.reason == f"has not enough data: {fewest - 1} of at least {fewest} values"


@pytest.mark.parametrize(
    ("name", "condition", "metrics", "why"),
    [
        ("run.duration.p95", "< 1s", {}, "there is none"),
        ("run.duration.p95", "< 1s", {"runs": {"duration_seconds": {}}}, "there is none"),
        ("run.duration.p95", "< 1s", durations(), "no run has a duration"),
        (
            "run.duration.mean",
            "< 1s",
            durations(mean=None, not_reached=["p50", "max"]),
            "no run has a duration",
        ),
        ("run.success_rate", ">= 0.9", {"runs": {"due": 0, "success_rate": None}}, "there is none"),
        ("run.duration.drift", "<= 10%", {"runs": {"duration_trend": None}}, "there is none"),
        ("phase.queue.p95", "< 1s", {"phases": {"queue": {"n": 30, "mean": 0.4}}}, "no quantiles"),
        ("api.GetRun.errors", "== 0", {"api": {"load": {}}}, "there is none"),
    ],
)
def test_what_was_not_measured_is_not_kept(
    name: str, condition: str, metrics: dict[str, Any], why: str
) -> None:
    found = judged(name, condition, metrics)
    assert found.judged is Judged.NOT_ENOUGH_DATA
    assert "not enough data" in found.reason
    assert why in found.reason
    assert found.margin is None


def test_a_scenario_is_judged_by_its_own_figures() -> None:
    bounds = [
        parsed("run.failed", "== 0"),
        parsed("run.failed", "== 0", "a"),
        parsed("run.due", "> 1", "gone"),
    ]
    figures = Figures({"a": {"runs": {"failed": 0}}}, {"runs": {"failed": 3}})
    whole, one, gone = judge(bounds, figures)
    assert (whole.passed, one.passed, gone.passed) == (False, True, False)
    assert str(one) == "a: run.failed holds"
    assert str(whole) == "run.failed is 3, not == 0"


@pytest.mark.parametrize(
    ("name", "condition", "metrics", "told"),
    [
        ("run.duration.p95", "< 1s", durations(p95=1.99965), "is 2 s, not < 1s"),
        ("run.duration.p95", "<= 2s", durations(p95=2.00004), "is 2.00004 s, not <= 2s"),
        ("run.duration.p95", ">= 2s", durations(p95=1.99967), "is 1.9997 s, not >= 2s"),
        ("run.duration.p95", "< 10ms", durations(p95=0.0123456), "is 12.3 ms, not < 10ms"),
        ("run.duration.p95", "< 2s", durations(p95=2.0), "is 2 s, not < 2s"),
        ("run.duration.p95", "< 20m", durations(p95=123456.0), "is 123000 s, not < 20m"),
        ("run.success_rate", ">= 99%", {"runs": {"due": 9, "success_rate": 0.98999}}, "98.999 %"),
        ("run.due", "== 1000000", {"runs": {"due": 1234567}}, "is 1234567, not"),
        ("run.throughput", "> 1/s", {"runs": {"succeeded": 9, "throughput_per_second": 0.5}}, "is 0.5/s"),
    ],
)
def test_a_reason_never_looks_as_if_the_bound_held(
    name: str, condition: str, metrics: dict[str, Any], told: str
) -> None:
    assert told in judged(name, condition, metrics).reason


def test_why_is_one_sentence() -> None:
    good = judged("run.failed", "== 0", {"runs": {"failed": 0}})
    bad = judged("run.failed", "== 0", {"runs": {"failed": 2}})
    assert why_failed([]) == why_failed([good]) == ""
    assert why_failed([bad]) == "run.failed is 2, not == 0."
    assert why_failed([good, bad]) == "1 of 2 thresholds failed: run.failed is 2, not == 0."
    assert why_failed([good, *[bad] * 5]).endswith("; run.failed is 2, not == 0; and 2 more.")


def test_the_interval_of_a_value_comes_with_it() -> None:
    found = judged("run.duration.p95", "< 2s", durations(p95=1.5, intervals={"p95": [1.2, None]}))
    assert found.interval == (1.2, None)
    assert found.document()["interval"] == [1.2, None]
    assert judged("run.duration.max", "< 2s", durations(max=1.5)).document()["interval"] is None


@pytest.mark.parametrize(
    ("condition", "between", "expected", "reason"),
    [
        ("< 1s", [0.1, 0.3], Judged.KEPT, ""),
        ("< 300ms", [0.1, 0.3], Judged.KEPT, ""),
        ("< 100ms", [0.1, 0.3], Judged.NOT_KEPT, "lies between 100 ms and 300 ms, not < 100ms"),
        ("<= 50ms", [0.1, 0.3], Judged.NOT_KEPT, "lies between 100 ms and 300 ms, not <= 50ms"),
        (
            "< 200ms",
            [0.1, 0.3],
            Judged.CANNOT_TELL,
            "lies between 100 ms and 300 ms, so whether it is < 200ms cannot be told",
        ),
        ("> 100ms", [0.1, 0.3], Judged.KEPT, ""),
        ("> 300ms", [0.1, 0.3], Judged.NOT_KEPT, "lies between 100 ms and 300 ms, not > 300ms"),
        ("> 200ms", [0.1, 0.3], Judged.CANNOT_TELL, "cannot be told"),
        ("< 10m", [300.0, None], Judged.CANNOT_TELL, "lies above 300 s, so whether it is < 10m"),
        ("< 5m", [300.0, None], Judged.NOT_KEPT, "lies above 300 s, not < 5m"),
        ("> 5m", [300.0, None], Judged.KEPT, ""),
        ("== 200ms", [0.1, 0.3], Judged.CANNOT_TELL, "cannot be told"),
        ("== 1s", [0.1, 0.3], Judged.NOT_KEPT, "not == 1s"),
    ],
)
def test_a_value_between_two_bounds_is_judged_by_both(
    condition: str, between: list[float | None], expected: Judged, reason: str
) -> None:
    handling = {"n": 500, "p99": between[1], "between": {"p99": between}}
    metrics = {"server": {"methods": {"CreateRun": {"handling_seconds": handling}}}}
    found = judged("server.CreateRun.handling.p99", condition, metrics)
    assert found.judged is expected
    assert reason in found.reason
    assert found.passed is (expected is Judged.KEPT)
    assert found.document()["between"] == between


def test_too_few_values_in_buckets_are_not_enough_data() -> None:
    handling = {"n": 99, "p99": 0.3, "between": {"p99": [0.1, 0.3]}}
    metrics = {"server": {"methods": {"CreateRun": {"handling_seconds": handling}}}}
    assert judged("server.CreateRun.handling.p99", "< 1s", metrics).judged is Judged.NOT_ENOUGH_DATA
    assert judged("server.GetRun.handling.p99", "< 1s", metrics).judged is Judged.NOT_ENOUGH_DATA


def test_the_error_of_a_value_comes_with_it() -> None:
    metrics = durations(p95=1.5)
    metrics["runs"]["duration_error_seconds"] = 0.8
    assert judged("run.duration.p95", "< 2s", metrics).document()["error"] == 0.8
    exact = {"api": {"load": {"GetRun": {"latency_seconds": {"n": 1000, "p95": 1.0}}}}}
    assert judged("api.GetRun.latency.p95", "< 2s", exact).document()["error"] is None


@pytest.mark.parametrize(
    ("condition", "kept"),
    [("< 1h", False), ("<= 1h", False), ("== 1h", False), ("> 1ms", True), (">= 1h", True)],
)
@pytest.mark.parametrize("statistic", ["p99", "max"])
def test_what_is_not_reached_is_longer_than_any_bound(statistic: str, condition: str, kept: bool) -> None:
    latency = {"n": 100, "p95": 0.1, "p99": None, "max": None, "not_reached": ["p99", "max"]}
    metrics = {"api": {"load": {"CreateRun": {"latency_seconds": latency}}}}
    found = judged(f"api.CreateRun.latency.{statistic}", condition, metrics)
    assert found.judged is (Judged.KEPT if kept else Judged.NOT_KEPT)
    assert (found.value, found.margin, found.count) == (None, None, 100)
    assert found.reason == ("" if kept else f"lies above all that was answered, not {condition}")
    assert found.document()["not_reached"] is True
    assert judged("api.CreateRun.latency.p95", "< 1s", metrics).document()["not_reached"] is False


def test_too_few_operations_are_not_enough_data_even_where_they_failed() -> None:
    latency = {"n": 99, "p99": None, "not_reached": ["p99"]}
    found = judged(
        "api.CreateRun.latency.p99", "< 1s", {"api": {"load": {"CreateRun": {"latency_seconds": latency}}}}
    )
    assert found.judged is Judged.NOT_ENOUGH_DATA


class Gpus(MetricsCollector):
    """A user's collector with metrics of its own."""

    metrics = (
        Metric("gpus.lost", Unit.COUNT, "GPUs that were lost.", "the nodes", ("gpus", "lost")),
        distribution("gpus.*.wait", "How long pods waited.", "the pods", ("gpus", "*")),
    )


def of_gpus(name: str, condition: str, metrics: dict[str, Any]) -> Judgement:
    found = parse_threshold(name, condition, "$", None, Registry({**METRICS, "gpus": Gpus}))
    assert isinstance(found, Threshold), found
    (judgement,) = judge([found], Figures({}, metrics))
    return judgement


def test_a_users_metrics_can_be_bounded_where_they_are_registered() -> None:
    assert of_gpus("gpus.lost", "== 0", {"gpus": {"lost": 0}}).passed
    assert not of_gpus("gpus.lost", "== 0", {"gpus": {"error": "ZeroDivisionError: x"}}).passed
    unknown = parse_threshold("gpus.lost", "== 0", "$")
    assert isinstance(unknown, Problem)
    unlike = parse_threshold("gpus.lots", "== 0", "$", None, Registry({"gpus": Gpus}))
    assert isinstance(unlike, Problem)
    assert "did you mean gpus.lost?" in unlike.remedy


def test_a_pattern_is_judged_by_the_worst_value_and_names_it() -> None:
    waits = {"a100": {"n": 50, "max": 1.0}, "t4": {"n": 50, "max": 9.0}, "l4": {"n": 50, "max": 4.0}}
    bad = of_gpus("gpus.*.wait.max", "< 5s", {"gpus": waits})
    assert (bad.passed, bad.value) == (False, 9.0)
    assert str(bad) == "gpus.t4.wait.max is 9 s, not < 5s"
    good = of_gpus("gpus.*.wait.max", "< 10s", {"gpus": waits})
    assert (good.passed, good.value) == (True, 9.0)
    assert of_gpus("gpus.a100.wait.max", "< 5s", {"gpus": waits}).passed
    unreached = waits | {"h100": {"n": 50, "max": None, "not_reached": ["max"]}}
    assert "gpus.h100.wait.max lies above all that was answered" in str(
        of_gpus("gpus.*.wait.max", "< 10s", {"gpus": unreached})
    )
    assert of_gpus("gpus.*.wait.max", "< 5s", {"gpus": {}}).judged is Judged.NOT_ENOUGH_DATA


def test_the_gravest_reason_decides_and_scenarios_share_a_text() -> None:
    bad = judged("run.failed", "== 0", {"runs": {"failed": 2}})
    reasons = [
        Reason(ExitCode.TARGET, "refused", "a"),
        Reason(ExitCode.INTERRUPTED, "killed"),
        Reason(ExitCode.TARGET, "refused", "b"),
    ]
    verdict = decide(reasons, [bad])
    assert (verdict.text, verdict.exit_code) == ("stopped before its end", ExitCode.INTERRUPTED)
    assert verdict.reasons == ("killed", "a, b: refused", "run.failed is 2, not == 0.")
    assert decide([], []).exit_code is ExitCode.GOOD


def of_survivors(error_rate: float) -> dict[str, Any]:
    latency = {"n": 1000, "mean": 0.1}
    figures = {"count": 1000, "error_rate": error_rate, "latency_seconds": latency}
    return {
        "api": {
            purpose.value: dict.fromkeys(("GetRun", "ListRuns", "ListRuns.newest"), figures)
            for purpose in Purpose
        },
        "runs": {
            "due": 1000,
            "success_rate": 1.0 - error_rate,
            "duration_seconds": {"n": 500, "mean": 9.0},
        },
    }


@pytest.mark.parametrize(
    ("mean", "bound", "beside", "rate"),
    [
        ("run.duration.mean", "< 10s", "run.success_rate", ">= 95%"),
        ("api.GetRun.latency.mean", "< 1s", "api.GetRun.error_rate", "<= 5%"),
        ("api.ListRuns.newest.latency.mean", "< 1s", "api.ListRuns.error_rate", "<= 5%"),
        ("api.setup.GetRun.latency.mean", "< 1s", "api.setup.GetRun.error_rate", "<= 5%"),
        ("api.observe.GetRun.latency.mean", "< 1s", "api.observe.GetRun.error_rate", "<= 5%"),
        ("api.cleanup.GetRun.latency.mean", "< 1s", "api.cleanup.GetRun.error_rate", "<= 5%"),
    ],
)
def test_a_mean_of_survivors_is_not_kept(mean: str, bound: str, beside: str, rate: str) -> None:
    def judgements(error_rate: float, scenario: str | None = "a", condition: str = bound) -> list[Judged]:
        figures = Figures(
            {"a": of_survivors(error_rate), "b": of_survivors(0.0)}, of_survivors(error_rate / 2)
        )
        bounds = [parsed(mean, condition, scenario), parsed(mean, condition, "b"), parsed(beside, rate, "a")]
        return [one.judged for one in judge(bounds, figures)]

    assert judgements(0.02) == [Judged.KEPT] * 3
    assert judgements(0.5) == [Judged.NOT_KEPT, Judged.KEPT, Judged.NOT_KEPT]
    assert judgements(0.5, scenario=None) == [Judged.NOT_KEPT, Judged.KEPT, Judged.NOT_KEPT]
    assert judgements(0.5, condition="> 0")[0] is Judged.KEPT, "a lower bound holds all the more"
    (first, *_) = judge(
        [parsed(mean, bound, "a"), parsed(beside, rate, "a")], Figures({"a": of_survivors(0.5)}, {})
    )
    assert beside in first.reason
