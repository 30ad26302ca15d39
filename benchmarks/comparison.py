"""Comparisons of executions: false alarms, coverage and power, by simulation, and where they stop holding.

Each simulated comparison has one value of each execution and side. A *false alarm* is a verdict "higher" or "lower"
where nothing differs; *coverage* is how often the 95 % interval holds the true difference; *power* is how often a
true difference is found. "Same" is decided before "higher" and "lower", with 5 % as the bound.

Usage: python -m benchmarks.comparison [--pairs 10000]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.statistics.comparison import ChangeVerdict, decide, estimate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = (3, 5, 10, 20)
VARIATION = 0.05
"""Standard deviation of the logarithm of an execution's value where nothing else is said."""
CHANGE = 0.10
WITHIN = 0.05
ORDERS = ("sequential", "ABBA", "random")
"""AAA BBB; AB BA AB analysed as pairs; pairs whose order is drawn, analysed as pairs."""


def compared(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    truth: float,
    *,
    paired: bool = False,
    metrics: int = 1,
) -> dict[str, float]:
    """How often each verdict was given and the interval held `truth`; a row a comparison."""
    verdicts = dict.fromkeys(ChangeVerdict, 0)
    found = held = 0
    squares = 0.0
    for one, other in zip(before, after, strict=True):
        difference = estimate(one, other, paired=paired)
        low, high = difference.interval(1.0 - 0.05 / metrics)
        held += low <= truth <= high
        found += not low <= 0.0 <= high
        squares += (difference.difference - truth) ** 2
        verdicts[decide(difference, WITHIN, metrics)] += 1
    count = len(before)
    return {
        "excludes_zero": found / count,
        "coverage": held / count,
        "rmse": math.sqrt(squares / count),
        **{verdict.value: number / count for verdict, number in verdicts.items()},
    }


def independent(
    shape: str, size: int, pairs: int, *, change: float = 0.0, other: str = ""
) -> dict[str, float]:
    """Executions that do not depend on each other; `other` is the shape of the new side, if it is another."""
    from execution_noise import SHAPES

    random = np.random.default_rng([size, *shape.encode(), *other.encode()])
    before = VARIATION * SHAPES[shape](random, (pairs, size))
    after = VARIATION * SHAPES[other or shape](random, (pairs, size)) + change
    return compared(before, after, change)


def unequal(sizes: tuple[int, int], spreads: tuple[float, float], pairs: int) -> dict[str, float]:
    """Normal executions of which the sides have different numbers and standard deviations."""
    random = np.random.default_rng([*sizes, *(round(1000 * spread) for spread in spreads)])
    before, after = (
        spread * random.normal(size=(pairs, size)) for size, spread in zip(sizes, spreads, strict=True)
    )
    return compared(before, after, 0.0)


def outliers(size: int, pairs: int) -> dict[str, float]:
    """One execution in twenty of the new side is 50 % longer; the truth is the mean with them."""
    random = np.random.default_rng([size, 20])
    before, after = VARIATION * random.normal(size=(2, pairs, size))
    return compared(
        before, after + math.log(1.5) * (random.random((pairs, size)) < 0.05), math.log(1.5) * 0.05
    )


def powers(variation: float, size: int, pairs: int) -> tuple[float, float]:
    """The power for +10 %, of one metric and of one of three."""
    random = np.random.default_rng([size, round(1000 * variation)])
    before = variation * random.normal(size=(pairs, size))
    after = variation * random.normal(size=(pairs, size)) + math.log1p(CHANGE)
    one, three = (compared(before, after, math.log1p(CHANGE), metrics=count) for count in (1, 3))
    return one["excludes_zero"], three["excludes_zero"]


def in_order(size: int, pairs: int, *, coefficient: float, drift: float, order: str) -> dict[str, float]:
    """Two equal sides in an order of `ORDERS`; `drift` is relative, from the first execution to the last."""
    from execution_noise import in_pairs, sequences

    random = np.random.default_rng([size, round(10 * coefficient), round(100 * drift)])
    rows = VARIATION * sequences(
        random, pairs, 2 * size, coefficient=coefficient, drift=math.log1p(drift) / VARIATION
    )
    if order == "sequential":
        return compared(rows[:, :size], rows[:, size:], 0.0)
    places = [in_pairs(random, size, at_random=order == "random") for _ in rows]
    before, after = (
        np.array([row[place[side]] for row, place in zip(rows, places, strict=True)]) for side in (0, 1)
    )
    return compared(before, after, 0.0, paired=True)


def alike(pairs: int, figures: dict[str, Any]) -> None:
    """Sides of one shape."""
    print(
        f"independent executions, CV {VARIATION:.0%}: false alarms (95 % interval without 0), coverage at +10 %"
    )
    for shape in ("normal", "skewed", "bimodal"):
        for size in SIZES:
            none = independent(shape, size, pairs)
            some = independent(shape, size, pairs, change=math.log1p(CHANGE))
            figures[f"{shape}_{size}"] = {"none": none, "some": some}
            alarms = none["higher"] + none["lower"]
            print(
                f"  {shape:<8} {size:>2} a side: interval without 0 {none['excludes_zero']:6.1%}, "
                f"higher or lower {alarms:6.1%}, same {none['same']:6.1%}; coverage {some['coverage']:6.1%}",
                flush=True,
            )


def unlike(pairs: int, figures: dict[str, Any]) -> None:
    """Sides that differ in more than their mean."""
    print("sides of different shape: coverage of no difference of means")
    for shape, other in (("normal", "skewed"), ("normal", "bimodal"), ("skewed", "bimodal")):
        for size in SIZES:
            found = independent(shape, size, pairs, other=other)
            figures[f"{shape}_{other}_{size}"] = found
            print(f"  {shape} and {other}, {size:>2} a side: {found['coverage']:6.1%}", flush=True)
    print("sides of different number and spread: coverage")
    for sizes in ((3, 20), (5, 20), (20, 3), (20, 5)):
        found = unequal(sizes, (0.05, 0.15), pairs)
        figures[f"unequal_{sizes}"] = found
        print(f"  {sizes[0]} with CV 5 %, {sizes[1]} with CV 15 %: {found['coverage']:6.1%}", flush=True)
    print("one execution in twenty of one side is 50 % longer: coverage of the mean with them")
    for size in SIZES:
        figures[f"outliers_{size}"] = found = outliers(size, pairs)
        print(f"  {size:>2} a side: {found['coverage']:6.1%}", flush=True)


def found_or_same(pairs: int, figures: dict[str, Any]) -> None:
    """What is found, and what is called the same."""
    print("nothing changed: how often that is called the same within 5 %")
    for variation in (0.01, 0.02, 0.03, 0.05):
        shares = [unequal((size, size), (variation, variation), pairs)["same"] for size in SIZES]
        figures[f"same_{variation}"] = shares
        print(f"  CV {variation:4.0%}: ", "  ".join(f"{share:4.0%}" for share in shares), flush=True)
    print("power for +10 %: one metric (one of three)")
    for variation in (0.03, 0.05, 0.10):
        cells = []
        for size in SIZES:
            one, three = powers(variation, size, pairs)
            figures[f"power_{variation}_{size}"] = [one, three]
            cells.append(f"{one:4.0%} ({three:4.0%})")
        print(f"  CV {variation:4.0%}: ", "  ".join(cells), flush=True)


def ordered(pairs: int, figures: dict[str, Any]) -> None:
    """Executions that depend on when they ran."""
    print("equal sides in the order of time: false alarms, and root mean square error of the difference")
    for coefficient in (0.0, 0.3, 0.6):
        for drift in (0.0, 0.10):
            for size in SIZES:
                orders = {
                    order: in_order(size, pairs, coefficient=coefficient, drift=drift, order=order)
                    for order in ORDERS
                }
                figures[f"order_{coefficient}_{drift}_{size}"] = orders
                cells = [
                    f"{name} {one['excludes_zero']:6.1%}, {one['rmse']:.2%}" for name, one in orders.items()
                ]
                print(
                    f"  AR {coefficient}, drift {drift:3.0%}, {size:>2} a side: ",
                    "; ".join(cells),
                    flush=True,
                )


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10_000, help="simulated comparisons of each kind")
    pairs: int = parser.parse_args().pairs
    figures: dict[str, Any] = {"pairs": pairs}
    for part in (alike, unlike, found_or_same, ordered):
        part(pairs, figures)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
