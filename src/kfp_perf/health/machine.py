"""The resources that this process uses, and those that its machine has left."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_CPU_STAT_FILES = (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpu/cpu.stat"))
_OPEN_FILES = Path("/proc/self/fd") if sys.platform == "linux" else Path("/dev/fd")
_BYTES_OF_MAXRSS = 1024 if sys.platform == "linux" else 1


class Reading(NamedTuple):
    """One reading. Only the difference of two readings has a meaning; None: not known on this machine.

    `process_cpu_seconds`: CPU time of this process. `machine_busy_seconds` of `machine_seconds`: of all cores.
    `throttled_seconds`: how long the container's CPU limit held this process's group. `collecting_seconds`: time
    in which garbage was collected. `suspended_seconds`: how long the machine was suspended, which the monotonic
    clock does not count.
    """

    process_cpu_seconds: float
    machine_busy_seconds: float | None
    machine_seconds: float | None
    throttled_seconds: float | None
    collecting_seconds: float
    suspended_seconds: float = 0.0


class Space(NamedTuple):
    """Free disk and memory in bytes, the share of allowed files that are open, and this process's size.

    None: unknown.
    """

    disk_bytes: int | None
    memory_bytes: int | None
    open_files: int | None
    open_files_share: float | None
    largest_resident_bytes: int


class CollectorPauses:
    """Adds up, while the context is open, how long garbage collection stops all threads."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = 0.0
        self.longest_seconds = 0.0
        self.count = 0
        self._now = now
        self._began = 0.0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = self._now()
            return
        took = self._now() - self._began
        self.count += 1
        self.seconds += took
        self.longest_seconds = max(self.longest_seconds, took)


def raise_open_files_limit() -> None:
    """Raise the soft limit of open files of this process to the hard one.

    The soft limit is small by default (1024) for the sake of programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft in (hard, resource.RLIM_INFINITY):
        return
    # Refused where the kernel has a lower limit, as on macOS.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def read_machine(pauses: CollectorPauses) -> Reading:
    """Read the resources used so far."""
    busy, whole = _machine_cpu()
    return Reading(time.process_time(), busy, whole, _throttled(), pauses.seconds, _suspended())


def _suspended() -> float:
    """How long the machine was suspended since it started: CLOCK_BOOTTIME counts that (clock_gettime(2))."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def read_space(folder: Path) -> Space:
    """Read the resources left; `folder` is where the result is written, and may have been deleted."""
    disk: int | None = None
    with contextlib.suppress(OSError):
        disk = shutil.disk_usage(folder).free
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    limited = allowed > 0 and allowed != resource.RLIM_INFINITY
    count, exhausted = _open_files()
    share = None if count is None else min(1.0, count / allowed) if limited else 0.0
    if exhausted:
        share = 1.0
    return Space(
        disk_bytes=disk,
        memory_bytes=_memory_available(),
        open_files=count,
        open_files_share=share,
        largest_resident_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_OF_MAXRSS,
    )


def _open_files() -> tuple[int | None, bool]:
    """The number of files that this process has open (None: unknown), and whether the limit is reached.

    Listing them needs a descriptor. Since Linux 6.2 the size of the folder is their number.
    """
    try:
        if size := _OPEN_FILES.stat().st_size if sys.platform == "linux" else 0:
            return size, False
        return len(os.listdir(_OPEN_FILES)), False  # noqa: PTH208  only their number is needed
    except OSError as error:
        return None, error.errno in {errno.EMFILE, errno.ENFILE}


def _machine_cpu() -> tuple[float | None, float | None]:
    """Busy and whole time of all cores, from proc_stat(5); guest time is part of user time there."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as file:
            words = file.readline().split()
        ticks = [int(word) for word in words[1:9]]
    except (OSError, ValueError):
        return None, None
    if words[:1] != ["cpu"] or len(ticks) < 4:
        return None, None
    second = os.sysconf("SC_CLK_TCK")
    idle = sum(ticks[3:5])
    return (sum(ticks) - idle) / second, sum(ticks) / second


def _throttled() -> float | None:
    """How long the CPU limit of our control group has held it; in nanoseconds in the first version's file."""
    for path in _CPU_STAT_FILES:
        try:
            lines = dict(line.split() for line in path.read_text("ascii").splitlines())
        except (OSError, ValueError):
            continue
        if "throttled_usec" in lines:
            return int(lines["throttled_usec"]) / 1e6
        if "throttled_time" in lines:
            return int(lines["throttled_time"]) / 1e9
    return None


def _memory_available() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text("ascii")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
