"""Coverage of intervals within one execution, and false alarms of the trend test, by simulation.

Each second's level is a first-order autoregressive process; its requests are drawn around that. The interval of ten
batch means should hold the truth in 95 % of all tests, and the trend test should find nothing in 95 % of those
without a trend.

Usage: python -m benchmarks.intervals [--tests 1000]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUESTS = 20
"""Requests of a second."""
MINUTES = (2, 5, 10, 60)
COEFFICIENTS = (0.0, 0.6, 0.9)
SHARES = {"p50": 0.5, "p99": 0.99}
NAMES = (*SHARES, "mean")


def percent(share: float | None) -> str:
    """A share for the table."""
    return "      -" if share is None else f"{100 * share:5.1f} %"


def below(share: float, levels: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """How many requests of each second are below the quantile.

    The latency of a request is the exponential of half of the second's level and a normal number: seconds are slow
    together, and the quantile is the one of all of them.
    """
    from scipy.special import ndtr, ndtri

    spread = np.sqrt(1.0 + 0.5**2)
    return np.asarray(random.binomial(REQUESTS, ndtr(ndtri(share) * spread - 0.5 * levels)))


def coverage(minutes: int, coefficient: float, tests: int) -> dict[str, float | None]:
    """The shares of tests whose interval holds the truth, and of tests that have an interval."""
    from autoregressive import autoregressive

    from kfp_perf.statistics.batch_means import ratio_intervals

    random = np.random.default_rng([minutes, round(10 * coefficient)])
    seconds = 60 * minutes
    totals = np.full(seconds, float(REQUESTS))
    truths = [*SHARES.values(), 1.0]
    held, given = np.zeros(3), np.zeros(3)
    for levels in autoregressive(random, coefficient, seconds, tests):
        hits = [below(share, levels, random) for share in SHARES.values()]
        sums = REQUESTS * (1.0 + 0.5 * levels) + np.sqrt(REQUESTS) * random.normal(size=seconds)
        for place, found in enumerate(ratio_intervals([*hits, sums], totals)):
            if found.half_width is not None:
                given[place] += 1
                held[place] += abs(found.value - truths[place]) <= found.half_width
    return {
        **{f"{name}_given": count / tests for name, count in zip(NAMES, given, strict=True)},
        **{
            f"{name}_holds": good / count if count else None
            for name, good, count in zip(NAMES, held, given, strict=True)
        },
    }


def false_trends(size: int, coefficient: float, whole_seconds: bool, tests: int, change: float) -> float:
    """The share of tests in which a trend was found; values vary by 1 s and change by `change` over the test."""
    from autoregressive import autoregressive

    from kfp_perf.statistics.trend import trend

    random = np.random.default_rng([size, round(10 * coefficient)])
    at = np.arange(float(size))
    count = 0
    for levels in autoregressive(random, coefficient, size, tests):
        values = 38.5 + levels + change * at / size
        found = trend(at, np.floor(values) if whole_seconds else values)
        count += found is not None and found.drifts
    return count / tests


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=1000, help="simulated tests of each kind")
    tests: int = parser.parse_args().tests
    figures: dict[str, Any] = {"tests": tests}
    print("intervals: how many tests have one, and how many of those hold the truth")
    for minutes in MINUTES:
        for coefficient in COEFFICIENTS:
            found = coverage(minutes, coefficient, tests)
            figures[f"interval_{minutes}min_{coefficient}"] = found
            cells = (
                f"{name} {percent(found[name + '_given'])} {percent(found[name + '_holds'])}"
                for name in NAMES
            )
            print(f"  {minutes:>2} min, AR {coefficient}: ", "; ".join(cells), flush=True)
    print("trend: found where there is none, and where values that vary by 1 s change by 1 s")
    for size in (60, 240, 1000):
        for coefficient in COEFFICIENTS:
            for whole in (False, True):
                none, some = (
                    false_trends(size, coefficient, whole, tests // 2, change) for change in (0.0, 1.0)
                )
                kind = "whole seconds" if whole else "exact"
                figures[f"trend_{size}_{coefficient}_{kind.replace(' ', '_')}"] = [none, some]
                print(
                    f"  {size:>4} values, AR {coefficient}, {kind:<13}: {100 * none:5.1f} %, {100 * some:5.1f} %",
                    flush=True,
                )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
