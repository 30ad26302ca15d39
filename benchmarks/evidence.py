"""What the collector of evidence costs: CPU of its process, and bytes on disk, by the size of what it scrapes.

A server of its own process serves pages as long as those of a KFP 2.17.0: the API server's has a line more for each
run that has ended since its start, so it grows. The collector scrapes it, and a page of Argo's controller, at the
default interval, as it does beside a test.

Usage: python -m benchmarks.evidence [--seconds N] [--runs N ...]
"""

from __future__ import annotations

import argparse
import http.server
import json
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import cpu_seconds_of, say_surroundings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: The methods of which KFP serves handling times after an hour of use, and their buckets.
METHODS = 27
BUCKETS = (*(f"{bound:g}" for bound in (0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 15, 30, 60, 120, 300)), "+Inf")
#: Metrics of the Go runtime and of other services, which no profile reads.
OTHER_LINES = 700
#: Methods in use while a test runs.
IN_USE = 6


def server_page(runs: int, scrapes: int) -> bytes:
    """The API server's page after this many runs, and so many scrapes: counters grow with them."""
    lines = [f"go_other_metric_{place} {place * 1.5}" for place in range(OTHER_LINES)]
    lines += [
        "process_start_time_seconds 1.79e+09",
        f"process_cpu_seconds_total {100 + scrapes}",
        f"process_resident_memory_bytes {1.2e8 + scrapes}",
        "process_open_fds 43",
        "process_max_fds 20000",
        f"go_goroutines {120 + scrapes % 9}",
        f"run_server_create_requests {scrapes}",
    ]
    for method in range(METHODS):
        labels = (
            f'grpc_method="Method{method}",grpc_service="kubeflow.pipelines.RunService",grpc_type="unary"'
        )
        calls = 1000 + (scrapes * 50 if method < IN_USE else 0)
        lines += [
            f'grpc_server_handling_seconds_bucket{{{labels},le="{bound}"}} {calls}' for bound in BUCKETS
        ]
        lines += [
            f"grpc_server_handling_seconds_sum{{{labels}}} {calls * 0.004}",
            f"grpc_server_handling_seconds_count{{{labels}}} {calls}",
            f'grpc_server_handled_total{{grpc_code="OK",{labels}}} {calls}',
        ]
    lines += [
        f'resource_manager_workflow_runs_success{{profile="kubeflow",workflow="one-task-{place:05x}"}} 1'
        for place in range(runs)
    ]
    return ("\n".join(lines) + "\n").encode()


def controller_page(scrapes: int) -> bytes:
    """A page of Argo's controller: 300 lines of requests to Kubernetes, and a queue."""
    lines = [f"process_cpu_seconds_total {scrapes}", f"process_resident_memory_bytes {4.7e8 + scrapes}"]
    for kind in range(30):
        lines += [
            f'argo_workflows_k8s_request_duration_bucket{{kind="k{kind}",verb="Get",le="{bound}"}} {scrapes * 3}'
            for bound in BUCKETS
        ]
    lines.append(f'argo_workflows_queue_depth_gauge{{queue_name="workflow_queue"}} {scrapes % 100}')
    return ("\n".join(lines) + "\n").encode()


def serve(runs: int, tell: Connection) -> None:
    """Serve the pages until the parent ends this process."""
    counts = {"/metrics": 0, "/argo": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            counts[self.path] = counts.get(self.path, 0) + 1
            known = {"/metrics": lambda n: server_page(runs, n), "/argo": controller_page}
            make = known.get(self.path)
            body = make(counts[self.path]) if make else b""
            self.send_response(200 if make else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tell.send(server.server_address[1])
    server.serve_forever()


def measured(runs: int, seconds: float) -> dict[str, float]:
    """Collect for so long beside a server that has had so many runs."""
    from kfp_perf.config import TestConfig
    from kfp_perf.evidence.process import EvidenceProcess
    from kfp_perf.pacing import RealClock

    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(runs, theirs), daemon=True)
    server.start()
    port = mine.recv()
    with tempfile.TemporaryDirectory() as folder:
        config = TestConfig(
            KFP_API_HOST=f"http://127.0.0.1:{port}",
            evidence=True,
            metrics_urls={"controller": f"http://127.0.0.1:{port}/argo"},
        )
        began = time.process_time()
        with EvidenceProcess(config, Path(folder), RealClock().anchor) as process:
            before, waited = cpu_seconds_of(process.pid), time.monotonic()
            threading.Event().wait(seconds)
            process.look()
            used = cpu_seconds_of(process.pid) - before
            waited = time.monotonic() - waited
        # The first line of a file has everything, those after it what has changed.
        written = sum(
            len(line) for path in Path(folder).glob("*.jsonl") for line in path.read_bytes().splitlines()[1:]
        )
        own = time.process_time() - began
    server.terminate()
    server.join()
    return {
        "page_kb": round(len(server_page(runs, 1)) / 1e3, 1),
        "cpu_share": round(used / waited, 5),
        "start_cpu_seconds": round(before, 3),
        "own_cpu_seconds": round(own, 3),
        "mb_an_hour": round(written / waited * 3600.0 / 1e6, 3),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for each size")
    parser.add_argument("--runs", type=int, nargs="+", default=[0, 1_000, 50_000], help="runs of the server")
    given = parser.parse_args()
    say_surroundings()
    result = {}
    for runs in given.runs:
        found = result[f"runs_{runs}"] = measured(runs, given.seconds)
        print(
            f"{runs:>7,} runs: a page of {found['page_kb']:,.0f} KB, {found['cpu_share'] * 100:.2f} % of a core, "
            f"{found['mb_an_hour']:.2f} MB an hour; {found['start_cpu_seconds']:.2f} s of CPU until the first look"
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
