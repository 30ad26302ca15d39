"""Quantiles of few values, in every report that people read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import Load, SampleTest

from kfp_perf.reports import REPORTS
from kfp_perf.reports.few_runs import few_runs, most_of, statistic_of
from kfp_perf.reports.quantities import seconds_of
from kfp_perf.reports.story import story_of
from kfp_perf.reports.story.blocks import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.reader import TestResult

TIMES: dict[str, Any] = {"n": 20, "p50": 0.1, "p95": 0.2, "p99": 0.3, "p99.9": 0.4, "max": 0.5}


def test_a_quantile_of_too_few_values_is_a_dash() -> None:
    told = [statistic_of(TIMES, name, seconds_of) for name in ("p50", "p95", "p99", "p99.9", "max")]
    assert told == ["100 ms", "200 ms", "–", "–", "500 ms"]
    assert statistic_of({**TIMES, "n": 1}, "p50", seconds_of) == "–"


def test_one_of_enough_values_may_not_be_reached() -> None:
    beyond = {**TIMES, "n": 100, "p99": None, "max": None, "not_reached": ["p99", "max"]}
    assert statistic_of(beyond, "p99", seconds_of) == "not reached"
    assert statistic_of({**beyond, "n": 99}, "p99", seconds_of) == "–"
    assert statistic_of({**beyond, "n": 99}, "max", seconds_of) == "not reached"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "95 % within 200 ms"),
        ({"not_reached": ["p95", "p99", "max"]}, "p95 not reached"),
        ({"n": 19}, "at most 500 ms"),
        ({"n": 19, "not_reached": ["max"]}, "maximum not reached"),
    ],
)
def test_how_far_the_values_go(changes: dict[str, Any], told: str) -> None:
    assert most_of(TIMES | changes, "p95", seconds_of) == told


@pytest.mark.parametrize("runs", [1, 2, 19, 20, 100])
def test_no_report_has_a_quantile_of_too_few_runs(
    runs: int, sample: Callable[[SampleTest], TestResult]
) -> None:
    result = sample(SampleTest(loads=(Load("steady", runs, 0.0, 60.0, 10.0),)))
    needed = {"p50": 2, "p95": 20, "p99": 100}
    (header, row, *_) = re.findall(
        r"^(?:runs|steady) .*$", REPORTS["console"].draw(result)["summary.txt"].decode(), re.MULTILINE
    )
    console = dict(zip(header.split()[-4:], re.split(r" {2,}", row)[-4:], strict=True))
    assert {name: console[name] != "–" for name in needed} == {
        name: runs >= least for name, least in needed.items()
    }
    (section,) = [section for section in story_of(result).sections if section.id == "durations"]
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert len(tables) == 2
    for table in tables:
        titles = [column.title for column in table.columns]
        for name, least in needed.items():
            assert (str(table.rows[0][titles.index(name)]) != "–") is (runs >= least), (table.caption, name)
    words = " ".join(f"{tile.name} {tile.detail}" for tile in story_of(result).tiles)
    assert ("95 % within" in words) is (runs >= 20)
    assert ("median" in words) is (runs >= 2)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((20, 40), []),
        (
            (6, 40),
            ["a: with 6 runs due, a single one that does not succeed breaks the default run.success_rate"],
        ),
        ((6, 7), ["a, b: with fewer than 20 runs due, "]),
        ((1, 2, 3, 4, 5), ["a, b, c and 2 more: with fewer than 20 runs due, "]),
    ],
)
def test_scenarios_of_few_runs_share_one_sentence(counts: tuple[int, ...], expected: list[str]) -> None:
    judged = [
        {
            "scenario": name,
            "metric": "run.success_rate",
            "condition": ">= 95%",
            "default": True,
            "count": count,
        }
        for name, count in zip("abcde", counts, strict=False)
    ]
    found = few_runs({"thresholds": judged})
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True))
