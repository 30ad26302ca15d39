"""Thresholds relative to a baseline: how often they are kept, not kept, or cannot be told, by simulation.

One new execution against a baseline of several, by the prediction interval of a further execution, and five
against as many, by Welch's interval. The margin is +10 %. *At the bound*: the new side is truly 10 % slower, so
that each of the two certain verdicts should be given in at most 2.5 % of the cases. *Unchanged*: both sides are
equal, so *not kept* is a false alarm. *+20 %*: *kept* is a missed regression.

Usage: python -m benchmarks.baseline_thresholds [--tests 10000]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

from kfp_perf.statistics.margins import MarginVerdict, decide_margin, difference_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

BASELINES = (3, 5, 10, 20)
MARGIN = 0.10
CHANGES = {"at the bound": 0.10, "unchanged": 0.0, "+20 %": 0.20}
CONFIDENCE = 0.95


def judged(
    shape: str, variation: float, baseline: int, new: int, change: float, tests: int
) -> dict[MarginVerdict, float]:
    """How often each verdict is given where the new side is truly slower by `change`."""
    from execution_noise import SHAPES

    random = np.random.default_rng(
        [*shape.encode(), round(1000 * variation), baseline, new, round(100 * change)]
    )
    before = variation * SHAPES[shape](random, (tests, baseline))
    after = variation * SHAPES[shape](random, (tests, new)) + math.log1p(change)
    counts = dict.fromkeys(MarginVerdict, 0)
    for one, other in zip(before, after, strict=True):
        low, high = difference_of(one, other).interval(CONFIDENCE)
        counts[decide_margin(low, high, math.log1p(MARGIN), is_upper=True)] += 1
    return {verdict: count / tests for verdict, count in counts.items()}


def main() -> None:
    """Print the tables, and a line of JSON with all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=10_000, help="simulated tests for each entry")
    tests = parser.parse_args().tests
    figures: dict[str, dict[str, float]] = {}

    def entry(shape: str, variation: float, baseline: int, new: int, name: str) -> str:
        found = judged(shape, variation, baseline, new, CHANGES[name], tests)
        figures[f"{shape} {variation:g} {new} against {baseline} {name}"] = {
            verdict.value: share for verdict, share in found.items()
        }
        return " / ".join(
            f"{100 * found[one]:.1f}"
            for one in (MarginVerdict.WITHIN, MarginVerdict.UNDECIDED, MarginVerdict.BEYOND)
        )

    sizes = [(1, baseline) for baseline in BASELINES] + [(5, 5)]
    head = "".join(f" {new} against {baseline} |" for new, baseline in sizes)
    print("kept / cannot be told / not kept, in percent")
    for name in CHANGES:
        print(f"\n| {name} |{head}\n|---|{'---|' * len(sizes)}")
        variations = (("normal", 0.02), ("normal", 0.05), ("skewed", 0.05), ("bimodal", 0.05))
        for shape, variation in variations:
            cells = "".join(f" {entry(shape, variation, baseline, new, name)} |" for new, baseline in sizes)
            print(f"| {shape}, {variation:.0%} |{cells}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
