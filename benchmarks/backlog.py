"""False alarms and power of the lag rule, which decides whether a load fell behind.

Loads of five shapes go through the emulator's cluster model (profile kfp-2.17, hello.yaml, whose capacity is 100
runs a minute) and through a queue with a few servers, both in virtual time. All are observed as in a test: by polls
and by counts per second.

Usage: python -m benchmarks.backlog [--tests 300]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from kfp_perf.statistics.backlog import Backlog

    Judge = Callable[[int], Backlog]

CAPACITY = 100 / 60
MINUTE = 60.0
SERVICE_SECONDS = 20.0


def shares(count: int, judge: Judge) -> dict[str, float]:
    """The shares of tests that were flagged, and of those that were too short to judge."""
    found: Counter[str] = Counter()
    for number in range(count):
        verdict = judge(number)
        found["short"] += not verdict.judged
        found["behind"] += verdict.behind
    return {key: found[key] / count for key in ("behind", "short")}


def on_cluster(shape: str, low: float, high: float, minutes: float) -> Judge:
    """A test of the cluster model whose highest rate is between two shares of the capacity."""
    from cluster_load import visible_times
    from open_loads import SHAPES, due_times, judge_times

    def judge(number: int) -> Backlog:
        random = np.random.default_rng([number, SHAPES.index(shape), round(minutes)])
        seconds = minutes * MINUTE
        due = due_times(shape, random.uniform(low, high) * CAPACITY, seconds, random)
        return judge_times(due, visible_times(due, until=seconds, seed=number), load_end=seconds)

    return judge


def on_queue(
    servers: int,
    load: float,
    minutes: float,
    *,
    shape: str = "poisson",
    service: Callable[[np.random.Generator, int], NDArray[np.float64]],
) -> Judge:
    """A test of a queue at a share of its capacity; `service` draws times whose mean is 20 s."""
    from open_loads import due_times, judge_times, queue_times

    def judge(number: int) -> Backlog:
        random = np.random.default_rng([number, servers, round(100 * load), round(minutes)])
        seconds = minutes * MINUTE
        due = due_times(shape, load * servers / SERVICE_SECONDS, seconds, random)
        left = queue_times(due, service(random, due.size), servers)
        return judge_times(due, left, load_end=seconds)

    return judge


def lognormal(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Service times that vary by a half of their mean."""
    sigma = float(np.sqrt(np.log(1.25)))
    return SERVICE_SECONDS * random.lognormal(-(sigma**2) / 2, sigma, size)


def mostly_cached(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Half of the runs take a second, and the others 39."""
    return np.where(random.random(size) < 0.5, 1.0, 39.0)


def row(label: str, found: dict[str, float]) -> dict[str, float]:
    """Print a line of a table."""
    print(
        f"  {label:<44} flagged {100 * found['behind']:5.1f} %, too short {100 * found['short']:5.1f} %",
        flush=True,
    )
    return found


def main() -> None:
    """Simulate, and print."""
    from open_loads import SHAPES

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=300, help="simulated tests of each kind")
    tests: int = parser.parse_args().tests
    figures: dict[str, Any] = {"tests": tests}
    print("cluster model, 30 to 80 % of its capacity; 2 and 3 min, and 5, 10 and 20 min")
    for shape in SHAPES:
        for label, lengths in (("short", (2, 3)), ("long", (5, 10, 20))):
            judges = [on_cluster(shape, 0.3, 0.8, minutes) for minutes in lengths]
            found = shares(
                tests,
                lambda number, judges=judges: judges[number % len(judges)](number),  # type: ignore[misc]
            )
            figures[f"healthy_{label}_{shape}"] = row(f"{shape}, {label}", found)
    print("cluster model, beyond its capacity; evenly spaced")
    for minutes in (3, 5, 10):
        for load in (0.9, 1.0, 1.05, 1.1, 1.2, 1.5, 3.0, 6.0):
            found = shares(tests // (3 if load < 2.0 else 15), on_cluster("constant", load, load, minutes))
            figures[f"cluster_{100 * load:.0f}_{minutes}min"] = row(
                f"{100 * load:.0f} %, {minutes} min", found
            )
    print("queue, Poisson arrivals, 20 min")
    for servers in (2, 8, 40):
        for load in (0.5, 0.8, 0.9, 0.95, 1.05, 1.2):
            found = shares(tests, on_queue(servers, load, 20, service=lognormal))
            figures[f"queue_{servers}_{100 * load:.0f}"] = row(
                f"{servers} servers, {100 * load:.0f} %", found
            )
    print("queue, half of the runs take 1 s and half 39 s, evenly spaced, 80 %")
    for minutes in (5, 20):
        found = shares(tests, on_queue(40, 0.8, minutes, shape="constant", service=mostly_cached))
        figures[f"cached_{minutes}min"] = row(f"{minutes} min", found)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
