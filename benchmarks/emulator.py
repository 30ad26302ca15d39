"""Speed of the emulator: GetRun, CreateRun, a ListRuns page of 200 and lists of pods, beside a static answer.

The rates are requests per second of the *server's CPU time*, so they are those of one core, whatever else the
machine does; a static answer by the same HTTP server is the base. Each figure is the median of several rounds, and
their spread is printed. The last line is one JSON object.

Usage: python -m benchmarks.emulator [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import select
import socket
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTIONS = 16
ROUNDS = 5
REQUESTS = {
    "static": 20_000,
    "get_run": 20_000,
    "create_run": 3_000,
    "without_pods": 3_000,
    "list_page": 500,
    "list_pods": 100,
}
PODS_LISTED = 50
V2 = "/apis/v2beta1"
PIPELINE = {
    "pipelineInfo": {"name": "small"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "root": {
        "dag": {
            "tasks": {
                "say": {
                    "taskInfo": {"name": "say"},
                    "componentRef": {"name": "comp-say"},
                    "cachingOptions": {},
                }
            }
        }
    },
    "components": {"comp-say": {"executorLabel": "exec-say"}},
    "deploymentSpec": {
        "executors": {"exec-say": {"container": {"image": "python:3.11", "command": ["true"]}}}
    },
}


class Load:
    """Keeps one request outstanding on each of a few connections: plain sockets, so that the client stays light."""

    def __init__(self, port: int, connections: int = CONNECTIONS) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, count: int, request: Callable[[int], bytes]) -> bytes:
        """Send `count` requests, and return the last answer's body."""
        poll = select.epoll() if hasattr(select, "epoll") else None
        assert poll is not None, "this benchmark needs Linux"
        by_number = {each.fileno(): each for each in self._sockets}
        buffers = dict.fromkeys(by_number, b"")
        sent = received = 0
        body = b""
        for number, each in by_number.items():
            poll.register(number, select.EPOLLIN)
            each.sendall(request(sent))
            sent += 1
        while received < sent:
            for number, _ in poll.poll():
                buffers[number] += by_number[number].recv(1 << 20)
                done = _complete(buffers[number])
                if done is None:
                    continue
                body, buffers[number] = done, b""
                received += 1
                if sent < count:
                    by_number[number].sendall(request(sent))
                    sent += 1
        poll.close()
        return body

    def close(self) -> None:
        """Close the connections."""
        for each in self._sockets:
            each.close()


def _complete(data: bytes) -> bytes | None:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    if data[9:12] != b"200":
        raise SystemExit(f"the server answered {data[:400]!r}")
    found = re.search(rb"content-length: (\d+)", data[:end])
    body = data[end + 4 :]
    if found is None:
        return _unchunked(body) if body.endswith(b"0\r\n\r\n") else None
    return body if len(body) >= int(found[1]) else None


def _unchunked(data: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        parts.append(data[:length])
        data = data[length + 2 :]


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """Write one HTTP request."""
    return (f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, user and system."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Served(NamedTuple):
    """A server process, its port, and that of its Kubernetes API."""

    pid: int
    port: int
    kubernetes: int = 0


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[Served]:
    """Run a server process."""
    process = subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        ports = [int(ready[name].rsplit(":", 1)[1]) for name in ("url", "kubernetes_url") if name in ready]
        yield Served(process.pid, *ports)
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


class Measured:
    """One kind of request to one server process, and the rates of its rounds so far."""

    def __init__(self, pid: int, port: int, count: int, make: Callable[[int], bytes]) -> None:
        self._pid, self._count, self._make = pid, count, make
        self._load = Load(port)
        self._load.run(count // 4, make)
        self.rates: list[float] = []
        """Requests per second of the server's CPU time."""

    def run_round(self) -> None:
        """Send the requests of one round."""
        before = cpu_seconds(self._pid)
        self._load.run(self._count, self._make)
        self.rates.append(self._count / (cpu_seconds(self._pid) - before))

    def close(self) -> None:
        """Close the connections."""
        self._load.close()


async def _serve_static() -> None:
    """Answer every request with the same 3 KB, on the emulator's own HTTP server: the base of the comparison."""
    from kfp_emulator.http import server

    body = b"x" * 3000
    headers = [(b"content-type", b"application/json"), (b"content-length", b"3000")]

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    bound = server.open_socket("127.0.0.1", 0)
    listener = server.listen(app, bound)
    port = bound.getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    listener.close()


def measure(rounds: int) -> dict[str, list[float]]:
    """Run all measurements, and return so many rounds of each, in requests per second of the server's CPU.

    The rounds take turns, so that a ratio compares what was measured within the same seconds: a busy
    neighbour slows a core down, and CPU time with it.
    """
    emulator = ("-m", "kfp_emulator", "--port", "0", "--exit-with-stdin", "--profile")
    history = ("kfp-2.17", "--prefill", "runs=5000,pipelines=10,experiments=5")
    with (
        serving("-m", "benchmarks.emulator", "--serve-static") as static,
        serving(*emulator, *history) as reading,
        serving(*emulator, "instant") as writing,
        serving(*emulator, "instant", "--no-kubernetes") as alone,
    ):
        page = request("GET", f"{V2}/runs?page_size=200")
        load = Load(reading.port, 1)
        ids = [run["run_id"] for run in json.loads(load.run(1, lambda _: page))["runs"]]
        load.close()
        create = json.dumps({"display_name": "first", "pipeline_spec": PIPELINE}).encode()
        pods = request("GET", f"/api/v1/pods?limit={PODS_LISTED}")
        makers: dict[str, tuple[tuple[int, int], Callable[[int], bytes]]] = {
            "static": (static[:2], lambda _: request("GET", "/")),
            "get_run": (reading[:2], lambda n: request("GET", f"{V2}/runs/{ids[n % len(ids)]}")),
            "create_run": (writing[:2], lambda _: request("POST", f"{V2}/runs", create)),
            "without_pods": (alone[:2], lambda _: request("POST", f"{V2}/runs", create)),
            "list_page": (reading[:2], lambda _: page),
            "list_pods": ((writing.pid, writing.kubernetes), lambda _: pods),
        }
        kinds = {name: Measured(*server, REQUESTS[name], make) for name, (server, make) in makers.items()}
        for _ in range(rounds):
            for kind in kinds.values():
                kind.run_round()
        for kind in kinds.values():
            kind.close()
    return {name: kind.rates for name, kind in kinds.items()}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--serve-static", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_static:
        uvloop.run(_serve_static())
        return
    rates = measure(given.rounds)
    figures: dict[str, float] = {}
    for name, rounds in rates.items():
        ratio = statistics.median(mine / base for mine, base in zip(rounds, rates["static"], strict=True))
        shown = f"{min(rounds):.0f} to {max(rounds):.0f}"
        print(f"{name:<12}{statistics.median(rounds):>8.0f}/s   {shown:<18}{ratio:6.3f} of static")
        figures[f"{name}_per_s"] = round(statistics.median(rounds), 1)
        figures[f"{name}_of_static"] = round(ratio, 3)
    del figures["static_of_static"]
    figures["pods_per_s"] = round(figures.pop("list_pods_per_s") * PODS_LISTED)
    figures["list_page_ms"] = round(1000 / figures.pop("list_page_per_s"), 2)
    print(f"a ListRuns page of 200 takes {figures['list_page_ms']} ms of CPU")
    print(f"pods are listed at {figures['pods_per_s']} a second of CPU")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
