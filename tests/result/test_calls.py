"""`calls.jsonl`: the counts of each second."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kfp_perf.result.calls import MOST_MESSAGES, OTHERS
from kfp_perf.result.reader import ScenarioFiles
from kfp_perf.result.records import Attempt, CallOutcome, Purpose, Sample
from kfp_perf.result.scenario_writer import ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfp_perf.result.calls import CallSecond

T0 = 1_790_000_000.0


def lines_of(folder: Path, *samples: Sample) -> list[CallSecond]:
    writer = ScenarioWriter(folder, T0)
    for one in samples:
        writer.sample(one, warmup=one.due < T0)
    writer.close()
    return list(ScenarioFiles(folder).calls())


def test_a_line_has_every_count_of_its_second(sample: Callable[..., Sample], tmp_path: Path) -> None:
    retried = sample(
        0.2,
        0.3,
        earlier=(Attempt(T0 + 0.2, T0 + 0.3, 503, "503", "busy", True),),
    )
    (line,) = lines_of(
        tmp_path,
        sample(0.1, 0.2),
        retried,
        sample(0.3, 0.1, status=500, error="500", message="pod 1790000123 died"),
        sample(0.3, 0.1, status=500, error="500", message="pod 1790000124 died"),
        sample(0.4, 0.1, status=404, error="404", outcome=CallOutcome.GONE),
        sample(0.5, 0.1, status=0, error="cancelled", outcome=CallOutcome.CUT_OFF),
        Sample("GetRun", T0 + 0.5, T0 + 0.9, (), CallOutcome.NEVER_STARTED),
    )
    assert (line.second, line.operation, line.purpose, line.warmup) == (T0, "GetRun", Purpose.LOAD, False)
    assert (line.count, line.answered, line.gone, line.cut_off, line.never_started) == (7, 2, 1, 1, 1)
    assert line.failed == {"500": 2}
    assert (line.attempts, line.retries, line.unknown) == (7, 1, 1)
    assert line.attempt_errors == {"503": 1, "500": 2, "cancelled": 1}
    assert line.latency_sum == pytest.approx(0.5)
    assert line.latency_max == pytest.approx(0.3)
    assert line.first_due == pytest.approx(T0 + 0.1)
    assert line.last_ended == pytest.approx(T0 + 0.9)
    assert line.messages == (("500", "pod … died", 2),)


def test_each_operation_purpose_variant_and_second_has_a_line(
    sample: Callable[..., Sample], tmp_path: Path
) -> None:
    found = lines_of(
        tmp_path,
        sample(-0.5, 0.6),
        sample(0.1),
        sample(0.1, purpose=Purpose.OBSERVE),
        sample(0.2, operation="ListRuns", variant="newest"),
        sample(0.2, operation="ListRuns", variant="sorted"),
        sample(3.0),
    )
    assert {(one.second - T0, one.operation, one.purpose, one.variant, one.warmup) for one in found} == {
        (0, "GetRun", "load", "", True),
        (0, "GetRun", "load", "", False),
        (0, "GetRun", "observe", "", False),
        (0, "ListRuns", "load", "newest", False),
        (0, "ListRuns", "load", "sorted", False),
        (3, "GetRun", "load", "", False),
    }
    assert all(one.count == 1 for one in found)


def test_a_line_of_good_operations_is_short(sample: Callable[..., Sample], tmp_path: Path) -> None:
    lines_of(tmp_path, sample())
    line = json.loads((tmp_path / "calls.jsonl").read_text())
    assert set(line) == {
        *("second", "operation", "count", "answered", "attempts"),
        *("latency_sum", "latency_max", "first_due", "last_ended"),
    }


def test_a_server_that_invents_messages_makes_no_long_line(
    sample: Callable[..., Sample], tmp_path: Path
) -> None:
    invented = [sample(status=500, error="500", message=f"error {chr(97 + place)}") for place in range(26)]
    (line,) = lines_of(tmp_path, *invented)
    assert len(line.messages) == MOST_MESSAGES + 1
    assert line.messages[-1] == ("", OTHERS, 26 - MOST_MESSAGES)
    assert sum(times for _, _, times in line.messages) == line.failed["500"] == 26


def test_an_operation_that_ended_late_is_counted_in_the_second_under_way(
    sample: Callable[..., Sample], tmp_path: Path
) -> None:
    found = lines_of(tmp_path, sample(5.0), sample(2.0))
    assert [(one.second - T0, one.count) for one in found] == [(5, 2)]
