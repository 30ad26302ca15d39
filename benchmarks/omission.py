"""Coordinated omission: the latency of stalls and failures from due, and in a naive generator's closed loop.

Each bad server (a stall, 503s, resets, time-outs, an outage) is read for 20 s at 200/s in the open model, where
latency counts from when a read was due to the end of its last attempt: once with failed calls repeated, and once
without, where a call that failed counts as never answered. Then one reader reads in a closed loop, with a pause
that gives about the same rate, and measures each attempt that succeeded from when it was sent. The figures are the
p99 of each.

Usage: python -m benchmarks.omission
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import emulator, pin, say_surroundings, two_cpus

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample


async def _request(method: str, url: str, body: Any = None) -> None:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"content-type": "application/json"}, method=method)
    await asyncio.to_thread(lambda: urllib.request.urlopen(request).close())


async def measure(url: str) -> dict[str, float | None]:
    """Read from each bad server in both ways; print what each saw."""
    from bad_servers import (
        BAD_SERVERS,
        STALL_FROM,
        TIMEOUT_SECONDS,
        p99_from_due,
        p99_of_attempts,
        read_in_turn,
        read_openly,
    )

    from kfp_perf.client import RestClient
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import RealClock

    clock = RealClock()
    run_id = await _run_to_read(url)
    figures: dict[str, float | None] = {}
    print(f"  {'server':<34} {'attempts, ms':>13} {'from due, repeated, ms':>23} {'from due, ms':>13}")
    for name, rules in BAD_SERVERS.items():
        found: list[float | None] = []
        for read, retries in ((read_openly, 10), (read_openly, 0), (read_in_turn, 0)):
            samples: list[Sample] = []
            config = TestConfig(
                KFP_API_HOST=url,
                load_retries=retries,
                request_timeout_seconds=TIMEOUT_SECONDS + 2.0 * ("stall" in name),
            )
            client = RestClient(config, clock, samples.append, seed=1)
            await _request("DELETE", f"{url}/emulator/v1/faults")
            await _request("POST", f"{url}/emulator/v1/faults", rules(STALL_FROM))
            await read(client, clock, run_id, clock.now())
            await client.aclose()
            found.append(p99_of_attempts(samples) if read is read_in_turn else p99_from_due(samples))
        repeated, once, naive = found
        print(f"  {name:<34} {_ms(naive):>13} {_ms(repeated):>23} {_ms(once):>13}")
        figures |= {
            f"{name}: {key}": value
            for key, value in (("naive", naive), ("repeated", repeated), ("due", once))
        }
    await _request("DELETE", f"{url}/emulator/v1/faults")
    return figures


def _ms(seconds: float | None) -> str:
    return "not reached" if seconds is None else f"{1e3 * seconds:,.1f}"


async def _run_to_read(url: str) -> str:
    from kfp_perf.client import RestClient
    from kfp_perf.client.messages import RunSpec
    from kfp_perf.client.protocol import ListQuery
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import RealClock
    from kfp_perf.pipelines.find import find_pipeline
    from kfp_perf.pipelines.package import read_pipeline

    client = RestClient(TestConfig(KFP_API_HOST=url), RealClock())
    content = read_pipeline(find_pipeline("hello.yaml", ())).content(False)
    made = await client.upload_pipeline(content, name="read")
    version = (await client.list_pipeline_versions(made.pipeline_id, ListQuery())).items[0]
    spec = RunSpec(
        name="read",
        experiment_id="",
        pipeline_id=made.pipeline_id,
        pipeline_version_id=version.pipeline_version_id,
    )
    run = await client.create_run(spec)
    await client.aclose()
    return run.run_id


def main() -> None:
    """Measure, and print."""
    import uvloop

    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    client_cpu, server_cpu = two_cpus()
    pin(0, client_cpu)
    say_surroundings(f"client on CPU {client_cpu}", f"emulator on CPU {server_cpu}")
    with emulator("fast", cpu=server_cpu) as emulated:
        figures = uvloop.run(measure(emulated.url))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
