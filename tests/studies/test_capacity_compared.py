"""Comparing searches for the capacity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from made_executions import total, write_execution

from kfp_perf.compare import compare_sides, read_side
from kfp_perf.errors import InputError
from kfp_perf.result.capacity import CapacityRecord
from kfp_perf.result.study import ExecutionRecord, StudyRecord, write_study

if TYPE_CHECKING:
    from pathlib import Path


def write_search(path: Path, rate: float | None, minute: int = 0, **rest: Any) -> Path:
    """A search with one plateau, which found a rate a minute."""
    write_execution(path / "executions" / "01", total(10.0), minute=minute)
    answer = CapacityRecord(
        scenario="steady",
        operation="run",
        closed=False,
        precision=0.1,
        first_rate=0.1,
        highest_rate=None,
        status="found" if rate else "duration",
        rate=None if rate is None else rate / 60.0,
        **rest,
    )
    record = StudyRecord(
        kind="capacity",
        name="nightly",
        started=f"2026-01-01T00:{minute:02}:00.000Z",
        finished=f"2026-01-01T00:{minute:02}:50.000Z",
        executions=(
            ExecutionRecord(number=1, folder="01", label="light load: 6 runs a minute", exit_code=0),
        ),
        exit_code=0,
        answer=msgspec.to_builtins(answer),
    )
    write_study(path, record)
    return path


def test_one_search_against_one_is_too_little(tmp_path: Path) -> None:
    sides = [
        read_side([write_search(tmp_path / name, rate)]) for name, rate in (("old", 96.0), ("new", 80.0))
    ]
    (metric,) = compare_sides(*sides).metrics
    assert metric.name == "capacity.rate"
    assert metric.verdict == "too little data"
    assert metric.new.values[0] == pytest.approx(80.0 / 60.0)


def test_repeated_searches_can_be_told_apart(tmp_path: Path) -> None:
    rates = {"old": (96.0, 97.0, 95.0, 96.5, 95.5), "new": (80.0, 81.0, 79.0, 80.5, 80.0)}
    sides = []
    for place, (name, found) in enumerate(rates.items()):
        for number, rate in enumerate(found):
            write_search(tmp_path / name / f"{number}", rate, minute=10 * place + number)
        sides.append(read_side([tmp_path / name]))
    (metric,) = compare_sides(*sides).metrics
    assert metric.verdict not in {"too little data", "same"}
    assert not metric.lower_is_better


def test_a_search_that_did_not_enclose_the_capacity_is_left_out(tmp_path: Path) -> None:
    write_search(tmp_path / "side" / "1", 96.0)
    write_search(tmp_path / "side" / "2", None, minute=1)
    side = read_side([tmp_path / "side"])
    assert len(side.executions) == 1
    assert "did not enclose the capacity" in side.left_out[0]
    with pytest.raises(InputError, match="did not enclose"):
        read_side([tmp_path / "side" / "2"])
