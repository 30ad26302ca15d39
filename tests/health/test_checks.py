"""The health checks' lines in the log and in the result."""

from __future__ import annotations

import gc
import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from fake_kfp import FakeKfp
from virtual_time import VirtualClock, run_virtually

from kfp_perf.config import TestConfig
from kfp_perf.errors import ApiUnreachable, ExitCode
from kfp_perf.health import HealthChecks
from kfp_perf.health.connectivity import ApiHealth, Connectivity, check_once
from kfp_perf.health.interpreter import COLLECTION_THRESHOLDS, SWITCH_INTERVAL_SECONDS
from kfp_perf.pacing import RealClock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, "kfp_perf.health")
    return lambda: [record.getMessage() for record in caplog.records]


def test_once_a_minute_a_line_says_how_things_stand(make_test: Any, said: Any) -> None:
    test = make_test()
    checks = HealthChecks(test.watch, ApiHealth(), now=lambda: test.time)
    for _ in range(130):
        for runner in test.runners:
            runner.progress.answered += 1
        test.second()
        checks.look(test.counters)
    lines = said()
    assert len(lines) == 2
    assert "the API answers, 1 of 1 scenarios make progress, CPU 10% of a core" in lines[0]
    assert "generator within its bounds" in lines[0]
    assert checks.verdict() is None


def test_a_stall_and_a_saturation_are_warned_of_once(make_test: Any, said: Any) -> None:
    test = make_test()
    checks = HealthChecks(test.watch, ApiHealth(), now=lambda: test.time)
    for _ in range(100):
        test.second(cpu=1.0)
        checks.look(test.counters)
    warnings = [line for line in said() if not line.startswith("Health:")]
    assert len(warnings) == 2
    assert "The generator is saturated: process_cpu" in warnings[0]
    assert "a: no progress for 60 s" in warnings[1]
    verdict = checks.verdict()
    assert verdict is not None
    assert verdict.exit_code is ExitCode.INVALID
    assert checks.document()["stalls"][0]["scenario"] == "a"


def test_saturation_on_purpose_is_said(make_test: Any, stand_in: Any, said: Any) -> None:
    test = make_test(stand_in("reader", mode="RANDOM_GETS", thinkTime=0))
    checks = HealthChecks(test.watch, ApiHealth(), now=lambda: test.time)
    for _ in range(10):
        test.second(cpu=1.0)
        checks.look(test.counters)
    assert ["on purpose" in line for line in said()] == [True]


def test_an_outage_of_the_api_is_told_with_its_beginning_and_its_end(make_test: Any, said: Any) -> None:
    health = ApiHealth()
    test = make_test()
    checks = HealthChecks(test.watch, health, now=lambda: test.time)

    async def main() -> None:
        clock = VirtualClock()
        kfp = FakeKfp(clock)
        for number in range(6):
            if number in {2, 3}:
                kfp.failures["GetHealthz"].append(ApiUnreachable("GetHealthz", "refused", kind="refused"))
            await check_once(kfp, health, clock.now)
            checks.look({})
            await clock.sleep_until(clock.now() + 15)

    run_virtually(main)
    document = checks.document()["api"]
    assert (document["asked"], document["failed"]) == (6, 2)
    (outage,) = document["outages"]
    assert outage["failures"] == 2
    assert outage["error"] == "refused"
    assert 14 < outage["last"] - outage["first"] < 16
    assert [line.split(":")[0] for line in said()] == [
        "The API does not answer the health check (refused)",
        "It is over",
    ]


def test_a_result_folder_that_is_gone_for_a_while_is_said_and_judged_by_nobody(
    make_test: Any, said: Any
) -> None:
    test = make_test()
    checks = HealthChecks(test.watch, ApiHealth(), now=lambda: test.time)
    room = test.space
    for space in (room._replace(disk_bytes=None), room):
        test.space = space
        test.seconds(10)
        checks.look({})
        assert ("disk unknown" in checks.line({})) == (space.disk_bytes is None)
    assert said() == [
        "The folder of the result cannot be reached",
        "It is over: The folder of the result cannot be reached",
    ]
    assert checks.verdict() is None


def test_one_clock_tells_the_time_of_everything(
    make_test: Any, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = make_test()
    monkeypatch.setattr(RealClock, "now", lambda _self: test.time)
    checks = HealthChecks(test.watch, ApiHealth())
    for _ in range(130):
        test.second()
        checks.look({})
    assert len(said()) == 2

    asked = threading.Event()

    class Asked(ApiHealth):
        def missed(self, when: float, error: str) -> None:
            super().missed(when, error)
            asked.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connectivity = Connectivity(TestConfig(KFP_API_HOST="127.0.0.1", KFP_API_PORT=port))
    connectivity.health = Asked()
    with connectivity:
        assert asked.wait(60)
    assert connectivity.health.outages[0].first == test.time


def test_what_checks_change_in_the_process_they_change_in_their_context_only(tmp_path: Path) -> None:
    def state() -> tuple[float, tuple[int, ...], bool, int, bool]:
        asking = any(thread.name == "health" for thread in threading.enumerate())
        interval, frozen = round(sys.getswitchinterval(), 6), gc.get_freeze_count() > 0
        return interval, gc.get_threshold(), frozen, len(gc.callbacks), asking

    before = state()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        checks = HealthChecks.of_test(TestConfig(KFP_API_HOST="127.0.0.1", KFP_API_PORT=port), tmp_path, ())
        assert state() == before
        with checks:
            assert state() == (
                SWITCH_INTERVAL_SECONDS,
                COLLECTION_THRESHOLDS,
                True,
                before[3] + 1,
                True,
            )
    for thread in threading.enumerate():
        if thread.name == "health":
            thread.join(60)
    assert state() == before


def test_after_many_outages_further_ones_are_counted_and_change_none() -> None:
    health = ApiHealth()
    for number in range(103):
        health.missed(number, f"failure {number}")
        health.missed(number + 0.5, "again")
        health.answered(0.1)
    document = health.document()
    assert len(document["outages"]) == 100
    assert document["outages"][-1] == {"first": 99, "last": 99.5, "failures": 2, "error": "failure 99"}
    assert document["more_outages"] == 3
    assert health.latest is not None
    assert health.latest.error == "failure 102"
