"""Comparisons of the emulator with itself, in virtual time: executors that take 10 % longer, and nothing changed.

An execution is 300 runs on the profile kfp-2.17, with a seed of its own. A pool of them with equal executors gives
A/A comparisons: two different sides are drawn from it many times. The first side of the pool is compared with
executions whose executors take 10 % longer.

Usage: python -m benchmarks.comparison_emulated [--pool 40] [--runs 300]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from kfp_perf.compare import ComparedExecution, Side, compare_sides, read_side

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

DRAWS = 200
SIDE = 10
RATE_PER_MINUTE = 30
METRICS = (
    "run.visible.mean",
    "phase.execute.mean",
    "run.duration.mean",
    "run.visible.p95",
    "run.visible.p50",
)


def pool(folder: Path, median: float, p99: float, count: int, runs: int, first_seed: int) -> Side:
    """So many executions, with these executors."""
    from emulated_executions import execute, write_profile

    folder.mkdir()
    profile = write_profile(folder, "profile", "kfp-2.17", median, p99)
    load = {"runTime": f"{60 * runs // RATE_PER_MINUTE}s", "arrivalRate": f"{RATE_PER_MINUTE}/min"}
    for place in range(count):
        execute(folder / "executions", f"{place:03}", profile, first_seed + place, load)
    return read_side([folder])


def of_metric(baseline: list[ComparedExecution], new: list[ComparedExecution], name: str) -> Any:
    """The comparison of one metric of two lists of executions."""
    found = compare_sides(Side("a", tuple(baseline)), Side("b", tuple(new)))
    return next(one for one in found.metrics if one.name == name)


def main() -> None:
    """Execute, compare, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=int, default=40, help="executions to draw A/A comparisons from")
    parser.add_argument("--runs", type=int, default=300, help="runs of an execution")
    options = parser.parse_args()
    figures: dict[str, Any] = {"pool": options.pool, "runs": options.runs}
    with tempfile.TemporaryDirectory() as folder:
        same = pool(Path(folder, "a"), 8.0, 40.0, options.pool, options.runs, 1)
        longer = pool(Path(folder, "b"), 8.8, 44.0, SIDE, options.runs, 1001)
        print(f"{SIDE} executions a side, executors 10 % longer:")
        for name in METRICS:
            found = of_metric(list(same.executions[:SIDE]), list(longer.executions), name)
            spread = np.std(np.log([value for value in found.baseline.values if value]), ddof=1)
            text = "no interval" if found.low is None else f"{found.low:+.1%} to {found.high:+.1%}"
            print(f"  {name:<20} {found.change:+.1%} ({text}): {found.verdict}; CV {spread:.1%}", flush=True)
            figures[f"longer_{name}"] = [found.change, found.low, found.high, found.verdict]
        random = np.random.default_rng(1)
        verdicts: Counter[str] = Counter()
        for _ in range(DRAWS):
            drawn = random.permutation(options.pool)[: 2 * SIDE]
            sides = [[same.executions[place] for place in half] for half in (drawn[:SIDE], drawn[SIDE:])]
            verdicts[of_metric(sides[0], sides[1], METRICS[0]).verdict] += 1
        shares = {verdict: count / DRAWS for verdict, count in verdicts.most_common()}
        print(f"nothing changed, {DRAWS} draws from the pool, {METRICS[0]}: ", end="")
        print(", ".join(f"{verdict} {share:.0%}" for verdict, share in shares.items()))
        figures["nothing_changed"] = shares
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
