"""Searches for the capacity of random clusters whose capacity is known from long runs.

On the emulator's cluster model, in virtual time and without HTTP. The second limit of each cluster is at least
20 % above the first. Printed are the shares of intervals that hold the truth, of answers within 5 % of it, and
of bottlenecks that were named right; the plateaus and the virtual minutes of a search; and the shares of
plateaus that the cliff guard ended. The last line is one JSON object. A cluster takes some 25 s of CPU.

Usage: python -m benchmarks.capacity [--clusters 200] [--precision 0.05 0.1]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from capacity_cluster import KnownCluster

    from kfp_perf.studies.capacity.plateau import Plateau

FORMULA = ("pods", "throttle", "reporter")
"""The limits that have a formula: passes of the controller's workers can only be counted."""


class Searched(NamedTuple):
    """One search: its answer over the truth, whether the interval holds that, and what it took."""

    component: str
    ratio: float | None
    holds: bool
    named: bool
    plateaus: int
    minutes: float


def searched(cluster: KnownCluster, truth: float, precision: float, seed: int) -> Searched:
    """Search one cluster."""
    from capacity_cluster import GIVES_WAY, first_rate, search

    from kfp_perf.studies.capacity.plateau import Part
    from kfp_perf.studies.capacity.search import SearchLimits, answer

    limits = SearchLimits(first_rate(cluster, seed), precision=precision)
    done, _, gave_way = search(cluster, limits, seed=seed)
    found = answer(limits, done)
    holds = found.rate is not None and (found.low or 0.0) <= truth <= (found.high or 0.0)
    return Searched(
        cluster.bottleneck,
        None if found.rate is None else found.rate / truth,
        holds,
        gave_way == GIVES_WAY[cluster.bottleneck],
        sum(one.step.part is Part.PLATEAU for one in done),
        sum(one.seconds for one in done) / 60.0,
    )


def guarded(cluster: KnownCluster, truth: float, load: float, runs: int, seed: int) -> Plateau:
    """One plateau at a share of the capacity, as a search plans it."""
    from capacity_cluster import measure

    from kfp_perf.studies.capacity.plateau import Part, PlannedPlateau

    light = PlannedPlateau(Part.LIGHT, 0.3 * truth, 0.0, 12.0 / (0.3 * truth))
    typical = measure(cluster.profile, light, seed=seed)[0].visible_p90 or 60.0
    rate = load * truth
    planned = PlannedPlateau(Part.PLATEAU, rate, 2.0 * typical, runs / rate, typical)
    return measure(cluster.profile, planned, seed=seed)[0]


def summary(label: str, found: list[Searched]) -> dict[str, float]:
    """Print a line of the table."""
    within = np.mean([one.ratio is not None and abs(one.ratio - 1.0) <= 0.05 for one in found])
    holds, named = (np.mean([getattr(one, name) for one in found]) for name in ("holds", "named"))
    plateaus, minutes = (np.array([getattr(one, name) for one in found]) for name in ("plateaus", "minutes"))
    print(
        f"  {label:<12}{len(found):>5} searches: within 5 % {100 * within:5.1f} %, holds {100 * holds:5.1f} %, "
        f"named {100 * named:5.1f} %, plateaus {np.median(plateaus):.0f} (at most {plateaus.max()}), "
        f"{np.median(minutes):.0f} min (p90 {np.percentile(minutes, 90):.0f})",
        flush=True,
    )
    return {
        "within_5_percent": float(within),
        "holds": float(holds),
        "named": float(named),
        "most_plateaus": int(plateaus.max()),
        "minutes_p50": float(np.median(minutes)),
        "minutes_p90": float(np.percentile(minutes, 90)),
    }


def main() -> None:
    """Search, and print."""
    from capacity_cluster import random_cluster, true_capacity

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--precision", type=float, nargs="+", default=[0.05, 0.1])
    wanted = parser.parse_args()
    clusters = [random_cluster(seed) for seed in range(wanted.clusters)]
    truths = [true_capacity(one) for one in clusters]
    off = [
        abs(truth / one.capacity - 1.0)
        for one, truth in zip(clusters, truths, strict=True)
        if one.bottleneck in FORMULA
    ]
    print(
        f"long runs and formula differ by {100 * max(off):.1f} % at most, {100 * np.median(off):.1f} % typically"
    )
    figures: dict[str, Any] = {"clusters": len(clusters), "formula_off": max(off)}
    for precision in wanted.precision:
        print(f"precision {100 * precision:g} %")
        found = [
            searched(one, truth, precision, seed)
            for seed, (one, truth) in enumerate(zip(clusters, truths, strict=True))
        ]
        figures[f"precision_{100 * precision:g}"] = summary("all", found)
        for component in sorted({one.component for one in found}):
            summary(component, [one for one in found if one.component == component])
    print("plateaus at a share of the capacity")
    for load in (0.8, 0.9, 1.1, 1.3):
        counts: Counter[str] = Counter()
        for seed, (one, truth) in enumerate(zip(clusters, truths, strict=True)):
            for runs in (600, 1200):
                plateau = guarded(one, truth, load, runs, 10 * seed + runs)
                counts["all"] += 1
                counts["stopped"] += bool(plateau.stopped)
                counts["failed"] += not plateau.held
        print(
            f"  {100 * load:.0f} %: {counts['stopped']} of {counts['all']} stopped, {counts['failed']} did not hold"
        )
        figures[f"stopped_at_{100 * load:.0f}"] = counts["stopped"]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
