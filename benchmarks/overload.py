"""360 one-task runs that are created at 6 a second, in simulated time, compared with a real KFP 2.17.0.

The real one ran on a machine of two cores that had other load, so its longer durations are an upper bound. Pods
take the times of the test program that replaced the kubelet there. The last line is one JSON object.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.emulator import PIPELINE
from kfp_emulator.clock import SECOND, ManualClock
from kfp_emulator.cluster.cluster import Cluster
from kfp_emulator.cluster.requests import RunRequest, TruthEvent
from kfp_emulator.cluster.timing import PROFILES, parse_profile
from kfp_emulator.pipelines.ir import parse_pipeline

if TYPE_CHECKING:
    from kfp_emulator.cluster.nodes import Report

PODS = {
    "scheduling_seconds": 0.1,
    "image_pull_seconds": 0,
    "startup_seconds": 1,
    "driver_seconds": 2.5,
    "executor_seconds": 4,
}
REAL = {
    "duration_p50": 43,
    "duration_p95": 99,
    "duration_max": 104,
    "queue_p95": 55,
    "create_p50": 4.3,
    "create_max": 11.9,
    "visible_per_second": 2.5,
}


def measure(runs: int, per_second: float, **changes: Any) -> dict[str, float]:
    """Create runs through the API server's throttle, and return seconds from when each was due."""
    profile = json.loads((PROFILES / "kfp-2.17.json").read_text("utf-8"))
    clock = ManualClock(1_790_000_000 * SECOND)
    start = clock.now()
    ended: dict[str, tuple[int, int]] = {}
    first_pod: dict[str, int] = {}
    due: dict[str, int] = {}
    answered: list[float] = []

    def reported(report: Report) -> None:
        if report.finished_at is not None:
            ended[report.run_id] = report.finished_at, report.at

    def happened(event: TruthEvent) -> None:
        if event.what == "driver_start":
            first_pod.setdefault(event.run_id, event.at_us)

    timing = parse_profile("overload", {**profile, **PODS, **changes})
    cluster = Cluster(timing, clock, reported, truth=happened, doubled_retry_nodes=True)
    pipeline = parse_pipeline([PIPELINE])

    def create(run_id: str) -> None:
        due[run_id] = clock.now()
        clock.call_at(clock.now() + cluster.create_delay(), partial(submit, run_id))

    def submit(run_id: str) -> None:
        answered.append((clock.now() - due[run_id]) / SECOND)
        cluster.submit(RunRequest(run_id, run_id, pipeline, {}, created_at=clock.now()))

    for number in range(runs):
        clock.call_at(start + round(number / per_second * SECOND), partial(create, f"r{number}"))
    clock.run_until_idle()
    durations = sorted((finished - due[run_id]) / SECOND for run_id, (finished, _) in ended.items())
    queues = sorted((at - due[run_id]) / SECOND for run_id, at in first_pod.items())
    seen = sorted(at / SECOND for _, at in ended.values())
    tenth = len(seen) // 10
    return {
        "duration_p50": _quantile(durations, 0.5),
        "duration_p95": _quantile(durations, 0.95),
        "duration_max": durations[-1],
        "queue_p95": _quantile(queues, 0.95),
        "create_p50": _quantile(sorted(answered), 0.5),
        "create_max": max(answered),
        "visible_per_second": (len(seen) - 2 * tenth) / (seen[-tenth - 1] - seen[tenth]),
    }


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """Measure, and print."""
    kinds = {
        "emulator": measure(360, 6),
        "without the controller's throttle": measure(360, 6, controller_calls_per_second=0),
        "72 a minute": measure(120, 1.2),
    }
    print(f"{'seconds':<20}{'real':>8}" + "".join(f"{name:>36}" for name in kinds))
    for name, real in REAL.items():
        print(f"{name:<20}{real:>8.1f}" + "".join(f"{kind[name]:>36.1f}" for kind in kinds.values()))
    print(json.dumps({name: round(value, 2) for name, value in kinds["emulator"].items()}))


if __name__ == "__main__":
    main()
