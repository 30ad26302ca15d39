"""Coordinated omission: what a stall of the server looks like from due, and in a naive generator's closed loop.

The emulator answers nothing for 2 s in the middle of 20 s. First ours reads at 200/s in the open model, and counts
latency from when a read was due; then one reader reads in a closed loop, with the pause that makes about the same
rate, and counts from when a read was sent. Both see the same stall.

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


async def _post(url: str, body: Any) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    await asyncio.to_thread(lambda: urllib.request.urlopen(request).close())


async def measure(url: str) -> dict[str, float]:
    """Read in both ways; print what each saw."""
    from stalled import STALL_FROM, p99, read_in_turn, read_openly, stall_rules

    from kfp_perf.client import RestClient
    from kfp_perf.client.messages import RunSpec
    from kfp_perf.client.query import ListQuery
    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import RealClock
    from kfp_perf.pipelines.find import find_pipeline
    from kfp_perf.pipelines.package import read_pipeline

    clock = RealClock()
    samples: list[Sample] = []
    client = RestClient(TestConfig(KFP_API_HOST=url), clock, samples.append)
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
    figures: dict[str, float] = {}
    for key, read, measure, what in (
        ("p99_due_ms", read_openly, "latency_seconds", "open model, from due"),
        ("p99_naive_ms", read_in_turn, "service_seconds", "closed loop, from sent"),
    ):
        samples.clear()
        await _post(f"{url}/emulator/v1/faults", stall_rules(STALL_FROM))
        await read(client, clock, run.run_id, clock.now())
        figures[key] = round(1e3 * p99(samples, measure), 3)
        longest = 1e3 * max(getattr(sample, measure) for sample in samples)
        print(f"  {what:<23} {len(samples):>5} reads, p99 {figures[key]:>9.3f} ms, longest {longest:.0f} ms")
    await client.aclose()
    return figures


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
