"""Cost of observing a test beside its load: counters, snapshot and health checks, four times a second.

A thread records operations at a constant rate, as a scenario does. The main thread does what the execution does:
`ThreadEngine.counters()`, `HealthChecks.look`, `ThresholdWatch.look` and `SnapshotMaker.make`; its own CPU time is
counted.
Each scenario has five thresholds on histograms, four of them over windows. A bare loop measures the speed of the
machine at that time.

Usage: python -m benchmarks.looking [--seconds N] [--rate N] [--scenarios N]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from kfp_perf.config import TestConfig
from kfp_perf.engine import Plugins, ScenarioWork, ThreadEngine
from kfp_perf.execution.snapshots import SnapshotMaker
from kfp_perf.execution.threshold_watch import ThresholdWatch
from kfp_perf.health import GeneratorWatch, HealthChecks
from kfp_perf.health.connectivity import ApiHealth
from kfp_perf.pacing import RealClock
from kfp_perf.plan import make_plan
from kfp_perf.result.records import Attempt, Sample
from kfp_perf.runners import BaseRunner

LOOK_EVERY_SECONDS = 0.25
BOUND = 0.01
_BATCHES_A_SECOND = 100
THRESHOLDS = {
    "api.GetRun.latency.p95": ["< 1s", "< 1s over 10s"],
    "api.GetRun.error_rate": "<= 1% over 10s",
    "api.GetRun.latency.p99": "< 2s over 10s",
    "generator.lateness.p99": "< 1s over 10s",
}


class Recording(BaseRunner):
    """Records operations that were never sent, at `rate` a second."""

    rate = 0.0

    async def run(self) -> None:
        """Record them in batches."""
        self.start()
        batch = round(self.rate / _BATCHES_A_SECOND)
        due = self.start_at
        while due < self.end_at and await self.clock.sleep_until(due, self.stop_signal):
            now = self.clock.now()
            attempts = (Attempt(now, now + 0.01),)
            for _ in range(batch):
                self.record_sample(Sample("GetRun", now, now + 0.01, attempts))
            due += 1.0 / _BATCHES_A_SECOND

    def stop(self) -> None:
        """Nothing was made."""


def bare_loop() -> float:
    """How long a million rounds of an empty loop take, in milliseconds."""
    began = time.thread_time()
    for _ in range(1_000_000):
        pass
    return 1e3 * (time.thread_time() - began)


def measure(seconds: float, rate: float, scenarios: int) -> dict[str, float]:
    """Run the load, look, and return the figures."""
    folder = Path(tempfile.mkdtemp(prefix="kfp-perf-looking-"))
    Recording.rate = rate / scenarios
    given: list[dict[str, Any]] = [
        {
            "name": f"s{number}",
            "mode": "RECORDING",
            "runTime": f"{seconds}s",
            "thresholds": THRESHOLDS,
        }
        for number in range(scenarios)
    ]
    (folder / "t.json").write_text(json.dumps(given))
    config = TestConfig(KFP_API_HOST="127.0.0.1", KFP_API_PORT=1)
    plugins = Plugins(runners={"RECORDING": Recording})
    plan = make_plan(str(folder / "t.json"), config, extra_modes=plugins.runners)
    clock = RealClock()
    snapshots = SnapshotMaker(plan, config.KFP_url, clock, emulator=False)
    thresholds = ThresholdWatch(plan)
    checks = HealthChecks(GeneratorWatch(folder, plan.scenarios), ApiHealth(), scenarios=plan.scenarios)
    looks, looking_seconds = 0, 0.0
    with ThreadEngine(clock.now) as engine, checks:
        engine.start(
            [
                ScenarioWork(one, config, folder / (one.name or ""), clock.anchor, plugins)
                for one in plan.scenarios
            ]
        )
        began = time.monotonic()
        while engine.running:
            for ended in engine.ended(LOOK_EVERY_SECONDS):
                if ended.error:
                    raise SystemExit(ended.error)
            before = time.thread_time()
            counters = engine.counters()
            checks.look(counters)
            if thresholds.look(counters, engine.t0, clock.now()) is not None:
                raise SystemExit("no threshold here ends a test")
            snapshots.make(counters, engine.t0, thresholds.states, stopping=False)
            looking_seconds += time.thread_time() - before
            looks += 1
        lasted = time.monotonic() - began
        operations = sum(one.operations for one in engine.counters().values())
    return {
        "looking_share_of_a_core": looking_seconds / lasted,
        "look_ms": 1e3 * looking_seconds / looks,
        "looks_per_second": looks / lasted,
        "recorded_per_second": operations / lasted,
        "scenarios": scenarios,
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="at least 10")
    parser.add_argument("--rate", type=float, default=20_000.0, help="operations recorded a second")
    parser.add_argument("--scenarios", type=int, default=2)
    given = parser.parse_args()
    loop_before, load_before = bare_loop(), os.getloadavg()[0]
    figures = measure(given.seconds, given.rate, given.scenarios)
    figures |= {
        "bare_loop_ms_before": loop_before,
        "bare_loop_ms_after": bare_loop(),
        "load_average_before": load_before,
        "load_average_after": os.getloadavg()[0],
        "bound": BOUND,
    }
    share = figures["looking_share_of_a_core"]
    print(
        f"looking took {share:.2%} of a core (bound {BOUND:.0%}): {figures['look_ms']:.2f} ms a look, "
        f"{figures['looks_per_second']:.1f} looks a second, beside {figures['recorded_per_second']:,.0f} "
        f"operations recorded a second in {given.scenarios} scenarios"
    )
    print(
        f"load average {load_before:.1f} before and {figures['load_average_after']:.1f} after; a million rounds of "
        f"a bare loop took {loop_before:.0f} ms before and {figures['bare_loop_ms_after']:.0f} ms after"
    )
    print(json.dumps({key: round(value, 5) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
