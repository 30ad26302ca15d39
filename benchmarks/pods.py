"""Pods by the Kubernetes API: held against the truth, and what following them costs the collector's process.

The first part follows the pods of one-task runs on the emulator in virtual time, at 72 runs a minute on the times
of KFP 2.17, and compares each stage of each pod with what really happened: undisturbed, with every watch cut after
a second, and with its history lost every 20 seconds.

The second part records what a run's pods and events look like to a watch, and has a server of its own process send
the same for many runs, as fast as `--rates` says, to a collector as it runs beside a test. 1,000 runs in flight
that take 10 minutes each are 100 runs a minute, the most that a KFP 2.17 with its default throttles completes.

Usage: python -m benchmarks.pods [--runs N] [--seconds N] [--rates RUNS_A_MINUTE ...]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.processes import cpu_seconds_of, emulator, say_surroundings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

FAULTS: dict[str, list[dict[str, Any]]] = {
    "undisturbed": [],
    "cut every second": [
        {"target": "kubernetes", "effect": {"kind": "cut_watch", "seconds": 1.0, "reset": True}}
    ],
    "history lost every 20 s": [
        {"target": "kubernetes", "effect": {"kind": "expire_watch", "seconds": 20.0}}
    ],
}
RECORDED_RUNS = 3
#: Until the collector's imports and first looks are over.
SETTLE_SECONDS = 4.0
NAMESPACE = "/api/v1/namespaces/kubeflow"


def held_against_the_truth(runs: int, faults: list[dict[str, Any]]) -> dict[str, Any]:
    """Follow the pods of so many runs, and compare their stages with the truth."""
    from watched_pods import STAGES, WatchedPods, errors_of

    from kfp_emulator.kubernetes.run_pods import RunPods
    from kfp_emulator.server.faults import read_rules

    true_pods: dict[str, Any] = {}
    created = RunPods.created

    def keep(self: RunPods, pod: Any, request: Any) -> None:
        created(self, pod, request)
        true_pods[pod.seen.name] = pod.seen

    RunPods.created = keep  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            watched = WatchedPods(Path(folder), runs, faults=tuple(read_rules(json.dumps(faults))))
            found = watched.records_of_pods
    finally:
        RunPods.created = created  # type: ignore[method-assign]
    errors: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for name, (record, *_) in found.items():
        for stage, error in errors_of(record, true_pods[name]).items():
            errors[stage].append(abs(error))
    outside = sum(error >= (0.01 if stage == "pull" else 1.0) for stage in STAGES for error in errors[stage])
    return {
        "pods": len(true_pods),
        "lost": len(true_pods.keys() - found.keys()),
        "twice": sum(len(lines) > 1 for lines in found.values()),
        "outside_their_bound": outside,
        "largest_error_seconds": {
            stage: round(max(found_errors), 4) for stage, found_errors in errors.items()
        },
    }


def recorded() -> tuple[list[tuple[float, bytes]], list[tuple[float, bytes]]]:
    """The lines that a watch shows of the pods of some runs, and of their events, each with its time in seconds."""
    import http.client
    import urllib.request

    lines: tuple[list[tuple[float, bytes]], list[tuple[float, bytes]]] = ([], [])

    def watch(url: str, path: str, into: list[tuple[float, bytes]]) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        connection.request("GET", path)
        begin = time.monotonic()
        into.extend(
            (time.monotonic() - begin, line)
            for line in connection.getresponse()
            if b'"BOOKMARK"' not in line[:40]
        )
        connection.close()

    pipeline = (Path(__file__).parents[1] / "src/kfp_perf/catalog/pipelines/hello.yaml").read_text()
    import yaml

    with emulator("fast") as emulated:
        url = emulated.kubernetes_url or ""
        watches = [
            threading.Thread(target=watch, args=(url, f"{path}watch=1&timeoutSeconds=12", into))
            for path, into in (
                (f"{NAMESPACE}/pods?labelSelector=pipeline/runid&", lines[0]),
                (
                    f"{NAMESPACE}/events?fieldSelector=reason!=Created,reason!=Started,reason!=Scheduled&",
                    lines[1],
                ),
            )
        ]
        for one in watches:
            one.start()
        for number in range(RECORDED_RUNS):
            body = {"display_name": f"r{number}", "pipeline_spec": yaml.safe_load(pipeline)}
            urllib.request.urlopen(
                urllib.request.Request(
                    f"{emulated.url}/apis/v2beta1/runs",
                    json.dumps(body).encode(),
                    {"Content-Type": "application/json"},
                )
            ).close()
        for one in watches:
            one.join()
    return lines


def serve(
    lines: tuple[list[tuple[float, bytes]], list[tuple[float, bytes]]], rate: float, tell: Connection
) -> None:
    """Serve a cluster in which `rate` runs a minute do what the recorded ones did."""
    uids = {json.loads(line)["object"]["metadata"]["uid"].encode() for _, line in lines[0]}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        parts = urlsplit(head.split(" ")[1])
        query = parse_qs(parts.query)
        with contextlib.suppress(OSError):  # the collector has ended
            await reply(writer, parts.path, query)
        writer.close()

    async def reply(writer: asyncio.StreamWriter, path: str, query: dict[str, list[str]]) -> None:
        if "watch" in query:
            is_components = query.get("labelSelector") == ["!pipeline/runid"]
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            shown = [] if is_components else lines[1] if path.endswith("events") else lines[0]
            await send(writer, shown)
        else:
            body = json.dumps(
                {"gitVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
            ).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async def send(writer: asyncio.StreamWriter, shown: list[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        if not shown:
            await asyncio.sleep(3600.0)
        # All recorded runs within the time that as many take at this rate, their order kept.
        lasts, begin = RECORDED_RUNS * 60.0 / rate, loop.time()
        for round_ in range(100_000):
            fresh = {uid: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{uid!r}{round_}")).encode() for uid in uids}
            for place, (_, line) in enumerate(shown):
                due = begin + lasts * (round_ + place / len(shown))
                await asyncio.sleep(max(0.0, due - loop.time()))
                for uid, other in fresh.items():
                    line = line.replace(uid, other)  # noqa: PLW2901  the recorded one stays
                writer.write(b"%x\r\n%s\r\n" % (len(line), line))
                await writer.drain()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def cost(
    lines: tuple[list[tuple[float, bytes]], list[tuple[float, bytes]]], rate: float, seconds: float
) -> dict[str, float]:
    """Follow such a cluster for so long; what that costs the collector's process."""
    from kfp_perf.config import TestConfig
    from kfp_perf.evidence.process import EvidenceProcess
    from kfp_perf.pacing import RealClock

    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(lines, rate, theirs), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{mine.recv()}"
    with tempfile.TemporaryDirectory() as folder:
        # Nothing answers at the API server's port: its metrics cost nothing here.
        config = TestConfig(KFP_API_HOST="http://127.0.0.1:9", evidence=True, kubernetes_url=url)
        with EvidenceProcess(config, Path(folder), RealClock().anchor) as process:
            threading.Event().wait(SETTLE_SECONDS)
            file = Path(folder) / "pods.jsonl"
            before, size = cpu_seconds_of(process.pid), file.stat().st_size if file.exists() else 0
            began = time.monotonic()
            threading.Event().wait(seconds)
            process.look()
            used, lasted = cpu_seconds_of(process.pid) - before, time.monotonic() - began
            written = (file.stat().st_size if file.exists() else 0) - size
    server.terminate()
    server.join()
    changes = rate / 60.0 / RECORDED_RUNS * sum(map(len, lines))
    return {
        "runs_a_minute": rate,
        "changes_a_second": round(changes, 1),
        "cpu_share": round(used / lasted, 5),
        "us_a_change": round(used / lasted / changes * 1e6, 1),
        "mb_an_hour": round(written / lasted * 3600.0 / 1e6, 2),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=500, help="runs that are held against the truth")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each rate")
    parser.add_argument("--rates", type=float, nargs="+", default=[100.0, 400.0], help="runs a minute")
    given = parser.parse_args()
    say_surroundings()
    truth = {}
    for name, faults in FAULTS.items():
        found = truth[name] = held_against_the_truth(given.runs, faults)
        largest = ", ".join(
            f"{stage} {error:.3f} s" for stage, error in found["largest_error_seconds"].items()
        )
        print(
            f"{name}: {found['pods']:,} pods, {found['lost']} lost, {found['twice']} twice, "
            f"{found['outside_their_bound']} stages outside their bound; largest errors: {largest}"
        )
    lines = recorded()
    sizes = [sum(len(line) for _, line in one) / len(one) / 1e3 for one in lines]
    print(f"a change of a pod is {sizes[0]:.1f} KB, an event {sizes[1]:.1f} KB")
    costs = [cost(lines, rate, given.seconds) for rate in given.rates]
    for one in costs:
        print(
            f"{one['runs_a_minute']:.0f} runs a minute, {one['changes_a_second']:.0f} changes a second: "
            f"{one['cpu_share'] * 100:.2f} % of a core, {one['us_a_change']:.0f} us a change, "
            f"{one['mb_an_hour']:.1f} MB of pods an hour"
        )
    print(json.dumps({"truth": truth, "cost": costs}))


if __name__ == "__main__":
    main()
