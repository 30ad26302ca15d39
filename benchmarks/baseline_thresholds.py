"""Thresholds relative to a baseline: how often they are kept, not kept, or cannot be told, by simulation.

One new execution against a baseline of several, by the prediction interval of a further execution, and five
against as many, by Welch's interval; and the pairs of a duel, by Student's interval of the differences within
them. The margin is +10 %. *At the bound*: the new side is truly 10 % slower, so that each of the two certain
verdicts should be given in at most 2.5 % of the cases. *Unchanged*: both sides are equal, so *not kept* is a false
alarm. *+20 %*: *kept* is a missed regression. Pairs *in a row* are executions of which each depends on the one
before (AR 0.6), while the environment drifts by 10 % over the duel.

Usage: python -m benchmarks.baseline_thresholds [--tests 10000]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kfp_perf.statistics.margins import MarginVerdict, decide_margin, difference_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

BASELINES = (3, 5, 10, 20)
MARGIN = 0.10
CHANGES = {"at the bound": 0.10, "unchanged": 0.0, "+20 %": 0.20}
CONFIDENCE = 0.95
IN_A_ROW = "in a row"


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
    return _shares(before, after)


def in_pairs_judged(
    shape: str, variation: float, pairs: int, change: float, tests: int
) -> dict[MarginVerdict, float]:
    """The same for a duel; the shape `in a row` is executions that depend on each other, with a drift of 10 %."""
    from execution_noise import SHAPES, in_pairs, sequences

    random = np.random.default_rng([*shape.encode(), round(1000 * variation), pairs, round(100 * change)])
    if shape == IN_A_ROW:
        drift = math.log1p(0.10) / variation
        rows = variation * sequences(random, tests, 2 * pairs, coefficient=0.6, drift=drift)
        places = [in_pairs(random, pairs, at_random=True) for _ in range(tests)]
        before = np.array([row[first] for row, (first, _) in zip(rows, places, strict=True)])
        after = np.array([row[second] for row, (_, second) in zip(rows, places, strict=True)])
    else:
        before = variation * SHAPES[shape](random, (tests, pairs))
        after = variation * SHAPES[shape](random, (tests, pairs))
    return _shares(before, after + math.log1p(change), paired=True)


def _shares(
    before: NDArray[np.float64], after: NDArray[np.float64], *, paired: bool = False
) -> dict[MarginVerdict, float]:
    counts = dict.fromkeys(MarginVerdict, 0)
    for one, other in zip(before, after, strict=True):
        low, high = difference_of(one, other, paired=paired).interval(CONFIDENCE)
        counts[decide_margin(low, high, math.log1p(MARGIN), is_upper=True)] += 1
    return {verdict: count / len(before) for verdict, count in counts.items()}


def main() -> None:
    """Print the tables, and a line of JSON with all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=int, default=10_000, help="simulated tests for each entry")
    tests = parser.parse_args().tests
    figures: dict[str, dict[str, float]] = {}

    def entry(key: str, found: dict[MarginVerdict, float]) -> str:
        figures[key] = {verdict.value: share for verdict, share in found.items()}
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
            cells = "".join(
                f" {entry(f'{shape} {variation:g} {new} against {baseline} {name}', found)} |"
                for new, baseline in sizes
                for found in [judged(shape, variation, baseline, new, CHANGES[name], tests)]
            )
            print(f"| {shape}, {variation:.0%} |{cells}")
    heads = "".join(f" {pairs} pairs |" for pairs in BASELINES)
    for name in CHANGES:
        print(f"\n| {name} |{heads}\n|---|{'---|' * len(BASELINES)}")
        for shape in ("normal", "skewed", "bimodal", IN_A_ROW):
            cells = "".join(
                f" {entry(f'{shape} 0.05 {pairs} pairs {name}', found)} |"
                for pairs in BASELINES
                for found in [in_pairs_judged(shape, 0.05, pairs, CHANGES[name], tests)]
            )
            print(f"| {shape}, 5% |{cells}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
