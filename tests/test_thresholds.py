"""Thresholds as users write them: conditions, bounds and units, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_perf.errors import Problem
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.registry import built_in
from kfp_perf.thresholds import Threshold, parse_threshold


def parsed(name: str, condition: str, scenario: str | None = None) -> Threshold:
    found = parse_threshold(name, condition, "$.thresholds", scenario)
    assert isinstance(found, Threshold), found
    return found


@pytest.mark.parametrize(
    ("name", "condition", "comparison", "bound"),
    [
        ("run.duration.p95", "< 90s", "<", 90.0),
        ("run.duration.p95", "<=1m30s", "<=", 90.0),
        ("run.duration.mean", "  <  2m  ", "<", 120.0),
        ("api.CreateRun.latency.p99.9", "< 250ms", "<", 0.25),
        ("api.CreateRun.latency.p50", "< 870us", "<", 870e-6),
        ("api.CreateRun.latency.p50", "< 870 µs", "<", 870e-6),
        ("api.CreateRun.latency.p50", "< 870\u03bcs", "<", 870e-6),
        ("api.observe.ListRuns.service.max", "< 5s", "<", 5.0),
        ("run.success_rate", ">= 99.5%", ">=", 0.995),
        ("run.success_rate", ">= 0.9", ">=", 0.9),
        ("api.CreateRun.error_rate", "<= 1 %", "<=", 0.01),
        ("run.duration.drift", "<= 150%", "<=", 1.5),
        ("run.duration.drift", ">= -10%", ">=", -0.1),
        ("run.failed", "== 0", "==", 0.0),
        ("run.due", ">= 100", ">=", 100.0),
        ("run.throughput", "> 30/min", ">", 0.5),
        ("schedule.drift.p90", "< 30s", "<", 30.0),
        ("phase.queue.p50", "< 0", "<", 0.0),
    ],
)
def test_conditions_are_in_the_metric_s_own_unit(
    name: str, condition: str, comparison: str, bound: float
) -> None:
    found = parsed(name, condition, "steady")
    assert (found.scenario, found.comparison) == ("steady", comparison)
    assert found.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("name", "condition", "what", "remedy"),
    [
        ("run.duration.mena", "< 1s", "there is no metric", "did you mean run.duration.mean?"),
        ("run.durations.p95", "< 1s", "there is no metric", "did you mean run.duration.p95?"),
        ("run.faild", "== 0", "there is no metric", "did you mean run.failed?"),
        ("api.CreatRun.errors", "== 0", "there is no metric", "did you mean api.CreateRun.errors?"),
        ("xyzzy", "== 0", "there is no metric", "docs/metrics.md"),
        ("run.duration", "< 1s", "there is no metric", "say which: run.duration.p50"),
        ("run.duration.p95", "90s", "is not a condition", '"< 90s"'),
        ("run.duration.p95", "", "is not a condition", '"< 90s"'),
        ("run.duration.p95", "< 1s < 2s", "units of time", '"< 90s"'),
        ("run.duration.p95", "!= 1s", "is not a condition", '"< 90s"'),
        ("run.duration.p95", "< 2", "units of time", '"< 90s"'),
        ("run.duration.p95", "< fast", "units of time", '"< 90s"'),
        ("run.duration.p95", "< 1%", "units of time", '"< 90s"'),
        ("run.duration.p95", "< inf", "units of time", '"< 90s"'),
        ("run.success_rate", ">= 101%", "between 0 and 100 %", '"<= 1%"'),
        ("run.success_rate", ">= 99", "between 0 and 100 %", '"<= 1%"'),
        ("run.success_rate", ">= 0%", "holds whatever happens", '"<= 1%"'),
        ("run.success_rate", "> 3s", "per cent", '"<= 1%"'),
        ("run.failed", "< 0.5", "whole numbers", '"== 0"'),
        ("run.failed", "< -1", "whole numbers", '"== 0"'),
        ("run.throughput", "> 5", "so many in what time", '">= 30/min"'),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(name: str, condition: str, what: str, remedy: str) -> None:
    found = parse_threshold(name, condition, "$.thresholds")
    assert isinstance(found, Problem)
    assert found.where == "$.thresholds"
    assert what in found.what
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("name", "condition", "word", "remedy"),
    [
        ("run.duration.p95{team=search}", "< 90s", "tags", "leave out"),
        ("run.duration.p95[team]", "< 90s", "tags", "leave out"),
        ("run.failed", "== 0, abort", "ending a test early", '"abortOnFail": true'),
        ("run.failed", "== 0 abortOnFail", "ending a test early", '"abortOnFail": true'),
    ],
)
def test_what_cannot_be_judged_is_refused_by_its_name(
    name: str, condition: str, word: str, remedy: str
) -> None:
    found = parse_threshold(name, condition, "$")
    assert isinstance(found, Problem)
    assert word in found.what
    assert "cannot be judged" in found.what
    assert remedy in found.remedy


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_breaks_it(name: str, condition: str) -> None:
    for known in (name, "run.duration.p95", "run.success_rate", "run.failed", "run.throughput"):
        assert isinstance(parse_threshold(known, condition, "$"), Threshold | Problem)


@pytest.mark.parametrize(
    ("name", "condition", "bound"),
    [
        ("server.memory.max", "< 500MiB", 500 * 2**20),
        ("server.memory.max", "< 1.5 GB", 1.5e9),
        ("server.memory.mean", "<= 2Gi", 2 * 2**30),
        ("server.memory.mean", "> 0", 0.0),
        ("server.cpu.max", "< 1.5", 1.5),
        ("server.cpu.mean", "<= 500m", 0.5),
    ],
)
def test_bounds_in_bytes_and_cores(name: str, condition: str, bound: float) -> None:
    assert parsed(name, condition).bound == bound


@pytest.mark.parametrize(
    ("name", "condition"),
    [("server.memory.max", "< 500"), ("server.memory.max", "< 5 XiB"), ("server.cpu.max", "< 50%")],
)
def test_what_is_no_bound_in_bytes_or_cores(name: str, condition: str) -> None:
    found = parse_threshold(name, condition, "$")
    assert isinstance(found, Problem)
    assert "is not a bound in " in found.what


def test_a_metric_of_the_whole_test_is_no_threshold_of_a_scenario() -> None:
    found = parse_threshold("server.restarts", "== 0", "$[0].thresholds", "load")
    assert isinstance(found, Problem)
    assert found.what == "server.restarts is of the whole test, and no scenario has it"


@pytest.mark.parametrize("metric", built_in().metrics, ids=lambda metric: metric.name)
def test_every_metric_can_have_a_threshold(metric: Any) -> None:
    name = metric.name.replace("{call}", "GetRun") + (f".{metric.statistics[0]}" if metric.statistics else "")
    assert built_in().find(name) is not None
    conditions = {
        Unit.SECONDS: "< 1s",
        Unit.PER_SECOND: "> 1/s",
        Unit.COUNT: "< 1",
        Unit.BYTES: "< 1GiB",
        Unit.CORES: "< 500m",
    }
    condition = conditions.get(metric.unit, "< 1%")
    assert parsed(name, condition).metric.metric is metric
