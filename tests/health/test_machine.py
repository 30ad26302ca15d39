from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest

from kfp_perf.health.machine import CollectorPauses, read_machine, read_space

if TYPE_CHECKING:
    from pathlib import Path


def test_the_pauses_of_the_garbage_collector_are_added_up() -> None:
    times = iter([10.0, 10.5, 20.0, 20.25])
    with CollectorPauses(lambda: next(times, 0.0)) as pauses:
        gc.disable()
        try:
            gc.collect()
            gc.collect()
        finally:
            gc.enable()
    assert (pauses.count, pauses.seconds, pauses.longest_seconds) == (2, 0.75, 0.5)
    gc.collect()
    assert pauses.count == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell less")
def test_linux_tells_what_the_machine_does(tmp_path: Path) -> None:
    reading = read_machine(CollectorPauses())
    assert reading.process_cpu_seconds > 0
    assert reading.machine_busy_seconds is not None
    assert reading.machine_seconds is not None
    assert 0 < reading.machine_busy_seconds <= reading.machine_seconds
    space = read_space(tmp_path)
    assert (space.disk_bytes or 0) > 0
    assert (space.memory_bytes or 0) > 0
    assert (space.open_files or 0) >= 3
    assert 0 <= (space.open_files_share or 0.0) < 1
    assert space.largest_resident_bytes > 1e6


def test_a_folder_that_is_gone_has_no_disk_to_speak_of(tmp_path: Path) -> None:
    assert read_space(tmp_path / "gone").disk_bytes is None
