"""Memory of a run in flight: one scenario that keeps 10,000 of them.

The scenario is complete, from its thread to its observer; the emulator's runs do not end during the measurement.
The figure is the resident memory once every run is created and has been polled, less that with few runs, which is
the program's own; each is measured in a separate process.

Usage: python -m benchmarks.in_flight [--runs N] [--profile]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from benchmarks.observer import LASTING
from benchmarks.processes import emulator, pin, say_surroundings, two_cpus

FEW = 200
#: After all are created, the observer polls each of them several times.
SETTLE_SECONDS = 6.0
GIVE_UP_SECONDS = 300.0


def hold(url: str, runs: int, *, profile: bool) -> dict[str, int]:
    """Hold this many runs in flight; return the resident memory then, and its maximum."""
    from kfp_perf.config import TestConfig
    from kfp_perf.engine import ScenarioWork, ThreadEngine
    from kfp_perf.pacing import RealClock
    from kfp_perf.scenario.model import TestScenario

    if profile:
        tracemalloc.start(12)
    scenario = TestScenario.model_validate(
        {
            "name": "holds",
            "mode": "PIPELINE_RUN",
            "runTime": "1h",
            "numTimes": runs,
            "pipelineFileName": "hello.yaml",
        }
    )
    clock = RealClock()
    engine = ThreadEngine(clock.now)
    folder = Path(tempfile.mkdtemp()) / "holds"
    engine.start([ScenarioWork(scenario, TestConfig(KFP_API_HOST=url), folder, clock.anchor)])
    until = time.monotonic() + GIVE_UP_SECONDS
    while (created := engine.counters()["holds"].answered) < runs:
        if time.monotonic() > until:
            raise SystemExit(f"only {created} runs were created")
        time.sleep(0.1)
    time.sleep(SETTLE_SECONDS)
    if profile:
        _show(tracemalloc.take_snapshot(), runs)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {key: int(status[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM")}


def _show(snapshot: tracemalloc.Snapshot, runs: int) -> None:
    """Print which lines of code the memory was taken in."""
    for entry in snapshot.statistics("lineno")[:25]:
        frame = entry.traceback[0]
        place = f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"
        print(
            f"  {entry.size / runs:8.0f} B/run  {entry.count / runs:6.1f} objects/run  {place}",
            file=sys.stderr,
        )


def held(
    profile_path: Path, runs: int, cpus: tuple[int | None, int | None], *, profile: bool
) -> dict[str, int]:
    """The figures for this many runs, from a separate process against a separate emulator."""
    with emulator(str(profile_path), cpu=cpus[1]) as emulated:
        command = [sys.executable, "-m", "benchmarks.in_flight", "--hold", emulated.url, "--runs", str(runs)]
        process = subprocess.Popen([*command, *(["--profile"] if profile else [])], stdout=subprocess.PIPE)
        pin(process.pid, cpus[0])
        out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"holding {runs} runs failed")
        figures: dict[str, int] = json.loads(out)
        return figures


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument(
        "--profile", action="store_true", help="show where the memory was taken, on standard error"
    )
    parser.add_argument("--hold", metavar="URL", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.hold:
        print(json.dumps(hold(given.hold, given.runs, profile=given.profile)), flush=True)
        # The scenario's thread would wait for its runs.
        os._exit(0)
    cpus = two_cpus()
    say_surroundings(f"the scenario on CPU {cpus[0]}", f"emulator on CPU {cpus[1]}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lasting.json"
        path.write_text(json.dumps(LASTING))
        few = held(path, FEW, cpus, profile=False)
        many = held(path, given.runs, cpus, profile=given.profile)
    more = given.runs - FEW
    for name, figures in ((f"{FEW} runs in flight", few), (f"{given.runs:,} runs in flight", many)):
        print(
            f"  {name:<24} resident {figures['VmRSS'] / 1e6:7.1f} MB, at most {figures['VmHWM'] / 1e6:7.1f} MB"
        )
    per_run = (many["VmRSS"] - few["VmRSS"]) / more
    peak = (many["VmHWM"] - few["VmHWM"]) / more
    print(f"  a run: {per_run / 1e3:.1f} KB resident, {peak / 1e3:.1f} KB at the peak, which is the creation")
    print(
        json.dumps({"runs": given.runs, "bytes_per_run": round(per_run), "peak_bytes_per_run": round(peak)})
    )


if __name__ == "__main__":
    main()
