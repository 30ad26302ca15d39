"""Servers that stall or fail, under the open model and under the closed loop of a naive load generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from measured import metrics_of

from kfp_perf.pacing import Drive, StopSignal
from kfp_perf.scenario.workload import ConstantSlots, EvenArrivals

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.client import RestClient
    from kfp_perf.pacing import Clock
    from kfp_perf.result.records import Sample

    Rules = Callable[[float], list[dict[str, Any]]]

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


def _every_20th(effect: dict[str, Any]) -> Rules:
    return lambda _from: [{"operation": "GetRun", "every": 20, "effect": effect}]


def _outage(seconds_from_now: float) -> list[dict[str, Any]]:
    effect = {"kind": "status", "status": 503, "body": "html"}
    window = {"from_seconds": seconds_from_now, "until_seconds": seconds_from_now + OUTAGE_SECONDS}
    return [{"operation": "GetRun", **window, "effect": effect}]


#: A client that waits for an answer no longer than this.
TIMEOUT_SECONDS = 1.0
OUTAGE_SECONDS = 3.0
#: Each way in which a server is bad, by name: the emulator's faults from so many seconds on.
BAD_SERVERS: dict[str, Rules] = {
    "stall of 2 s": stall_rules,
    "5 % answer 503": _every_20th({"kind": "status", "status": 503, "body": "html"}),
    "5 % reset the connection": _every_20th({"kind": "reset", "when": "before"}),
    "5 % hang until a time-out of 1 s": _every_20th(
        {"kind": "latency", "delay": {"distribution": "constant", "seconds": 60.0}}
    ),
    "outage of 3 s in which calls fail": _outage,
}


async def read_openly(client: RestClient, clock: Clock, run_id: str, start: float) -> None:
    """Read a run at a constant rate, independently of earlier reads."""

    async def get(_index: int, due: float) -> bool:
        await client.get_run(run_id, due=due)  # an ApiError is a failed operation
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


def p99_of_attempts(samples: list[Sample]) -> float:
    """What is left where each attempt starts a new clock and failures are left out, in seconds."""
    served = sorted(
        attempt.service_seconds for sample in samples for attempt in sample.attempts if not attempt.error
    )
    return served[min(len(served) - 1, int(0.99 * len(served)))]


def p99_from_due(samples: list[Sample]) -> float | None:
    """The 99th percentile of latency as kfp-perf reports it, in seconds; None: it is not reached."""
    figures = metrics_of(samples=samples)["api"]["load"]["GetRun"]
    found: float | None = figures["latency_seconds"]["p99"]
    return found
