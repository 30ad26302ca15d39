from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from kfp_perf.result.records import Purpose
from kfp_perf.result.series import Series, SeriesFile, read_series
from kfp_perf.statistics.histogram import DIGITS, HIGHEST_MICROSECONDS, LOWEST_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.records import Sample

T0 = 1_790_000_000.0


@pytest.fixture
def file(tmp_path: Path) -> SeriesFile:
    return SeriesFile(tmp_path / "series.hlog", T0 + 0.7)


def test_other_readers_of_interval_logs_find_the_same(
    sample: Callable[..., Sample], file: SeriesFile, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    series = Series("s", file)
    latencies = random.lognormal(-3.0, 1.0, 3000)
    ends = np.sort(random.uniform(0.0, 10.0, 3000))
    for end, latency in zip(ends.tolist(), latencies.tolist(), strict=True):
        series.add(sample(end - latency, latency), warmup=False)
    series.close()
    file.close()
    reference = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)
    reader = HistogramLogReader(str(tmp_path / "series.hlog"), reference)
    whole = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)
    counts, begins = [], []
    while (second := reader.get_next_interval_histogram()) is not None:
        assert second.get_tag() == "s/load/GetRun"
        counts.append(second.get_total_count())
        begins.append(second.get_start_time_stamp() / 1e3)
        whole.add(second)
    reader.close()
    assert begins == [T0 + second for second in range(10)]
    assert counts == np.bincount(ends.astype(int), minlength=10).tolist()
    for percent in (50.0, 95.0, 99.0):
        exact = float(np.percentile(latencies, percent, method="inverted_cdf"))
        assert whole.get_value_at_percentile(percent) / 1e6 == pytest.approx(exact, rel=1e-3, abs=1e-6)


def test_what_is_written_is_read(sample: Callable[..., Sample], file: SeriesFile, tmp_path: Path) -> None:
    series = Series("night ly/x", file)
    series.add(sample(0.0, 0.25), warmup=True)
    series.add(sample(1.0, 0.25), warmup=False)
    series.add(sample(1.1, 0.5), warmup=False)
    series.add(sample(1.2, 0.1, status=503, error="503"), warmup=False)
    series.add(sample(1.3, 0.1, status=404, gone=True), warmup=False)
    series.add(sample(1.3, 0.1, operation="ListRuns", purpose=Purpose.OBSERVE), warmup=False)
    series.close()
    file.close()
    found = {
        (one.purpose, one.operation, one.failed, one.warmup): (one.second - T0, int(one.counts.sum()))
        for one in read_series(tmp_path / "series.hlog")
    }
    assert found == {
        ("load", "GetRun", False, True): (0.0, 1),
        ("load", "GetRun", False, False): (1.0, 2),
        ("load", "GetRun", True, False): (1.0, 1),
        ("observe", "ListRuns", False, False): (1.0, 1),
    }
    assert {one.scenario for one in read_series(tmp_path / "series.hlog")} == {"night-ly-x"}
    assert [one.operation for one in read_series(tmp_path / "series.hlog", Purpose.OBSERVE)] == ["ListRuns"]
    assert len(list(read_series(tmp_path / "series.hlog", Purpose.LOAD))) == 3


def test_lines_that_are_broken_are_passed_over(
    sample: Callable[..., Sample], file: SeriesFile, tmp_path: Path
) -> None:
    series = Series("s", file)
    for second in range(3):
        series.add(sample(float(second)), warmup=False)
    series.close()
    file.close()
    path = tmp_path / "series.hlog"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(
        "".join([*lines[:-1], "Tag=s/load/GetRun,5.0,1.0,3.0,HISTnonsense\n", "Tag=x\n", lines[-1][:60]])
    )
    assert [one.second - T0 for one in read_series(path)] == [0.0, 1.0]
    assert list(read_series(tmp_path / "missing.hlog")) == []


def test_a_full_disk_ends_the_series_but_not_the_test(
    sample: Callable[..., Sample],
    file: SeriesFile,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(2):
        series = Series("s", file)
        series.add(sample(), warmup=False)
        series.close()
    assert [record.getMessage() for record in caplog.records] == [
        "The series of latencies ends here: [Errno 28] No space left on device"
    ]
