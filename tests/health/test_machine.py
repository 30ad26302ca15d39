from __future__ import annotations

import errno
import gc
import os
import subprocess
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


_EXHAUSTED = """
import os, resource, sys
from pathlib import Path
from kfp_perf.health.machine import read_space

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError:
    print(read_space(Path("/")).open_files_share)
"""
_RAISED = """
import resource
from kfp_perf.health import raise_open_files_limit

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
raise_open_files_limit()
raise_open_files_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
"""


def test_that_all_descriptors_are_taken_is_seen_without_one() -> None:
    done = subprocess.run([sys.executable, "-c", _EXHAUSTED], capture_output=True, text=True, check=True)
    assert float(done.stdout) == 1.0


def test_where_the_kernel_does_not_tell_their_number_a_failure_to_list_them_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_path: object) -> list[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    class Silent:
        def stat(self) -> os.stat_result:
            return os.stat_result((0,) * 10)

    monkeypatch.setattr("kfp_perf.health.machine._OPEN_FILES", Silent())
    monkeypatch.setattr("kfp_perf.health.machine.os.listdir", fails)
    space = read_space(tmp_path)
    assert (space.open_files, space.open_files_share) == (None, 1.0)


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    subprocess.run([sys.executable, "-c", _RAISED], check=True)


def test_a_folder_that_is_gone_has_no_disk_to_speak_of(tmp_path: Path) -> None:
    assert read_space(tmp_path / "gone").disk_bytes is None
