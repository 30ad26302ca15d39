"""Saturation on purpose, in real threads: detected at any speed of the machine."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from made_samples import made_sample
from open_link import OpenLink

from kfp_perf.config import TestConfig
from kfp_perf.engine import Plugins, ScenarioWork, run_scenario
from kfp_perf.errors import ExitCode
from kfp_perf.health import GeneratorWatch, HealthChecks
from kfp_perf.health import time_slice as module
from kfp_perf.health.connectivity import ApiHealth
from kfp_perf.health.time_slice import SLICE_SECONDS, time_slice
from kfp_perf.metrics import MetricsCollector
from kfp_perf.pacing import RealClock
from kfp_perf.runners import BaseRunner
from kfp_perf.scenario.model import TestScenario

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfp_perf.result.records import Sample

WINDOW_SECONDS = 0.2


class Ticker(BaseRunner):
    """Starts operations that do nothing."""

    async def run(self) -> None:
        self.start()
        drive = self.drive(self.tick)
        await drive.run()
        await drive.finish()

    async def tick(self, _index: int, due: float) -> bool:
        now = self.clock.now()
        self.record_sample(made_sample("Tick", due, now, now))
        return True

    def stop(self) -> None:
        pass


class Blocking(MetricsCollector):
    """Sleeps where the scenario's answers wait."""

    def on_sample(self, sample: Sample) -> None:
        time.sleep(0.3)


class Computing(MetricsCollector):
    """Computes in a thread, and holds Python's lock for long meanwhile."""

    over: threading.Event

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        threading.Thread(target=self._compute, daemon=True).start()

    def _compute(self) -> None:
        while not self.over.is_set():
            sum(range(10_000_000))


@pytest.fixture
def computing() -> Iterator[type[Computing]]:
    Computing.over = threading.Event()
    yield Computing
    Computing.over.set()


def watch_a_test(folder: Path, collector: type[MetricsCollector]) -> HealthChecks:
    """Run until the verdict is seen, or for a minute."""
    scenario = TestScenario.model_validate(
        {"name": "t", "mode": "TICK", "runTime": "1min", "arrivalRate": "20/s"},
        context={"extra_modes": {"TICK"}},
    )
    work = ScenarioWork(
        scenario,
        TestConfig(),
        folder / "t",
        RealClock().anchor,
        Plugins(runners={"TICK": Ticker}, collectors={"custom": collector}),
    )
    link = OpenLink()
    checks = HealthChecks(GeneratorWatch(folder, window_seconds=WINDOW_SECONDS), ApiHealth())
    thread = threading.Thread(target=run_scenario, args=(work, link))
    with checks:
        thread.start()
        while thread.is_alive():
            thread.join(WINDOW_SECONDS / 4)
            checks.look({"t": link.counters()} if link.counters is not None else {})
            if checks.verdict() is not None:
                link.stop.set()
    return checks


def test_a_blocked_event_loop_makes_the_result_invalid(tmp_path: Path) -> None:
    checks = watch_a_test(tmp_path, Blocking)
    verdict = checks.verdict()
    assert verdict is not None
    assert verdict.exit_code is ExitCode.INVALID
    assert "event_loop" in str(verdict)
    assert ("event_loop", "t") in [(one.resource, one.scenario) for one in checks.generator.saturations()]
    assert checks.generator.document()["saturated"] is True


def test_so_does_a_collector_that_computes_in_a_thread(tmp_path: Path, computing: type[Computing]) -> None:
    checks = watch_a_test(tmp_path, computing)
    verdict = checks.verdict()
    assert verdict is not None
    assert verdict.exit_code is ExitCode.INVALID
    resources = {one.resource for one in checks.generator.saturations()}
    assert resources <= {"process_cpu", "event_loop", "start_lateness", "garbage_collection"}


def test_the_interval_at_which_threads_take_turns_is_put_back(tmp_path: Path) -> None:
    import sys

    before = sys.getswitchinterval()
    with GeneratorWatch(tmp_path):
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_threads_that_generate_load_have_a_short_time_slice(tmp_path: Path) -> None:
    """Where the kernel has slices of single threads."""
    before = time_slice()
    found: list[float | None] = []
    with GeneratorWatch(tmp_path):
        inside = time_slice()
        thread = threading.Thread(target=lambda: found.append(time_slice()))
        thread.start()
        thread.join()
    assert time_slice() == before
    assert found == [inside]
    if before is not None:
        assert inside == SLICE_SECONDS < before


def test_a_kernel_or_a_sandbox_without_time_slices_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = time_slice()
    monkeypatch.setattr(module, "_calls", (-1, -1))
    assert time_slice() is None
    with GeneratorWatch(tmp_path):
        monkeypatch.undo()
        assert time_slice() == before
