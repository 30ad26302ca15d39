"""Coordinated omission: a stall of the server shows where latency counts from due, and hides in a closed loop."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from emulated import emulator
from stalled import RATE, SECONDS, STALL_FROM, STALL_SECONDS, p99, read_in_turn, read_openly, stall_rules
from virtual_time import VirtualClock, run_virtually

from kfp_emulator.server.faults import read_rules
from kfp_perf.catalog import PIPELINES
from kfp_perf.client import RestClient
from kfp_perf.client.messages import RunSpec
from kfp_perf.client.query import ListQuery
from kfp_perf.config import TestConfig
from kfp_perf.pipelines.package import read_pipeline

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample


def _samples_of(read: Any) -> list[Sample]:
    async def main() -> list[Sample]:
        async with emulator("fast", {}) as (backend, url):
            samples: list[Sample] = []
            clock = VirtualClock()
            client = RestClient(TestConfig(KFP_API_HOST=url), clock, samples.append)
            content = read_pipeline(PIPELINES / "hello.yaml").content(False)
            made = await client.upload_pipeline(content, name="read")
            version = (await client.list_pipeline_versions(made.pipeline_id, ListQuery())).items[0]
            spec = RunSpec(
                name="read",
                experiment_id="",
                pipeline_id=made.pipeline_id,
                pipeline_version_id=version.pipeline_version_id,
            )
            run = await client.create_run(spec)
            samples.clear()
            backend.faults.add(read_rules(json.dumps(stall_rules(STALL_FROM))), backend.clock.now())
            await read(client, clock, run.run_id, clock.now())
            await client.aclose()
            return samples

    return run_virtually(main)


def test_latency_from_due_shows_a_stall() -> None:
    samples = _samples_of(read_openly)
    assert len(samples) == RATE * SECONDS
    # Of 4,000 reads 400 are due in the stall, evenly: the slowest 40 of all wait for nearly all of it.
    assert 0.85 * STALL_SECONDS < p99(samples, "latency_seconds") <= STALL_SECONDS


def test_service_time_in_a_closed_loop_hides_it() -> None:
    samples = _samples_of(read_in_turn)
    assert len(samples) > 0.85 * RATE * SECONDS
    assert max(sample.service_seconds for sample in samples) > 0.9 * STALL_SECONDS
    assert p99(samples, "service_seconds") < 0.01
