"""How fast the emulator answers: GetRun, CreateRun and a ListRuns page of 200, beside a static answer.

Run it with `python -m benchmarks.emulator`. The rates are requests per second of the *server's CPU time*, so
they are those of one core, whatever else the machine does; a static answer by the same HTTP server is the
base. Each figure is the median of several rounds, and its spread is printed. The last line is one JSON object.
"""

from __future__ import annotations

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
from typing import TYPE_CHECKING, Any

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTIONS = 16
ROUNDS = 5
REQUESTS = {"static": 20_000, "get_run": 20_000, "create_run": 3_000, "list_page": 500}
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
    assert found is not None
    body = data[end + 4 :]
    return body if len(body) >= int(found[1]) else None


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """Write one HTTP request."""
    return (f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, user and system."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[tuple[int, int]]:
    """Run a server process, and give its pid and port."""
    process = subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        yield process.pid, int(ready["url"].rsplit(":", 1)[1])
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def per_cpu_second(pid: int, port: int, count: int, make: Callable[[int], bytes]) -> list[float]:
    """Return the rates of all rounds, in requests per second of the server's CPU."""
    load = Load(port)
    load.run(count // 4, make)
    rates = []
    for _ in range(ROUNDS):
        before = cpu_seconds(pid)
        load.run(count, make)
        rates.append(count / (cpu_seconds(pid) - before))
    load.close()
    return rates


async def _serve_static() -> None:
    """Answer every request with the same 3 KB, on the emulator's own HTTP server: the base of the comparison."""
    from kfp_perf.emulator import server

    body = b"x" * 3000
    headers = [(b"content-type", b"application/json"), (b"content-length", b"3000")]

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    listening = await server.listen(app, server.open_socket("127.0.0.1", 0))
    port = listening.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def measure() -> dict[str, list[float]]:
    """Run all measurements, and return the rounds of each."""
    figures: dict[str, list[float]] = {}
    with serving("-m", "benchmarks.emulator", "--serve-static") as (pid, port):
        figures["static_per_s"] = per_cpu_second(pid, port, REQUESTS["static"], lambda _: request("GET", "/"))
    emulator = ("-m", "kfp_perf.emulator", "--port", "0", "--exit-with-stdin", "--profile", "kfp-2.17")
    with serving(*emulator, "--prefill", "runs=5000,pipelines=10,experiments=5") as (pid, port):
        load = Load(port, 1)
        listed = json.loads(load.run(1, lambda _: request("GET", f"{V2}/runs?page_size=200")))
        ids = [run["run_id"] for run in listed["runs"]]
        load.close()
        figures["get_run_per_s"] = per_cpu_second(
            pid, port, REQUESTS["get_run"], lambda n: request("GET", f"{V2}/runs/{ids[n % len(ids)]}")
        )
        rates = per_cpu_second(
            pid, port, REQUESTS["list_page"], lambda _: request("GET", f"{V2}/runs?page_size=200")
        )
        figures["list_page_ms"] = [1000 / rate for rate in rates]
    with serving(*emulator[:-1], "instant") as (pid, port):
        load = Load(port, 1)
        inline = json.dumps({"display_name": "first", "pipeline_spec": PIPELINE}).encode()
        load.run(1, lambda _: request("POST", f"{V2}/runs", inline))
        load.close()
        figures["create_run_per_s"] = per_cpu_second(
            pid, port, REQUESTS["create_run"], lambda _: request("POST", f"{V2}/runs", inline)
        )
    return figures


def main() -> None:
    """Measure, and print."""
    if "--serve-static" in sys.argv:
        uvloop.run(_serve_static())
        return
    figures = measure()
    base = statistics.median(figures["static_per_s"])
    for name, rounds in figures.items():
        median = statistics.median(rounds)
        ratio = f"  {median / base:5.2f} of static" if name.endswith("_per_s") else ""
        print(f"{name:<18}{median:>10.1f}   from {min(rounds):.1f} to {max(rounds):.1f}{ratio}")
    print(json.dumps({name: round(statistics.median(rounds), 2) for name, rounds in figures.items()}))


if __name__ == "__main__":
    main()
