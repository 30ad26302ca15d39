from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made_samples import made_sample

from kfp_perf.reports.buckets import Buckets, read_course
from kfp_perf.result.reader import TestResult
from kfp_perf.result.records import Purpose
from kfp_perf.result.scenario_writer import ScenarioWriter

if TYPE_CHECKING:
    from pathlib import Path

START = 1_790_000_000.0


@pytest.mark.parametrize(
    ("seconds", "width", "count"),
    [(0.0, 1, 1), (23, 1, 23), (120, 1, 120), (121, 2, 61), (7200, 60, 120), (86400 * 30, 21600, 120)],
)
def test_stretches_are_round_and_not_too_many(seconds: float, width: int, count: int) -> None:
    buckets = Buckets(START, seconds)
    assert (buckets.width, buckets.count) == (width, count)


def test_a_test_of_years_has_stretches_too() -> None:
    assert Buckets(START, 86400.0 * 365 * 3).count <= 120


def test_times_outside_are_in_no_stretch() -> None:
    buckets = Buckets(START, 10)
    assert [buckets.index(START + at) for at in (-0.1, 0, 0.99, 9.5, 10)] == [None, 0, 0, 9, None]
    assert buckets.counts([START - 1, START, START + 0.5, START + 9, START + 99]).tolist() == [2, *[0] * 8, 1]


def test_rates_are_for_the_time_that_was_asked_for() -> None:
    buckets = Buckets(START, 240)
    assert buckets.width == 2
    assert buckets.per([4] * buckets.count, 60.0)[0] == (1.0, 120.0)


@pytest.mark.parametrize(("seconds", "shown"), [(240.0, 120), (239.0, 119), (241.0, 48), (0.5, 1)])
def test_a_stretch_in_which_the_test_ended_looks_like_no_drop(seconds: float, shown: int) -> None:
    buckets = Buckets(START, seconds)
    assert len(buckets.per([1] * buckets.count, 1.0)) == shown


def test_the_course_has_the_quantiles_of_all_scenarios_together(tmp_path: Path) -> None:
    random_ = random.Random(1)
    raw: list[float] = []
    for scenario in ("a", "b"):
        writer = ScenarioWriter(tmp_path / "scenarios" / scenario, START)
        for place in range(4000):
            ended = START + 60.0 + place * 0.015
            latency = random_.lognormvariate(-4.0, 1.0)
            raw.append(latency)
            writer.sample(made_sample("GetRun", ended - latency, ended - latency, ended), warmup=False)
            if place % 100 == 0:
                failed = made_sample("GetRun", ended, ended, ended, 503, "503")
                writer.sample(failed, warmup=False)
                observed = made_sample("ListRuns", ended, ended, ended, purpose=Purpose.OBSERVE)
                writer.sample(observed, warmup=False)
        writer.close()
    course = read_course(TestResult(tmp_path), Buckets(START, 120.0, most=2))
    assert course.load.succeeded.tolist() == [0, 8000]
    assert course.load.failed.tolist() == [0, 80]
    assert course.failed.tolist() == [0, 80]
    assert course.counts("observe").tolist() == [0, 80]
    assert course.requests == 8160, "each once, though the file has service times and lateness as well"
    for share in (0.5, 0.99, 1.0):
        truth = float(np.quantile(raw, share, method="inverted_cdf"))
        assert course.load.quantiles(share) == [None, pytest.approx(truth, rel=0.002)]


def test_without_a_series_there_is_no_course(tmp_path: Path) -> None:
    course = read_course(TestResult(tmp_path), Buckets(START, 10.0))
    assert not course.operations
    assert not course.failed.any()
    assert course.load.quantiles(0.5) == [None] * 10
