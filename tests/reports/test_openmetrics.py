"""OpenMetrics text: names, labels and values, and the grammar of the lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sample_results import Load, SampleTest

from kfp_perf.reports.openmetrics import openmetrics_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.reader import TestResult

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"'
LINE = re.compile(
    rf"# TYPE {NAME} gauge|# UNIT {NAME} (?:seconds|ratio)|# HELP {NAME} [^\n]*|# EOF"
    rf"|{NAME}\{{{LABEL}(?:,{LABEL})*\}} (?:\+Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
)


def values(text: str) -> dict[str, float]:
    lines = text.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert lines[-1] == "# EOF"
    assert text.endswith("\n")
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)), "the points of a metric stand together"
    return {name: float(value) for name, value in (one.rsplit(" ", 1) for one in lines if one[0] != "#")}


def test_figures_of_the_test_and_of_each_scenario(sample: Callable[[SampleTest], TestResult]) -> None:
    loads = (Load("steady", 50, 0.0, 60.0, 5.0, failed=0.1), Load("burst", 50, 0.0, 60.0, 5.0))
    result = sample(SampleTest(loads=loads, exit_code=1))
    found = values(openmetrics_of(result.document).decode())
    rate, latency = "kfp_perf_run_success_rate_ratio", "kfp_perf_api_CreateRun_latency_mean_seconds"
    total, steady = result.document["total"], result.document["scenarios"][0]["metrics"]
    assert found[f'{rate}{{test="nightly"}}'] == total["runs"]["success_rate"]
    assert found[f'{rate}{{test="nightly",scenario="steady"}}'] == steady["runs"]["success_rate"] < 1.0
    mean = steady["api"]["load"]["CreateRun"]["latency_seconds"]["mean"]
    assert found[f'{latency}{{test="nightly",scenario="steady"}}'] == mean
    assert found['kfp_perf_exit_code{test="nightly"}'] == 1


def test_what_is_not_reached_is_infinite(nightly: TestResult) -> None:
    assert "p99" in nightly.document["total"]["api"]["load"]["CreateRun"]["latency_seconds"]["not_reached"]
    found = values(openmetrics_of(nightly.document).decode())
    beyond = [name for name, value in found.items() if value == float("inf")]
    assert any(name.startswith("kfp_perf_api_CreateRun_latency_p99_seconds{") for name in beyond)


def test_a_quantile_of_too_few_values_is_left_out(sample: Callable[[SampleTest], TestResult]) -> None:
    result = sample(SampleTest(loads=(Load("few", 5, 0.0, 60.0, 5.0),)))
    found = values(openmetrics_of(result.document).decode())
    names = {name.partition("{")[0] for name in found}
    assert "kfp_perf_run_visible_p50_seconds" in names
    assert "kfp_perf_run_visible_p95_seconds" not in names


def test_what_a_threshold_judges_is_there(sample: Callable[[SampleTest], TestResult]) -> None:
    threshold = {"scenario": "few", "metric": "phase.submit.mean", "condition": "< 1s", "passed": True}
    test = SampleTest(loads=(Load("few", 5, 0.0, 60.0, 5.0),), extra={"thresholds": [threshold]})
    found = values(openmetrics_of(sample(test).document).decode())
    assert 'kfp_perf_phase_submit_mean_seconds{test="nightly",scenario="few"}' in found


def test_labels_are_escaped_and_a_damaged_document_has_a_verdict() -> None:
    found = values(openmetrics_of({"name": 'a "b" \\ c\nd'}).decode())
    assert found == {'kfp_perf_exit_code{test="a \\"b\\" \\\\ c\\nd"}': -1.0}
