"""Errors of measured durations and phases of runs, in real time, and their stated bounds.

Emulators in separate processes, with and without faults, their clocks 3 s ahead or behind and their reports 30 s
late, run random pipelines (`fast`) and a small one (`kfp-2.17`). Scenarios of kfp-perf create and follow the runs.
Their measurements are compared with the true times of the modelled cluster, in microseconds.

Bounds are worst cases of whole seconds, so those of phases that are sums of many spans are wider than usual errors;
tests/truth/test_measured_runs.py explains why.

Usage: python -m benchmarks.truth [--seconds N] [--per-minute N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import say_surroundings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.result.records import RunRecord

LAG_SECONDS = 30
CLOCK_OFF_SECONDS = 3.0
RANDOM_PIPELINES = 4
FAULTS: list[dict[str, Any]] = [
    {
        "operation": "CreateRun",
        "share": 0.3,
        "effect": {
            "kind": "latency",
            "delay": {"distribution": "uniform", "seconds": 0.2, "spread": 0.2},
        },
    },
    {"operation": "CreateRun", "share": 0.05, "effect": {"kind": "reset", "when": "after"}},
    {"operation": "ListRuns", "share": 0.1, "effect": {"kind": "status", "status": 503}},
    {"operation": "GetRun", "share": 0.1, "effect": {"kind": "reset"}},
    {"share": 0.1, "effect": {"kind": "failed_pods"}},
    {"share": 0.2, "effect": {"kind": "failed_pods", "attempts": 1}},
]


async def serve(profile: str, seed: int, clock_off: float, faults: str) -> None:
    """Be an emulator until standard input has a line; then print the truth of all runs that have ended."""
    from compared import Witness, truth_of

    from kfp_emulator.cluster.timing import PROFILES, parse_profile
    from kfp_emulator.http.server import Server, open_socket
    from kfp_emulator.options import Options, build
    from kfp_emulator.server.faults import read_rules

    timing = json.loads((PROFILES / f"{profile}.json").read_text())
    options = Options(
        parse_profile(profile, {**timing, "report_delay_seconds": LAG_SECONDS}),
        seed=seed,
        clock_offset_seconds=clock_off,
        faults=tuple(read_rules(faults)),
        cache_entries=True,
        retry_nodes=clock_off > 0,
    )
    backend = build(options)
    witness = Witness(backend)
    server = Server(backend, open_socket("127.0.0.1", 0))
    await server.start()
    print(server.url, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    _, events = backend.truth.read(0, 10**6)
    runs = {
        run_id: {"created": true.created, "finished": true.finished, "phases": true.phases()}
        for run_id, true in truth_of(events, witness.last).items()
    }
    print(json.dumps(runs), flush=True)
    await server.stop()


class Served:
    """An emulator in a separate process."""

    def __init__(self, profile: str, seed: int, clock_off: float, faults: list[dict[str, Any]]) -> None:
        self.profile = profile
        arguments = ["--serve", profile, str(seed), str(clock_off), json.dumps(faults)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.truth", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def events(self) -> dict[str, dict[str, float]]:
        """The true times of each run by event, in seconds, from the emulator's own API."""
        with urllib.request.urlopen(f"{self.url}/emulator/v1/truth") as answer:
            told: dict[str, dict[str, float]] = {}
            for line in answer:
                event = json.loads(line)
                if "task" not in event:
                    told.setdefault(event["run_id"], {})[event["what"]] = event["at_us"] / 1e6
            return told

    def end(self) -> dict[str, Any]:
        """End it; return the truth by run."""
        out, _ = self._process.communicate("\n")
        truth: dict[str, Any] = json.loads(out)
        return truth


@contextlib.contextmanager
def emulators() -> Iterator[list[Served]]:
    """Both profiles, with faults and without. Their seeds, and so the ids of their runs, are their own."""
    kinds = [
        (profile, clock_off, faults)
        for profile in ("fast", "kfp-2.17")
        for clock_off, faults in ((CLOCK_OFF_SECONDS, []), (-CLOCK_OFF_SECONDS, FAULTS))
    ]
    served = [Served(profile, seed, off, faults) for seed, (profile, off, faults) in enumerate(kinds)]
    try:
        yield served
    finally:
        for each in served:
            with contextlib.suppress(ValueError, OSError):
                each.end()


async def measure(url: str, folder: Path, fields: dict[str, Any]) -> list[RunRecord]:
    """Run a scenario; return its runs. If none succeeded, that is printed, and the others continue."""
    from kfp_perf.config import TestConfig
    from kfp_perf.errors import RunnerError
    from kfp_perf.metrics.recorder import Recorder
    from kfp_perf.pacing import RealClock
    from kfp_perf.runners.pipeline import PipelineRunner
    from kfp_perf.scenario.model import TestScenario

    records: list[RunRecord] = []

    class KeepingRecorder(Recorder):
        def run(self, record: RunRecord) -> None:
            records.append(record)

    clock = RealClock()
    runner = PipelineRunner(
        TestScenario.model_validate({"mode": "PIPELINE_RUN", "cacheEnabled": None, **fields}),
        config=TestConfig(KFP_API_HOST=url, pipeline_folders=(folder,)),
        clock=clock,
        recorder=KeepingRecorder(),
    )
    try:
        await runner.prepare()
        runner.t0 = clock.now()
        runner.calculate_timing()
        await runner.run()
    except RunnerError as error:
        print(error)
    finally:
        await runner.client.aclose()
    return records


async def measure_all(
    served: list[Served], folder: Path, seconds: float, per_minute: float
) -> list[tuple[Served, RunRecord]]:
    """Play all scenarios at once."""
    import yaml
    from random_pipelines import random_pipeline

    for seed in range(RANDOM_PIPELINES):
        (folder / f"random-{seed}.yaml").write_text(yaml.safe_dump_all(random_pipeline(seed)))
    common = {"pollInterval": "1s", "arrivals": "poisson"}
    plays: list[tuple[Served, dict[str, Any]]] = []
    for each in served:
        if each.profile == "fast":
            for seed in range(RANDOM_PIPELINES):
                fields = {
                    "name": f"random-{seed}",
                    "pipelineFileName": f"random-{seed}.yaml",
                    "runTime": f"{seconds}s",
                    "arrivalRate": f"{per_minute}/min",
                    "gracePeriod": "1 min",
                    "seed": seed,
                }
                plays.append((each, {**common, **fields}))
        else:
            fields = {
                "name": "small",
                "pipelineFileName": "hello.yaml",
                "runTime": f"{seconds / 3}s",
                "arrivalRate": "60/min",
                "gracePeriod": f"{seconds + 10}s",
                "seed": 0,
            }
            plays.append((each, {**common, **fields}))
    records = await asyncio.gather(*(measure(each.url, folder, fields) for each, fields in plays))
    return [(each, record) for (each, _), some in zip(plays, records, strict=True) for record in some]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long runs are created")
    parser.add_argument("--per-minute", type=float, default=66.0, help="runs of each random pipeline")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        profile, seed, clock_off, faults = given.serve
        asyncio.run(serve(profile, int(seed), float(clock_off), faults))
        return
    from compared import Comparison

    say_surroundings()
    began = time.monotonic()
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as folder, emulators() as served:
        measured = asyncio.run(measure_all(served, Path(folder), given.seconds, given.per_minute))
        events = {run_id: told for each in served for run_id, told in each.events().items()}
        truth = {run_id: true for each in served for run_id, true in each.end().items()}
    for _, record in measured:
        true = truth.get(record.run_id)
        if true is None or record.seen_finished is None:
            continue
        told = events[record.run_id]
        if (told["created"], told["run_finished"]) != (true["created"], true["finished"]):
            raise SystemExit(
                f"the emulator states two different times for the run {record.run_id}: {told}, {true}"
            )
        comparison.add(
            record,
            {
                "duration": told["run_finished"] - told["created"],
                "submit": told["created"] - record.due,
                **true["phases"],
            },
        )
    print(
        f"{comparison.runs} runs that ended, of {len(measured)}, in {time.monotonic() - began:.0f} s; "
        f"clocks {CLOCK_OFF_SECONDS:g} s off, reports {LAG_SECONDS} s late"
    )
    print(comparison.table())
    for run_id, what in comparison.outside.items():
        print(f"  beyond its bound: {run_id}: {', '.join(what)}")
    print(
        json.dumps(
            {
                "runs": comparison.runs,
                "in_bound_share": round(comparison.in_bound_share, 4),
                "bound_to_p99_error": round(comparison.measures["duration"].ratio, 2),
                "bound_to_p99_error_by_measure": {
                    name: round(each.ratio, 2) for name, each in comparison.measures.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
