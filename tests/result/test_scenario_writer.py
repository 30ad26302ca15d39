"""The files on disk while a scenario runs: after a second, after a kill, and on a full disk."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from kfp_perf.result.coarse_histogram import coarse_counts, coarse_quantile
from kfp_perf.result.counters import ScenarioCounters, ScenarioPhase
from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.records import CallOutcome, Outcome, Purpose, RunRecord
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter
from kfp_perf.result.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from kfp_perf.result.records import Sample

T0 = 1_790_000_000.0


def flushed(writer: ScenarioWriter, now: float) -> int:
    """Flush, and return in how many steps."""
    return sum(1 for _ in writer.flush(now))


def test_all_is_on_disk_a_second_later_without_a_close(sample: Callable[..., Sample], tmp_path: Path) -> None:
    writer, files = ScenarioWriter(tmp_path, T0), ScenarioFiles(tmp_path)
    writer.sample(sample(0.2), warmup=False)
    writer.sample(sample(0.3, operation="ListRuns"), warmup=False)
    writer.run(RunRecord(scenario="s", name="r", due=T0))
    assert flushed(writer, T0 + 0.9) == 0, "the second is not over"
    assert list(files.calls()) == []
    assert [one.name for one in files.runs()] == ["r"], "runs are written at once"
    assert flushed(writer, T0 + 1.0) > 1, "an operation at a time, so that the load is not delayed"
    assert {one.operation for one in files.calls()} == {"GetRun", "ListRuns"}
    assert {one.measure for one in files.series()} == {"latency", "service", "lateness"}
    writer.sample(sample(1.2), warmup=False)
    writer.sample(sample(2.2), warmup=False)
    assert flushed(writer, T0 + 3.0) > 0
    assert [one.second - T0 for one in files.calls() if one.operation == "GetRun"] == [0, 1, 2]
    writer.close()
    writer.close()
    assert sum(one.count for one in files.calls()) == 4


def test_counters_and_reports_are_written_where_they_changed_and_read_back(tmp_path: Path) -> None:
    writer, files = ScenarioWriter(tmp_path, T0), ScenarioFiles(tmp_path)

    def state(second: int, due: int) -> None:
        counters = ScenarioCounters(
            scenario="s", at=T0 + second, phase=ScenarioPhase.RUNNING, due=due, latency=bytes(64)
        )
        writer.state(counters, {"reads": {"reads": due}})

    state(0, 1)
    state(1, 1)
    state(2, 5)
    found = list(files.states())
    assert [(one.counters["at"] - T0, one.counters["due"]) for one in found] == [(0.0, 1), (2.0, 5)]
    assert found[-1].reports == {"reads": {"reads": 5}}
    assert found[-1].counters["phase"] == "running"
    assert "latency" not in found[-1].counters, "histograms are in series.hlog"
    writer.close()


def test_a_scenario_that_was_never_written_is_as_if_it_had_just_begun(tmp_path: Path) -> None:
    files = ScenarioFiles(tmp_path / "nothing", "my name")
    assert files.info == ScenarioInfo(name="my name")
    assert [*files.runs(), *files.calls(), *files.states(), *files.series(), *files.tasks()] == []


def test_lines_that_were_cut_short_hide_no_others(sample: Callable[..., Sample], tmp_path: Path) -> None:
    writer, files = ScenarioWriter(tmp_path, T0), ScenarioFiles(tmp_path)
    writer.sample(sample(), warmup=False)
    writer.run(RunRecord(scenario="s", name="r", due=T0))
    writer.state(ScenarioCounters(scenario="s", at=T0), {})
    writer.close()
    for name in ("calls.jsonl", "runs.jsonl", "counters.jsonl"):
        with (tmp_path / name).open("ab") as file:
            file.write(b'{"second": 17, "oper\n{"unlike": 1')
    assert len(list(files.calls())) == len(list(files.runs())) == 1
    assert next(files.states()).counters["at"] == T0


def test_a_full_disk_is_reported_once_for_each_file_and_ends_nothing(
    sample: Callable[..., Sample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        writer = ScenarioWriter(tmp_path, T0)
        for second in range(3):
            writer.sample(sample(float(second)), warmup=False)
            writer.run(RunRecord(scenario="s", name="r", due=T0))
            writer.state(ScenarioCounters(scenario="s", due=second), {})
    writer.close()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(set(told)) == 4
    assert all("No space left" in text for text in told)
    for name in ("series.hlog", "calls.jsonl", "runs.jsonl", "counters.jsonl"):
        assert any(f"Lines are missing from {tmp_path / name}: " in text for text in told)
    # Where there is space again, what follows is whole.
    assert [one.second - T0 for one in ScenarioFiles(tmp_path).calls()][-1] == 2


def test_a_folder_that_is_gone_is_reported_for_scenario_json(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = ScenarioWriter(tmp_path / "s", T0)
    for file in (tmp_path / "s").iterdir():
        file.unlink()
    (tmp_path / "s").rmdir()
    writer.info(ScenarioInfo(name="s"))
    writer.close()
    assert "scenario.json" in caplog.text


def test_the_tally_counts_operations_of_the_load_and_attempts_of_all(sample: Callable[..., Sample]) -> None:
    tally = Tally()
    tally.on_sample(sample(0.0, 0.25))
    tally.on_sample(sample(0.0, 0.5, earlier=sample(error="503", status=503).attempts))
    tally.on_sample(sample(error="ports", status=0))
    tally.on_sample(sample(error="404", status=404, outcome=CallOutcome.GONE))
    tally.on_sample(sample(error="500", status=500, purpose=Purpose.OBSERVE, operation="ListRuns"))
    fields: dict[str, Any] = tally.fields()
    assert (fields["operations"], fields["answered"], fields["errors"]) == (4, 2, 1)
    assert (fields["calls"], fields["attempts"], fields["local_failures"]) == (5, 6, 1)
    assert fields["attempt_errors"] == {"GetRun 503": 1, "GetRun ports": 1, "ListRuns 500": 1}
    latencies = coarse_counts(fields["latency"])
    assert latencies.sum() == 2
    high = coarse_quantile(latencies, 1.0)
    assert high is not None
    assert 0.5 <= high <= 0.5 * 1.16
    assert coarse_quantile(coarse_counts(b""), 0.5) is None


def test_the_tally_counts_runs_by_outcome() -> None:
    tally = Tally()
    for outcome, seconds in ((Outcome.SUCCEEDED, 5.0), (Outcome.FAILED, 9.0), (Outcome.NEVER_STARTED, None)):
        record = RunRecord(scenario="s", name="r", due=T0, outcome=outcome, duration_seconds=seconds)
        tally.on_run(record, T0 + 20.0)
    counters = ScenarioCounters(scenario="s", **tally.fields())  # type: ignore[arg-type]
    assert (counters.ended, counters.runs_lost, counters.longest_run_seconds) == (2, 1, 9.0)
