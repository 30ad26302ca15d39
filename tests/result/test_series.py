from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from kfp_perf.result.records import CallOutcome, Purpose
from kfp_perf.result.scenario_writer import ScenarioWriter
from kfp_perf.result.series import MEASURES, SeriesEncoder, decode_counts, read_series
from kfp_perf.statistics.histogram import DIGITS, HIGHEST_MICROSECONDS, LOWEST_MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.records import Sample

T0 = 1_790_000_000.0


@pytest.fixture
def writer(tmp_path: Path) -> ScenarioWriter:
    return ScenarioWriter(tmp_path, T0 + 0.7)


def test_other_readers_of_interval_logs_find_the_same(
    sample: Callable[..., Sample], writer: ScenarioWriter, tmp_path: Path
) -> None:
    random = np.random.default_rng(1)
    latencies = random.lognormal(-3.0, 1.0, 3000)
    ends = np.sort(random.uniform(0.0, 10.0, 3000))
    for end, latency in zip(ends.tolist(), latencies.tolist(), strict=True):
        writer.sample(sample(end - latency, latency), warmup=False)
    writer.close()
    reference = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)
    reader = HistogramLogReader(str(tmp_path / "series.hlog"), reference)
    whole = HdrHistogram(LOWEST_MICROSECONDS, HIGHEST_MICROSECONDS, DIGITS)
    counts, begins = [], []
    while (second := reader.get_next_interval_histogram()) is not None:
        if second.get_tag() == "load/GetRun/latency":
            counts.append(second.get_total_count())
            begins.append(second.get_start_time_stamp() / 1e3)
            whole.add(second)
    reader.close()
    assert begins == [T0 + second for second in range(10)]
    assert counts == np.bincount(ends.astype(int), minlength=10).tolist()
    for percent in (50.0, 95.0, 99.0):
        exact = float(np.percentile(latencies, percent, method="inverted_cdf"))
        assert whole.get_value_at_percentile(percent) / 1e6 == pytest.approx(exact, rel=1e-3, abs=1e-6)


def test_what_is_written_is_read(
    sample: Callable[..., Sample], writer: ScenarioWriter, tmp_path: Path
) -> None:
    writer.sample(sample(0.0, 0.25), warmup=True)
    writer.sample(sample(1.0, 0.25), warmup=False)
    writer.sample(sample(1.1, 0.5), warmup=False)
    writer.sample(sample(1.2, 0.1, status=503, error="503"), warmup=False)
    writer.sample(sample(1.3, 0.1, status=404, error="404", outcome=CallOutcome.GONE), warmup=False)
    writer.sample(sample(1.3, 0.1, operation="ListRuns", purpose=Purpose.OBSERVE), warmup=False)
    writer.sample(sample(1.4, 0.1, operation="ListRuns", variant="in_experiment"), warmup=False)
    writer.close()
    found = {
        (one.purpose, one.operation, one.variant, one.measure, one.warmup): (
            one.second - T0,
            int(one.counts.sum()),
        )
        for one in read_series(tmp_path / "series.hlog")
    }
    assert found == {
        ("load", "GetRun", "", "latency", True): (0.0, 1),
        ("load", "GetRun", "", "service", True): (0.0, 1),
        ("load", "", "", "lateness", True): (0.0, 1),
        ("load", "GetRun", "", "latency", False): (1.0, 2),
        ("load", "GetRun", "", "service", False): (1.0, 2),
        ("load", "GetRun", "", "failed", False): (1.0, 1),
        ("load", "ListRuns", "in_experiment", "latency", False): (1.0, 1),
        ("load", "ListRuns", "in_experiment", "service", False): (1.0, 1),
        ("observe", "ListRuns", "", "latency", False): (1.0, 1),
        ("observe", "ListRuns", "", "service", False): (1.0, 1),
        ("load", "", "", "lateness", False): (1.0, 5),
    }
    assert {measure for _, _, _, measure, _ in found} == set(MEASURES)


def test_lines_that_are_broken_are_passed_over(
    sample: Callable[..., Sample], writer: ScenarioWriter, tmp_path: Path
) -> None:
    for second in range(3):
        writer.sample(sample(float(second), purpose=Purpose.OBSERVE), warmup=False)
    writer.close()
    path = tmp_path / "series.hlog"
    lines = path.read_text().splitlines(keepends=True)
    broken = ["Tag=load/GetRun/latency,5.0,1.0,3.0,HISTnonsense\n", "Tag=x\n", lines[-1][:60]]
    path.write_text("".join([*lines[:-1], *broken]))
    found = [(one.second - T0, one.measure) for one in read_series(path)]
    assert found == [(second, name) for second in (0.0, 1.0, 2.0) for name in ("latency", "service")][:-1]
    assert list(read_series(tmp_path / "missing.hlog")) == []


@pytest.mark.parametrize("count", [1, 2, 10, 1000, 100_000])
def test_counts_are_decoded_as_hdrhistogram_decodes_them(count: int) -> None:
    random = np.random.default_rng(count)
    times = random.lognormal(-3.0, 2.0, count)
    times[: count // 3] = times[0]  # so that a count takes several bytes
    payload = SeriesEncoder(0.0).line("x", 1, times).rpartition(b",")[2].decode()
    expected = np.frombuffer(HdrHistogram.decode(payload).counts, dtype=np.uint64)
    bins, counts = decode_counts(payload)
    assert bins.tolist() == np.flatnonzero(expected).tolist()
    assert counts.tolist() == expected[bins].tolist()


@pytest.mark.parametrize("cut", [1, 5, 20, 40])
def test_a_payload_that_was_cut_is_an_error(cut: int) -> None:
    payload = SeriesEncoder(0.0).line("x", 1, np.array([0.1, 0.2])).rpartition(b",")[2].decode()
    with pytest.raises((ValueError, struct.error, zlib.error)):
        decode_counts(payload[:-cut])
