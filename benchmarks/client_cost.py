"""CPU time of one GetRun with its answer decoded, for kfp-perf's client and for others.

One server process answers all; each client runs in a separate process, and they take turns, round by round, so that
other load on the machine affects all of them. CPU time (user and system) is compared, since wall time would measure
the machine. Clients that can have several requests in flight have as many as a load generator would; requests and
kfp.Client make one after the other, since threads would only cost them more.

Needs the extra `bench`. Usage: python benchmarks/client_cost.py [--rounds N] [--requests N]
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.records import Sample

IN_FLIGHT = 8
RUN_ID = "8e1c4f6a-52a7-4f0f-9a35-0d6a5ad5c0de"
PATH = f"/apis/v2beta1/runs/{RUN_ID}"
CONTENDERS = {
    "ours_us": "kfp-perf",
    "ours_recorded_us": "kfp-perf, recorded in two histograms",
    "sdk_us": "kfp.Client",
    "requests_us": "requests.Session, .json()",
    "fasthttp_us": "Locust FastHttpUser, .json()",
    "http_us": "Locust HttpUser, .json()",
}


def ours(port: int, *, recorded: bool) -> Callable[[int], None]:
    import uvloop
    from hdrh.histogram import HdrHistogram

    from kfp_perf.client import RestClient
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import RealClock

    latency, service = (HdrHistogram(1, 3_600_000_000, 3) for _ in range(2))

    def record(sample: Sample) -> None:
        latency.record_value(int(1e6 * sample.latency_seconds))
        service.record_value(int(1e6 * sample.attempts[-1].service_seconds))

    config = TestConfig(KFP_API_HOST="127.0.0.1", KFP_API_PORT=port)
    client = RestClient(config, RealClock(), record if recorded else lambda _: None)
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    async def repeat(count: int) -> None:
        for _ in range(count):
            run = await client.get_run(RUN_ID)
            assert run.is_final

    async def requests(count: int) -> None:
        await asyncio.gather(*(repeat(count // IN_FLIGHT) for _ in range(IN_FLIGHT)))

    atexit.register(lambda: runner.run(client.aclose()))
    return lambda count: runner.run(requests(count))


def sdk(port: int) -> Callable[[int], None]:
    warnings.simplefilter("ignore", FutureWarning)
    import kfp

    client = kfp.Client(host=f"http://127.0.0.1:{port}", namespace="kubeflow")

    def requests(count: int) -> None:
        for _ in range(count):
            assert client.get_run(RUN_ID).state == "SUCCEEDED"

    return requests


def plain_requests(port: int) -> Callable[[int], None]:
    import requests  # type: ignore[import-untyped]

    session = requests.Session()

    def go(count: int) -> None:
        for _ in range(count):
            assert session.get(f"http://127.0.0.1:{port}{PATH}").json()["state"] == "SUCCEEDED"

    return go


def locust(port: int, kind: str) -> Callable[[int], None]:
    import locust as framework  # patches this process for gevent
    from gevent import joinall, spawn
    from locust.env import Environment

    base: Any = getattr(framework, kind)
    user_class = type("User", (base,), {"host": f"http://127.0.0.1:{port}"})
    environment = Environment(user_classes=[user_class])
    environment.create_local_runner()
    users = [user_class(environment) for _ in range(IN_FLIGHT)]

    def repeat(user: Any, count: int) -> None:
        for _ in range(count):
            assert user.client.get(PATH).json()["state"] == "SUCCEEDED"

    return lambda count: joinall(
        [spawn(repeat, user, count // IN_FLIGHT) for user in users], raise_error=True
    )


MAKE: dict[str, Callable[[int], Callable[[int], None]]] = {
    "ours_us": lambda port: ours(port, recorded=False),
    "ours_recorded_us": lambda port: ours(port, recorded=True),
    "sdk_us": sdk,
    "requests_us": plain_requests,
    "fasthttp_us": lambda port: locust(port, "FastHttpUser"),
    "http_us": lambda port: locust(port, "HttpUser"),
}


def contend(key: str, port: int) -> None:
    """Run as a client: read numbers of requests, one a line, make these, and print the CPU seconds of each."""
    requests = MAKE[key](port)
    requests(IN_FLIGHT * 4)
    print("ready", flush=True)
    # Not an iteration over the file: gevent must not be kept from noticing.
    while line := sys.stdin.readline():
        began = time.process_time()
        requests(int(line))
        print(time.process_time() - began, flush=True)


def start(*arguments: str, cpu: int | None) -> subprocess.Popen[str]:
    """Start a process of this folder, on one CPU."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if cpu is not None:
        os.sched_setaffinity(process.pid, {cpu})
    return process


def say(process: subprocess.Popen[str], line: str | None) -> str:
    """Write a line to a process (None: nothing) and read one."""
    assert process.stdin is not None
    assert process.stdout is not None
    if line is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    answer = process.stdout.readline().strip()
    if not answer:
        raise SystemExit(f"{process.args!r} ended")
    return answer


def measure(rounds: int, count: int) -> dict[str, list[float]]:
    """Run all clients in turns; return the CPU microseconds of a request, by client and round."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    server_cpu, client_cpu = (cpus[-1], cpus[0]) if len(cpus) > 1 else (None, None)
    print(f"server on CPU {server_cpu}, clients on CPU {client_cpu}; load average {os.getloadavg()[0]:.2f}")
    here = Path(__file__)
    server = start(str(here.with_name("static_server.py")), cpu=server_cpu)
    contenders: dict[str, subprocess.Popen[str]] = {}
    took: dict[str, list[float]] = {key: [] for key in CONTENDERS}
    try:
        port = say(server, None)
        for key in CONTENDERS:
            contenders[key] = start(str(here), "--contender", key, port, cpu=client_cpu)
            say(contenders[key], None)
        for number in range(rounds + 1):
            for key, process in contenders.items():
                microseconds = 1e6 * float(say(process, str(count))) / count
                if number:  # the first round warms up
                    took[key].append(microseconds)
    finally:
        for process in (*contenders.values(), server):
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--requests", type=int, default=800, help="a round and contender")
    parser.add_argument("--contender", nargs=2, metavar=("KEY", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender is not None:
        contend(given.contender[0], int(given.contender[1]))
        return
    took = measure(given.rounds, given.requests // IN_FLIGHT * IN_FLIGHT)
    medians = {key: round(statistics.median(values), 1) for key, values in took.items()}
    print(f"CPU time of a GetRun, decoded; {given.rounds} rounds of {given.requests} requests, interleaved")
    for key, name in CONTENDERS.items():
        low, high = min(took[key]), max(took[key])
        ratio = medians[key] / medians["ours_us"]
        print(f"  {name:38} {medians[key]:8.1f} us  ({low:.1f} - {high:.1f})  {ratio:5.1f} x ours")
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
