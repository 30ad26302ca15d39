"""Growth of memory: none with the number of operations, and a few bytes per run.

Operations: five of them for two purposes at 1,000 operations a second, with latencies from below a millisecond to a
minute and some failures, go through a recorder with its files. Runs: records with all their phases go through the
families of metrics. The resident memory after a tenth is compared with that after all; for runs also with that
needed to compute their figures, and for operations the time to compute the figures from the files is measured. Each
is measured in a separate process.

Usage: python -m benchmarks.memory [--samples N] [--runs N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.processes import say_surroundings

STARTED = 1_790_000_000.0
PER_SECOND = 1000
AT_ONCE = 10_000
#: The share that is warm-up: the first tenth.
WARM_UP_SHARE = 0.1


def resident(key: str = "VmRSS") -> int:
    """What this process has in memory now, or had at most (`VmHWM`), in bytes."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[key].split()[0]) * 1024


def operations(count: int) -> dict[str, float]:
    """Record this many operations; return the resident memory after the warm-up and at the end, and times."""
    from kfp_perf.metrics import Recorder
    from kfp_perf.metrics.figures import figures_of
    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import Attempt, CallOutcome, Purpose, Sample
    from kfp_perf.result.scenario_writer import ScenarioWriter

    random = np.random.default_rng(1)
    kinds = [
        (name, purpose)
        for name in ("GetRun", "ListRuns", "CreateRun", "GetPipeline", "ListPipelines")
        for purpose in (Purpose.LOAD, Purpose.OBSERVE)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        writer = ScenarioWriter(folder, STARTED)
        recorder = Recorder(writer)
        warm, begin = 0, time.perf_counter()
        for done in range(0, count, AT_ONCE):
            latencies = np.minimum(random.lognormal(-5.0, 2.0, AT_ONCE), 60.0).tolist()
            failed = (random.random(AT_ONCE) < 0.01).tolist()
            for place, (latency, bad) in enumerate(zip(latencies, failed, strict=True), done):
                # In the order in which they end, as in a test.
                ended = STARTED + place / PER_SECOND
                due = ended - latency
                name, purpose = kinds[place % len(kinds)]
                status, error = (503, "503") if bad else (200, "")
                outcome = CallOutcome.FAILED if bad else CallOutcome.ANSWERED
                attempts = (Attempt(due + 1e-4, ended, status, error),)
                recorder.sample(Sample(name, due, ended, attempts, outcome, purpose))
            if not warm and done + AT_ONCE >= count * WARM_UP_SHARE:
                warm = resident()
        seconds = time.perf_counter() - begin
        writer.close()
        end = resident()
        written = sum(path.stat().st_size for path in folder.iterdir())
        begin = time.perf_counter()
        figures_of([ScenarioFiles(folder, "s")])
        figures_seconds = time.perf_counter() - begin
    return {
        "warm": warm,
        "end": end,
        "us": seconds / count * 1e6,
        "written": written,
        "seconds": figures_seconds,
    }


def runs(count: int) -> dict[str, float]:
    """Record this many runs; return the resident memory after the warm-up, at the end, and with the figures."""
    from kfp_perf.metrics import METRICS
    from kfp_perf.observe.phases import PHASES
    from kfp_perf.result.records import Outcome, RunRecord

    # What making figures imports is no part of what runs cost.
    import scipy.stats  # noqa: F401  isort: skip

    random = np.random.default_rng(1)
    families = [family() for family in METRICS.values()]
    warm = 0
    for place in range(count):
        due, duration = STARTED + place * 0.1, 30.0 * random.lognormal(0.0, 0.5)
        phases = {name: duration / len(PHASES) for name in PHASES}
        record = RunRecord(
            scenario="s",
            name=f"kfp-perf-s-{place}",
            run_id=f"00000000-0000-4000-8000-{place:012d}",
            outcome=Outcome.SUCCEEDED,
            due=due,
            sent=due,
            ended=due + 0.1,
            duration_seconds=duration,
            duration_error_seconds=1.0,
            seen_finished=due + duration + 1.0,
            phases=phases,
            phase_errors=dict.fromkeys(phases, 1.0),
        )
        for family in families:
            family.on_run(record)
        if place + 1 == int(count * WARM_UP_SHARE):
            warm = resident()
    end = resident()
    begin = time.perf_counter()
    for family in families:
        family.result()
    return {"warm": warm, "end": end, "seconds": time.perf_counter() - begin, "peak": resident("VmHWM")}


def measured(role: str, count: int) -> dict[str, float]:
    """The figures of a role, from a separate process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--role", role, "--count", str(count)]
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(process.stdout)
    return figures


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=500_000)
    parser.add_argument("--role", choices=("operations", "runs"), help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        print(json.dumps((operations if given.role == "operations" else runs)(given.count)))
        return
    say_surroundings()
    asked = measured("operations", given.samples)
    growth = asked["end"] - asked["warm"]
    print(
        f"  {given.samples:,} operations, {1 / WARM_UP_SHARE:.0f} times those of the warm-up: "
        f"{asked['warm'] / 1e6:.1f} MB, then {asked['end'] / 1e6:.1f} MB resident "
        f"({asked['end'] / asked['warm']:.3f} times as much, {growth / given.samples:.3f} bytes an operation); "
        f"{asked['us']:.2f} us an operation, {asked['written'] / given.samples:.1f} bytes on disk; "
        f"making the figures from the files takes {asked['seconds']:.1f} s"
    )
    ran = measured("runs", given.runs)
    per_run = (ran["end"] - ran["warm"]) / (given.runs * (1 - WARM_UP_SHARE))
    peak = (ran["peak"] - ran["end"]) / given.runs
    print(
        f"  {given.runs:,} runs, {1 / WARM_UP_SHARE:.0f} times those of the warm-up: "
        f"{ran['warm'] / 1e6:.1f} MB, then {ran['end'] / 1e6:.1f} MB resident "
        f"({ran['end'] / ran['warm']:.3f} times as much, {per_run:.0f} bytes a run); "
        f"making the figures takes {ran['seconds']:.1f} s and {peak:.0f} bytes a run more, once at the end"
    )
    print(
        json.dumps(
            {
                "samples": given.samples,
                "growth_mb": round(growth / 1e6, 2),
                "growth_ratio": round(asked["end"] / asked["warm"], 4),
                "us_per_sample": round(asked["us"], 2),
                "runs": given.runs,
                "bytes_per_run": round(per_run, 1),
                "figures_seconds": round(ran["seconds"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
