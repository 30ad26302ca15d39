"""Coordinated omission: stalls and failures show in latencies from due, and hide in those of single attempts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from bad_servers import (
    BAD_SERVERS,
    OUTAGE_SECONDS,
    RATE,
    SECONDS,
    STALL_FROM,
    STALL_SECONDS,
    TIMEOUT_SECONDS,
    p99_from_due,
    p99_of_attempts,
    read_in_turn,
    read_openly,
)
from emulated import emulator
from virtual_time import VirtualClock, run_virtually

from kfp_emulator.server.faults import read_rules
from kfp_perf.catalog import PIPELINES
from kfp_perf.client import RestClient
from kfp_perf.client.messages import RunSpec
from kfp_perf.client.protocol import ListQuery
from kfp_perf.config import TestConfig
from kfp_perf.pipelines.package import read_pipeline
from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample


def _samples_of(read: Any, server: str, **settings: Any) -> list[Sample]:
    async def main() -> list[Sample]:
        async with emulator("fast", {}) as (backend, url):
            samples: list[Sample] = []
            clock = VirtualClock()
            client = RestClient(TestConfig(KFP_API_HOST=url, **settings), clock, samples.append, seed=1)
            setup = client.for_purpose(Purpose.SETUP)
            content = read_pipeline(PIPELINES / "hello.yaml").content(False)
            made = await setup.upload_pipeline(content, name="read")
            version = (await setup.list_pipeline_versions(made.pipeline_id, ListQuery())).items[0]
            spec = RunSpec(
                name="read",
                experiment_id="",
                pipeline_id=made.pipeline_id,
                pipeline_version_id=version.pipeline_version_id,
            )
            run = await setup.create_run(spec)
            samples.clear()
            rules = BAD_SERVERS[server](STALL_FROM)
            backend.faults.add(read_rules(json.dumps(rules)), backend.clock.now())
            await read(client, clock, run.run_id, clock.now())
            await client.aclose()
            return samples

    return run_virtually(main)


def test_latency_from_due_shows_a_stall() -> None:
    samples = _samples_of(read_openly, "stall of 2 s")
    assert len(samples) == RATE * SECONDS
    # Of 4,000 reads 400 are due in the stall, evenly: the slowest 40 of all wait for nearly all of it.
    assert 0.85 * STALL_SECONDS < (p99_from_due(samples) or 0.0) <= STALL_SECONDS


def test_service_time_in_a_closed_loop_hides_it() -> None:
    samples = _samples_of(read_in_turn, "stall of 2 s")
    assert len(samples) > 0.85 * RATE * SECONDS
    assert max(sample.attempts[0].service_seconds for sample in samples) > 0.9 * STALL_SECONDS
    assert p99_of_attempts(samples) < 0.01


#: What 1 % of the users wait for at least, where their client repeats what failed: how that comes about is in
#: the name.
_WAITED = {
    "5 % answer 503": 0.1,  # up to 0.2 s of back-off
    "5 % reset the connection": 0.1,
    "5 % hang until a time-out of 1 s": TIMEOUT_SECONDS,
    "outage of 3 s in which calls fail": 0.5 * OUTAGE_SECONDS,
}


@pytest.mark.parametrize("server", _WAITED)
def test_a_call_that_is_repeated_lasts_from_due_to_its_last_attempt(server: str) -> None:
    samples = _samples_of(read_openly, server, load_retries=10, request_timeout_seconds=TIMEOUT_SECONDS)
    assert len(samples) == RATE * SECONDS
    assert p99_of_attempts(samples) < 0.01, "single attempts that succeed look fast"
    assert (p99_from_due(samples) or 0.0) > _WAITED[server]


@pytest.mark.parametrize("server", _WAITED)
def test_calls_that_fail_rank_above_all_that_were_answered(server: str) -> None:
    samples = _samples_of(read_openly, server, request_timeout_seconds=TIMEOUT_SECONDS)
    assert len(samples) == RATE * SECONDS
    assert p99_of_attempts(samples) < 0.01
    assert p99_from_due(samples) is None, "5 % and more were never answered"
