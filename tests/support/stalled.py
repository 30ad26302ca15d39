"""A server that stalls for a while, under the open model and under the closed loop of a naive load generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.pacing import Drive, StopSignal
from kfp_perf.scenario.workload import ConstantSlots, EvenArrivals

if TYPE_CHECKING:
    from kfp_perf.client import RestClient
    from kfp_perf.pacing import Clock
    from kfp_perf.result.records import Sample

SECONDS = 20.0
RATE = 200.0
STALL_FROM = 9.0
STALL_SECONDS = 2.0
_STEP = 0.1


def stall_rules(seconds_from_now: float) -> list[dict[str, Any]]:
    """Faults of the emulator by which it answers nothing from then on, until the stall is over."""
    rules = []
    for number in range(round(STALL_SECONDS / _STEP)):
        passed = number * _STEP
        rules.append(
            {
                "operation": "GetRun",
                "from_seconds": seconds_from_now + passed,
                "until_seconds": seconds_from_now + passed + _STEP,
                "effect": {
                    "kind": "latency",
                    "delay": {"distribution": "constant", "seconds": STALL_SECONDS - passed},
                },
            }
        )
    return rules


async def read_openly(client: RestClient, clock: Clock, run_id: str, start: float) -> None:
    """Read a run at a constant rate, whatever becomes of the reads before."""

    async def get(_index: int, due: float) -> bool:
        await client.get_run(run_id, due=due)
        return True

    await _drive(EvenArrivals(round(RATE * SECONDS), 1.0 / RATE), get, clock, start, 0.0)


async def read_in_turn(client: RestClient, clock: Clock, run_id: str, start: float) -> None:
    """Read a run again and again: the next read is sent when the last one has come, and a pause has passed."""

    async def get(_index: int, _due: float) -> bool:
        await client.get_run(run_id)
        return True

    await _drive(ConstantSlots(1, SECONDS), get, clock, start, 1.0 / RATE)


async def _drive(load: Any, operation: Any, clock: Clock, start: float, think_seconds: float) -> None:
    drive = Drive(
        load,
        operation,
        clock=clock,
        stop=StopSignal(),
        start=start,
        end=start + SECONDS,
        think_seconds=think_seconds,
    )
    await drive.run()
    await drive.finish()


def p99(samples: list[Sample], measure: str) -> float:
    """The 99th percentile of a property of the samples, in seconds."""
    ordered = sorted(getattr(sample, measure) for sample in samples)
    return float(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))])
