"""How far the windows of a running test are from those of its files, by simulation.

Runs are due at random at a constant rate, for ten minutes, and take log-normal times, longer for a part of the
test.
The counters are read once a second, as an execution does, and the worst window until the end is compared with the
true one: the quantile of all runs due in each window, by their exact times. A threshold with `abortOnFail` whose
bound is at a multiple of that truth should end the test where it is below 1, and not where it is above.

Usage: python -m benchmarks.windows [--tests N] [--seed N]
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.metrics.registry import built_in
from kfp_perf.metrics.window_counters import CountedWindows
from kfp_perf.metrics.windowed import Windowed, windowed
from kfp_perf.result.coarse_histogram import CoarseHistogram
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.statistics.quantiles import quantile
from kfp_perf.statistics.windows import slices_of, worst_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOAD_SECONDS = 600.0
WINDOW_SECONDS = 60.0
FACTORS = (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)
RATES = (1.0, 5.0, 20.0)
QUANTILES = ("p50", "p95")


def made_load(rate: float, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When runs are due, and how long they take, in seconds: up to four times as long for a quarter of the test."""
    due = np.sort(random.uniform(0.0, LOAD_SECONDS, random.poisson(rate * LOAD_SECONDS)))
    took = random.lognormal(np.log(10.0), 0.5, due.size)
    slow_from = random.uniform(0.0, 0.75) * LOAD_SECONDS
    slow = (due >= slow_from) & (due < slow_from + LOAD_SECONDS / 4)
    return due, took * np.where(slow, random.uniform(1.0, 4.0), 1.0)


def true_worst(due: NDArray[np.float64], took: NDArray[np.float64], metric: Windowed, fewest: int) -> float:
    """The worst window's quantile by exact times."""
    slices, step = slices_of(WINDOW_SECONDS)
    worst = 0.0
    for place in range(int(LOAD_SECONDS / step) - slices + 1):
        first, last = np.searchsorted(due, [place * step, place * step + WINDOW_SECONDS])
        if last - first >= fewest:
            worst = max(worst, quantile(took[first:last], metric.share))
    return worst


def seen_worst(
    due: NDArray[np.float64],
    took: NDArray[np.float64],
    metric: Windowed,
    bound: float,
    random: np.random.Generator,
) -> float:
    """The worst that was seen by looking at the counters once a second."""
    windows = CountedWindows(metric, 0.0, LOAD_SECONDS, WINDOW_SECONDS, bound)
    ended = due + took
    order = np.argsort(ended)
    visible = CoarseHistogram()
    worst, done, now = 0.0, 0, random.uniform(0.0, 1.0)
    while done < due.size:
        while done < due.size and ended[order[done]] <= now:
            visible.record(float(took[order[done]]))
            done += 1
        started = int(np.searchsorted(due, now, side="right"))
        counters = ScenarioCounters(
            scenario="s",
            due=started,
            started=started,
            in_flight=started - done,
            outcomes={"succeeded": done},
            visible_seconds=visible.counts.tobytes(),
        )
        windows.add([counters], now)
        found = worst_of(windows.figures(now).figures, "<", bound, metric.fewest)
        worst = max(worst, 0.0 if found is None else found.value)
        now += 1.0 + random.uniform(0.0, 0.05)
    return worst


def measure(tests: int, seed: int) -> list[dict[str, Any]]:
    """Return a row a rate and quantile: the share of tests that a bound at each multiple of the truth would end."""
    rows = []
    for rate in RATES:
        for name in QUANTILES:
            named = built_in().find(f"run.visible.{name}")
            metric = None if named is None else windowed(named)
            if metric is None:
                raise AssertionError(name)
            ratios = []
            for number in range(tests):
                random = np.random.default_rng([seed, number, int(rate)])
                due, took = made_load(rate, random)
                truth = true_worst(due, took, metric, metric.fewest)
                ratios.append(seen_worst(due, took, metric, truth, random) / truth)
            found = np.array(ratios)
            rows.append(
                {
                    "rate_per_second": rate,
                    "quantile": name,
                    "tests": tests,
                    "median_ratio": float(np.median(found)),
                    "highest_ratio": float(found.max()),
                    "ended": {str(factor): float((found >= factor).mean()) for factor in FACTORS},
                }
            )
    return rows


def main() -> None:
    """Simulate, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rows = measure(given.tests, given.seed)
    print("| runs a second | quantile | " + " | ".join(f"bound at {factor:g}" for factor in FACTORS) + " |")
    print("| --- " * (2 + len(FACTORS)) + "|")
    for row in rows:
        shares = " | ".join(f"{share:.0%}".replace("%", " %") for share in row["ended"].values())
        print(f"| {row['rate_per_second']:g} | {row['quantile']} | {shares} |")
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
