"""Cost of observing many runs: requests and CPU of a poll, compared with reading each run.

The emulator holds many runs in flight, none of which ends during the measurement. The observer polls them several
times; then each run is read, 16 at a time, as `kfp.Client` and most scripts do. CPU time is counted on both sides.

Usage: python -m benchmarks.observer [--looks N] [--runs N ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import cpu_seconds_of, emulator, pin, say_surroundings, spread, two_cpus

if TYPE_CHECKING:
    from kfp_perf.client import RestClient
    from kfp_perf.observe import TrackedRun
    from kfp_perf.result.records import Sample

PARALLEL = 16
#: Runs that start at once and stay in flight.
LASTING = {"description": "runs that do not end", "executor_seconds": 36000}


class Follower:
    """A number of runs in flight, and what looking at them costs."""

    def __init__(self, url: str, pid: int) -> None:
        from kfp_perf.client import RestClient
        from kfp_perf.config import TestConfig
        from kfp_perf.pacing import RealClock

        self.clock = RealClock()
        self.requests = 0
        self.client: RestClient = RestClient(TestConfig(KFP_API_HOST=url), self.clock, self._count)
        self.records: list[TrackedRun] = []
        self._pid = pid

    def _count(self, _sample: Sample) -> None:
        self.requests += 1

    async def create(self, count: int) -> None:
        """Put this many runs in flight."""
        from kfp_perf.client.messages import RunSpec
        from kfp_perf.client.protocol import ListQuery
        from kfp_perf.observe import TrackedRun
        from kfp_perf.pipelines.find import find_pipeline
        from kfp_perf.pipelines.package import read_pipeline

        if not self.records:
            content = read_pipeline(find_pipeline("hello.yaml", ())).content(False)
            pipeline = await self.client.upload_pipeline(content, name="observed")
            versions = await self.client.list_pipeline_versions(pipeline.pipeline_id, ListQuery(page_size=1))
            self._version = (pipeline.pipeline_id, versions.items[0].pipeline_version_id)
            self._experiment = (await self.client.create_experiment("observed")).experiment_id
        numbers = iter(range(len(self.records), count))

        async def work() -> None:
            for number in numbers:
                spec = RunSpec(
                    name=f"observed-{number}",
                    experiment_id=self._experiment,
                    pipeline_id=self._version[0],
                    pipeline_version_id=self._version[1],
                )
                sent = self.clock.now()
                run = await self.client.create_run(spec)
                self.records.append(
                    TrackedRun(
                        scenario="observer",
                        name=spec.name,
                        run_id=run.run_id,
                        due=sent,
                        sent=sent,
                        ended=self.clock.now(),
                        created_at=run.created_at,
                    )
                )

        await asyncio.gather(*(work() for _ in range(PARALLEL)))

    async def look(self, looks: int) -> list[dict[str, float]]:
        """Let the observer poll this many times; the figures of each poll."""
        from kfp_perf.observe import Observer

        observer = Observer(self.client, self.clock, experiment_id=self._experiment, poll_seconds=0.5)
        for record in self.records:
            observer.watch(record)
        figures = []
        for number in range(looks + 1):
            cost = Cost(self)
            await observer._look()
            if number:  # the first warms up, and decides in which way to poll
                figures.append(cost.figures())
        await observer.aclose()
        return figures

    async def ask_for_each(self, looks: int) -> list[dict[str, float]]:
        """Read each run; the figures of each pass."""
        figures = []
        for _ in range(looks):
            cost = Cost(self)
            ids = iter([record.run_id for record in self.records])

            async def work(ids: Any = ids) -> None:
                for run_id in ids:
                    await self.client.get_run(run_id)

            await asyncio.gather(*(work() for _ in range(PARALLEL)))
            figures.append(cost.figures())
        return figures

    def server_cpu_seconds(self) -> float:
        """CPU time of the emulator until now."""
        return cpu_seconds_of(self._pid)


class Cost:
    """Requests, and milliseconds of CPU on both sides, from its making on."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._before = (follower.requests, time.process_time(), follower.server_cpu_seconds())

    def figures(self) -> dict[str, float]:
        """Print the figures."""
        follower, (requests, client, server) = self._follower, self._before
        return {
            "requests": follower.requests - requests,
            "client_cpu_ms": 1e3 * (time.process_time() - client),
            "server_cpu_ms": 1e3 * (follower.server_cpu_seconds() - server),
        }


async def measure(url: str, pid: int, counts: list[int], looks: int) -> dict[str, float]:
    """Measure for each number of runs in flight."""
    follower = Follower(url, pid)
    result: dict[str, float] = {}
    for count in sorted(counts):
        await follower.create(count)
        swept = await follower.look(looks)
        asked = await follower.ask_for_each(max(1, min(looks, 10_000 // count)))
        print(f"{count:,} runs in flight; each poll, median (extremes)")
        for name, figures in (("observer", swept), ("one by one", asked)):
            told = ", ".join(
                f"{key.replace('_', ' ')} {spread([one[key] for one in figures], 1)}" for key in figures[0]
            )
            print(f"  {name:<11} {told}")
        result[f"requests_per_tick_{count}"] = statistics.median(one["requests"] for one in swept)
        result[f"naive_requests_per_tick_{count}"] = statistics.median(one["requests"] for one in asked)
        result[f"cpu_ms_per_tick_{count}"] = round(
            statistics.median(one["client_cpu_ms"] for one in swept), 2
        )
        result[f"naive_cpu_ms_per_tick_{count}"] = round(
            statistics.median(one["client_cpu_ms"] for one in asked), 2
        )
    await follower.client.aclose()
    return result


def main() -> None:
    """Measure, and print."""
    import uvloop

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--looks", type=int, default=10)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 10_000])
    given = parser.parse_args()
    client_cpu, server_cpu = two_cpus()
    pin(0, client_cpu)
    say_surroundings(f"client on CPU {client_cpu}", f"emulator on CPU {server_cpu}")
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "lasting.json"
        profile.write_text(json.dumps(LASTING))
        with emulator(str(profile), cpu=server_cpu) as emulated:
            figures = uvloop.run(measure(emulated.url, emulated.pid, given.runs, given.looks))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
