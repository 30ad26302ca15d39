"""Thresholds in every report: as text, in tables and as JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import Load, SampleTest

from kfp_perf.metrics.figures import Figures
from kfp_perf.reports import REPORTS
from kfp_perf.thresholds import Threshold, parse_threshold
from kfp_perf.verdict import judge, why_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.reader import TestResult

BOUNDS = {
    "run.duration.p50": "< 1s",
    "run.success_rate": ">= 0.9",
    "api.CreateRun.latency.p99.9": "< 1s",
    "run.failed": "== 0",
}


@pytest.fixture
def judged(sample: Callable[[SampleTest], TestResult]) -> TestResult:
    """Twenty runs of ten seconds, judged: one bound is not kept, one has not enough data."""
    loads = (Load("steady", 20, 0.0, 60.0, 10.0),)
    metrics = sample(SampleTest(loads=loads)).document["total"]
    parsed = [parse_threshold(name, condition, "$") for name, condition in BOUNDS.items()]
    judgements = judge([one for one in parsed if isinstance(one, Threshold)], Figures({}, metrics))
    extra = {"thresholds": [one.document() for one in judgements]}
    return sample(SampleTest(loads=loads, exit_code=1, reasons=[why_failed(judgements)], extra=extra))


def text(result: TestResult, report: str) -> str:
    (content,) = REPORTS[report].draw(result).values()
    return content.decode()


def test_the_summary_has_a_line_for_each(judged: TestResult) -> None:
    lines = text(judged, "console").splitlines()
    told = {name: next(line for line in lines if line.startswith(name)) for name in BOUNDS}
    assert "✗ not kept" in told["run.duration.p50"]
    assert "✗ not enough data" in told["api.CreateRun.latency.p99.9"]
    assert "✓ kept" in told["run.success_rate"]
    assert "100 %" in told["run.success_rate"]
    assert "10.0 %" in told["run.success_rate"]
    assert any("2 of 4 thresholds failed: run.duration.p50 is" in line for line in lines)


def test_a_test_without_thresholds_says_nothing_of_them(
    sample: Callable[[SampleTest], TestResult],
) -> None:
    result = sample(SampleTest(loads=(Load("steady", 20, 0.0, 60.0, 10.0),), extra={"thresholds": []}))
    for report in ("console", "markdown", "html"):
        assert "threshold" not in text(result, report).lower()


@pytest.mark.parametrize("report", ["html", "markdown"])
def test_the_verdict_comes_first_then_the_table(judged: TestResult, report: str) -> None:
    page = text(judged, report)
    verdict, table = (
        page.index("2 of 4 thresholds failed: run.duration"),
        page.index("Were the thresholds kept?"),
    )
    assert verdict < table < page.index("What each scenario did")
    row = page[page.rindex("api.CreateRun.latency.p99.9") :]
    assert row.index("has not enough data: 20 of at least 1000 values") < row.index("run.success")


def test_an_interval_stands_below_the_value(
    judged: TestResult, sample: Callable[[SampleTest], TestResult]
) -> None:
    (row,) = [one for one in judged.document["thresholds"] if one["metric"] == "run.duration.p50"]
    known = {**row, "value": 10.0, "interval": [8.0, 12.0]}
    assert "8.00 s to 12.0 s" in text(sample(SampleTest(extra={"thresholds": [known]})), "markdown")


@pytest.mark.parametrize("report", ["console", "markdown", "html"])
def test_a_value_that_was_not_reached_is_reported_as_such(
    sample: Callable[[SampleTest], TestResult], report: str
) -> None:
    loads = (Load("steady", 40, 0.0, 60.0, 10.0, unfinished=0.5),)
    metrics = sample(SampleTest(loads=loads)).document["total"]
    parsed = [parse_threshold("run.visible.p95", condition, "$") for condition in ("< 1h", "> 1s")]
    judgements = judge([one for one in parsed if isinstance(one, Threshold)], Figures({}, metrics))
    assert [one.passed for one in judgements] == [False, True]
    result = sample(SampleTest(loads=loads, extra={"thresholds": [one.document() for one in judgements]}))
    assert text(result, report).count("not reached") >= 2


def test_an_error_that_could_have_made_another_judgement_is_said(
    judged: TestResult, sample: Callable[[SampleTest], TestResult]
) -> None:
    said = "(off by up to 700 ms)"
    assert said not in text(judged, "markdown")
    close = [{**one, "margin": -0.2} for one in judged.document["thresholds"]]
    assert text(sample(SampleTest(extra={"thresholds": close})), "markdown").count(said) == 1


def test_programs_get_the_same(judged: TestResult) -> None:
    by_name: dict[str, Any] = {one["metric"]: one for one in json.loads(text(judged, "json"))["thresholds"]}
    rows = csv.DictReader(io.StringIO(REPORTS["csv"].draw(judged)["thresholds.csv"].decode()))
    for row in rows:
        told = by_name.pop(row["metric"])
        assert float(row["bound"]) == told["bound"]
        for key in ("value", "margin"):
            assert row[key] == ("" if told[key] is None else str(told[key]))
        assert row["not_reached"] == str(told["not_reached"])
        assert row["judged"] == told["judged"]
        assert row["passed"] == str(told["passed"])
        assert row["value_low"] == ("" if told["interval"] is None else str(told["interval"][0]))
    assert not by_name
