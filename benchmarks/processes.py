"""The processes of a benchmark, pinned to separate CPUs, and a description of the machine's load."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kfp_perf.execution import EmulatorProcess


def two_cpus() -> tuple[int | None, int | None]:
    """The CPUs of the measured process and of the server; None where they cannot be separated."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (cpus[0], cpus[-1]) if len(cpus) > 1 else (None, None)


def pin(pid: int, cpu: int | None) -> None:
    """Keep a process, 0 for this one, on one CPU."""
    if cpu is not None:
        os.sched_setaffinity(pid, {cpu})


def say_surroundings(*pinned: str) -> None:
    """Print the pinning, and how busy the machine is."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"{'; '.join(pinned) or 'nothing is pinned'}; load average {load} on {os.cpu_count()} CPUs")


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The median of some rounds, and their extremes."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


@contextlib.contextmanager
def static_server(cpu: int | None) -> Iterator[int]:
    """A server that gives the same run to every request; yields its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.static_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pin(process.pid, cpu)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def emulator(profile: str, *options: str, cpu: int | None = None, seed: int = 0) -> Iterator[EmulatorProcess]:
    """The emulator in a separate process."""
    from kfp_perf.execution import EmulatorProcess

    with EmulatorProcess(profile, seed, options) as process:
        pin(process.pid, cpu)
        yield process


def cpu_seconds_of(pid: int) -> float:
    """CPU time of another process so far; 0 where the system does not provide it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
