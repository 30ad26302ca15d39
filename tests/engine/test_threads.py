"""The engine of threads, with fewer threads than scenarios."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from kfp_perf.config import TestConfig
from kfp_perf.engine import Plugins, ScenarioWork, ThreadEngine
from kfp_perf.engine.gate import StartGate
from kfp_perf.pacing import RealClock
from kfp_perf.runners import BaseRunner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MODES = {"FAILS", "SLOW", "NEXT"}


class Slow(BaseRunner):
    """Prepares until another scenario waits for the common start."""

    prepared = 0.0
    another_waits = threading.Event()

    async def prepare(self) -> dict[str, Any] | None:
        assert await asyncio.to_thread(self.another_waits.wait, 60.0)
        Slow.prepared = self.clock.now()
        return None

    def run(self) -> dict[str, Any] | None:
        return None

    def stop(self) -> None:
        pass


class Fails(Slow):
    async def prepare(self) -> dict[str, Any] | None:
        raise RuntimeError("cannot prepare")


class Next(Slow):
    async def prepare(self) -> dict[str, Any] | None:
        return None


def test_a_thread_that_a_failed_scenario_leaves_does_not_start_the_test_for_those_that_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = StartGate.wait

    def waited(gate: StartGate) -> float:
        Slow.another_waits.set()
        return wait(gate)

    monkeypatch.setattr(StartGate, "wait", waited)
    plugins = Plugins(runners={"FAILS": Fails, "SLOW": Slow, "NEXT": Next})

    def work(mode: str) -> ScenarioWork:
        scenario = TestScenario.model_validate(
            {"name": mode.lower(), "mode": mode, "runTime": "1s"}, context={"extra_modes": MODES}
        )
        return ScenarioWork(scenario, TestConfig(), tmp_path / mode, RealClock().anchor, plugins)

    with ThreadEngine(RealClock().now, pool_size=2) as engine:
        engine.start([work("FAILS"), work("SLOW"), work("NEXT")])
        ended = {one.name: one for one in engine.ended(60.0)}
        assert engine.t0 is not None
        assert engine.t0 >= Slow.prepared > 0.0
    assert ended["fails"].error == "RuntimeError: cannot prepare"
    assert (ended["slow"].error, ended["next"].error) == ("", "")
