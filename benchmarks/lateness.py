"""Lateness of requests that are due at a constant rate: kfp-perf's, and Locust's with constant throughput.

kfp-perf runs completely: `Drive` in the open model and `RestClient` in one thread, a second scenario that observes
runs on the emulator in another, the display drawn on a (pseudo) terminal, the execution's checks, and the collector
of evidence, which scrapes the emulator and follows its pods, in a process of its own. The load goes
to a static server. Locust's users send the same requests with FastHttpUser and `constant_throughput`; its lateness
is counted from its own schedule, which restarts after each task, so that a late start delays all that follow. Both
take turns, round by round.

Needs the extra `bench`. Usage: python -m benchmarks.lateness [--rounds N] [--seconds N] [--rate N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import emulator, say_surroundings, spread, static_server, two_cpus
from benchmarks.static_server import RUN_ID

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample

#: Connections are opened, and code is warmed up, in the first seconds.
WARM_UP_SECONDS = 1.0
LOCUST_USERS = 50
QUANTILES = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}


def quantiles(lateness_seconds: list[float]) -> dict[str, float]:
    """The figures of a round, in milliseconds."""
    ordered = sorted(lateness_seconds)
    last = len(ordered) - 1
    return {
        "requests": len(ordered),
        **{key: 1e3 * ordered[min(last, int(share * len(ordered)))] for key, share in QUANTILES.items()},
    }


def ours(port: int, emulator_url: str, kubernetes_url: str, rate: float, seconds: float) -> dict[str, float]:
    """Be kfp-perf for a round."""
    from kfp_perf.config import TestConfig
    from kfp_perf.engine import ScenarioWork, ThreadEngine
    from kfp_perf.engine.worker import new_event_loop  # type: ignore[attr-defined]
    from kfp_perf.evidence.process import EvidenceProcess
    from kfp_perf.execution.snapshots import SnapshotMaker
    from kfp_perf.health import GeneratorWatch
    from kfp_perf.live import open_display
    from kfp_perf.log import Logger
    from kfp_perf.pacing import RealClock
    from kfp_perf.plan import make_plan
    from kfp_perf.scenario.model import TestScenario

    folder = Path(tempfile.mkdtemp(prefix="kfp-perf-lateness-"))
    follower: dict[str, Any] = {
        "name": "follows",
        "mode": "PIPELINE_RUN",
        "runTime": f"{seconds}s",
        "numTimes": 20,
        "pollInterval": "500ms",
        "gracePeriod": "1s",
        "pipelineFileName": "hello.yaml",
    }
    (folder / "t.json").write_text(json.dumps([follower]))
    config = TestConfig(
        KFP_API_HOST=emulator_url,
        results_folder=folder,
        keep="all",
        evidence=True,
        kubernetes_url=kubernetes_url or None,
    )
    plan = make_plan(str(folder / "t.json"), config)
    lateness: list[float] = []
    clock = RealClock()
    work = ScenarioWork(TestScenario.model_validate(follower), config, folder / "follows", clock.anchor)
    load = threading.Thread(
        target=lambda: asyncio.Runner(loop_factory=new_event_loop).run(
            paced_gets(port, rate, seconds, lateness)
        )
    )
    with Logger("WARNING") as logger:
        display = open_display(logger, quiet=False)
        snapshots = SnapshotMaker(plan, config.KFP_url, clock, emulator=True)
        with (
            EvidenceProcess(config, folder / "evidence", clock.anchor) as evidence,
            GeneratorWatch(folder) as generator,
            ThreadEngine(clock.now) as engine,
        ):
            engine.start([work])
            load.start()
            while load.is_alive():
                load.join(0.25)
                counters = engine.counters()
                evidence.look()
                snapshots.make(counters, engine.t0, evidence=evidence.live, stopping=False)
                generator.look(counters)
                display.update(snapshots.snapshot)
            display.close()
    followed = sum(engine.counters()["follows"].outcomes.values())
    return {**quantiles(lateness), "followed": followed}


async def paced_gets(port: int, rate: float, seconds: float, lateness: list[float]) -> None:
    """Send GetRun in the open model, and record the lateness of each."""
    from kfp_perf.client import RestClient
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import Drive, RealClock, StopSignal
    from kfp_perf.scenario.workload import EvenArrivals

    clock = RealClock()
    start = clock.now() + 0.1
    counted_from = start + WARM_UP_SECONDS

    def record(sample: Sample) -> None:
        if sample.due >= counted_from and (late := sample.lateness_seconds) is not None:
            lateness.append(late)

    client = RestClient(TestConfig(KFP_API_HOST="127.0.0.1", KFP_API_PORT=port), clock, record)

    async def get(_index: int, due: float) -> bool:
        await client.get_run(RUN_ID, due=due)
        return True

    drive = Drive(
        EvenArrivals(round(rate * seconds), 1 / rate),
        get,
        clock=clock,
        stop=StopSignal(),
        start=start,
        end=start + seconds,
    )
    await drive.run()
    await drive.finish()
    await client.aclose()


def locust(port: int, rate: float, seconds: float) -> dict[str, float]:
    """Be Locust for a round."""
    import gevent
    from locust import FastHttpUser, constant_throughput, task
    from locust.env import Environment

    lateness: list[float] = []
    counted_from = time.perf_counter() + WARM_UP_SECONDS
    interval = LOCUST_USERS / rate

    class Reader(FastHttpUser):  # type: ignore[misc]
        host = f"http://127.0.0.1:{port}"
        wait_time = constant_throughput(1 / interval)
        before: float | None = None

        @task  # type: ignore[untyped-decorator, unused-ignore]
        def get(self) -> None:
            now = time.perf_counter()
            if self.before is not None and now >= counted_from:
                lateness.append(now - (self.before + interval))
            self.before = now
            self.client.get(f"/apis/v2beta1/runs/{RUN_ID}", name="GetRun")

    environment = Environment(user_classes=[Reader])
    runner = environment.create_local_runner()
    runner.start(LOCUST_USERS, spawn_rate=LOCUST_USERS * 2)
    gevent.sleep(seconds)
    runner.quit()
    return quantiles([max(0.0, late) for late in lateness])


def round_of(role: str, arguments: list[str]) -> dict[str, float]:
    """Run a round in a separate process, whose standard error is a terminal."""
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.lateness", "--role", role, *arguments],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown: list[bytes] = []
    reading = threading.Thread(target=_drain, args=(terminal, shown), daemon=True)
    reading.start()
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    if process.wait() or not lines:
        raise SystemExit(f"{role} failed: {b''.join(shown)[-3000:].decode(errors='replace')}")
    reading.join(2)
    os.close(terminal)
    figures: dict[str, float] = json.loads(lines[-1])
    figures["drawn_bytes"] = sum(map(len, shown))
    return figures


def _drain(terminal: int, shown: list[bytes]) -> None:
    try:
        while block := os.read(terminal, 65536):
            shown.append(block)
    except OSError:  # the other side is closed
        return


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="a round")
    parser.add_argument("--rate", type=float, default=1000.0, help="requests a second")
    parser.add_argument("--role", choices=("ours", "locust"), help=argparse.SUPPRESS)
    parser.add_argument("places", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "ours":
        port, url, kubernetes_url = given.places
        print(json.dumps(ours(int(port), url, kubernetes_url, given.rate, given.seconds)))
        return
    if given.role == "locust":
        print(json.dumps(locust(int(given.places[0]), given.rate, given.seconds)))
        return
    _, server_cpu = two_cpus()
    say_surroundings(f"the server and the emulator on CPU {server_cpu}", "generators and display not pinned")
    rounds: dict[str, list[dict[str, float]]] = {"ours": [], "locust": []}
    options = ["--rate", str(given.rate), "--seconds", str(given.seconds)]
    with static_server(server_cpu) as port, emulator("fast", cpu=server_cpu) as emulated:
        for _ in range(given.rounds):
            rounds["ours"].append(
                round_of("ours", [*options, str(port), emulated.url, emulated.kubernetes_url or ""])
            )
            rounds["locust"].append(round_of("locust", [*options, str(port)]))
    print(
        f"lateness at {given.rate:g} requests/s in ms, "
        f"median of {given.rounds} rounds of {given.seconds:g} s and extremes; "
        f"beside ours {rounds['ours'][-1]['followed']:.0f} runs a round were followed, and "
        f"{rounds['ours'][-1]['drawn_bytes'] / 1e3:.0f} KB drawn"
    )
    result: dict[str, float] = {}
    for name, prefix in (("ours", ""), ("locust", "locust_")):
        sent = statistics.median(one["requests"] for one in rounds[name])
        print(f"  {name:<7} {sent:8.0f} requests a round", end="")
        for key in QUANTILES:
            values = [one[key] for one in rounds[name]]
            result[prefix + key] = round(statistics.median(values), 3)
            print(f"  {key.removesuffix('_ms')} {spread(values)}", end="")
        print()
    result.pop("locust_max_ms")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
