"""`run --until-stable`: how often the interval at which it ended covers the true mean, by simulation.

A rule that ends when the interval is narrow ends too early where the variation happens to look small, so it covers
less than the 95 % of a fixed number of executions. Executions are independent: normal, or skewed (gamma, skewness
1.4) logarithms.

Usage: python -m benchmarks.until_stable [--studies 4000]
"""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.statistics.variation import variation_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIATIONS = (0.02, 0.05, 0.10)
SHARES = (0.03, 0.05)
FEWEST = (2, 5)
MOST = 60
SHAPES = ("normal", "skewed")


def values_of(shape: str, variation: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """The values of the executions of one study, whose true geometric mean is 1."""
    if shape == "normal":
        return np.exp(generator.normal(0.0, variation, MOST))
    form = 2.0
    return np.exp((generator.gamma(form, 1.0, MOST) - form) / math.sqrt(form) * variation)


def simulate(shape: str, variation: float, share: float, fewest: int, studies: int) -> dict[str, Any]:
    """The coverage, and the median number of executions."""
    generator = np.random.default_rng(1)
    covered, counts = 0, []
    for _ in range(studies):
        values = values_of(shape, variation, generator)
        count = fewest
        found = variation_of(list(values[:count]))
        while count < MOST and (found.half_width is None or found.half_width > share):
            count += 1
            found = variation_of(list(values[:count]))
        covered += (found.low or 0.0) <= 1.0 <= (found.high or math.inf)
        counts.append(count)
    return {"coverage": covered / studies, "executions": float(np.median(counts))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=4000)
    studies = parser.parse_args().studies
    figures: dict[str, Any] = {}
    print("values, variation, until, from: coverage, executions in the median")
    for shape in SHAPES:
        for variation in VARIATIONS:
            for share in SHARES:
                for fewest in FEWEST:
                    found = simulate(shape, variation, share, fewest, studies)
                    name = f"{shape} {variation:.0%} until {share:.0%} from {fewest}"
                    print(f"{name}: {found['coverage']:.1%}, {found['executions']:.0f}", flush=True)
                    figures[name] = found
    print(json.dumps({"studies": studies, "results": figures}))


if __name__ == "__main__":
    main()
