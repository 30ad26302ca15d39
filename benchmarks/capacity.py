"""Searches for the capacity of random clusters whose capacity is known from long runs.

On the emulator's cluster model, in virtual time and without HTTP. The second limit of each cluster is at least
20 % above the first. Printed are the shares of intervals that hold the truth, of answers within 5 and 10 % of it,
and of bottlenecks that were named right; the plateaus and the virtual minutes of a search; and the shares of
plateaus that the cliff guard ended. The last line is one JSON object.

A cluster takes some 20 s of CPU, so 200 of them take half an hour on two cores. With `--rows FILE` the results of
each cluster are added to that file, a line each, and a later call with the same `--precision` goes on from there.
Remove the file when the code has changed.

Usage: python -m benchmarks.capacity [--clusters 200] [--precision 0.05 0.1] [--processes 2] [--rows FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capacity_cluster import KnownCluster

    from kfp_perf.studies.capacity.plateau import Plateau

FORMULA = ("pods", "throttle", "reporter")
"""The limits that have a formula: passes of the controller's workers can only be counted."""
LOADS = (0.8, 0.9, 1.1, 1.3)
"""Of the capacity, at which the cliff guard is tried."""
PLATEAU_RUNS = (600, 1200)


class Searched(msgspec.Struct, frozen=True):
    """One search: its answer over the truth, whether the interval holds that, and what it took."""

    precision: float
    ratio: float | None
    holds: bool
    named: bool
    plateaus: int
    minutes: float


class Guarded(msgspec.Struct, frozen=True):
    """One plateau at a share of the capacity: whether the cliff guard ended it, and whether it held."""

    load: float
    stopped: bool
    held: bool


class ClusterResult(msgspec.Struct, frozen=True):
    """What one cluster showed. `formula` and `truth` are its capacity in operations a second."""

    seed: int
    component: str
    formula: float
    truth: float
    searches: tuple[Searched, ...]
    plateaus: tuple[Guarded, ...]


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
        precision,
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


def result_of(seed: int, precisions: Sequence[float]) -> ClusterResult:
    """Find the truth of one cluster, search it, and try the cliff guard on it."""
    from capacity_cluster import random_cluster, true_capacity

    cluster = random_cluster(seed)
    truth = true_capacity(cluster)
    plateaus = [
        (load, guarded(cluster, truth, load, runs, 10 * seed + runs))
        for load in LOADS
        for runs in PLATEAU_RUNS
    ]
    return ClusterResult(
        seed,
        cluster.bottleneck,
        cluster.capacity,
        truth,
        tuple(searched(cluster, truth, one, seed) for one in precisions),
        tuple(Guarded(load, bool(one.stopped), one.held) for load, one in plateaus),
    )


def _read(rows: Path) -> Iterator[ClusterResult]:
    """The results in a file; a line that was cut off is left out."""
    decoder = msgspec.json.Decoder(ClusterResult)
    for line in rows.read_bytes().splitlines() if rows.exists() else ():
        with contextlib.suppress(msgspec.DecodeError):
            yield decoder.decode(line)


def results(
    clusters: int, precisions: Sequence[float], processes: int, rows: Path | None
) -> list[ClusterResult]:
    """The results of all clusters in the order of their seeds, those in the file first; prints the progress."""
    found = {
        one.seed: one
        for one in (() if rows is None else _read(rows))
        if one.seed < clusters and [each.precision for each in one.searches] == list(precisions)
    }
    before, began = len(found), time.monotonic()
    with contextlib.ExitStack() as stack:
        file = None if rows is None else stack.enter_context(rows.open("ab"))
        pool = stack.enter_context(ProcessPoolExecutor(processes))
        stack.callback(pool.shutdown, cancel_futures=True)
        missing = [seed for seed in range(clusters) if seed not in found]
        for future in as_completed([pool.submit(result_of, seed, precisions) for seed in missing]):
            one = future.result()
            found[one.seed] = one
            if file is not None:
                file.write(msgspec.json.encode(one) + b"\n")
                file.flush()
            minutes = (time.monotonic() - began) / 60.0
            left = minutes / (len(found) - before) * (clusters - len(found))
            print(
                f"{len(found)} of {clusters} clusters, {minutes:.0f} min, about {left:.0f} min left",
                file=sys.stderr,
                flush=True,
            )
    return [found[seed] for seed in sorted(found)]


def print_formula(found: Sequence[ClusterResult]) -> float:
    """Print how far long runs and formula are apart; return the largest difference."""
    print("long runs against the formula")
    most = 0.0
    for component in FORMULA:
        off = [abs(one.truth / one.formula - 1.0) for one in found if one.component == component]
        if off:
            most = max(most, *off)
            print(
                f"  {component:<12}{len(off):>5} clusters: {100 * np.median(off):.1f} % apart in the median, "
                f"{100 * max(off):.1f} % at most"
            )
    return most


def print_searches(label: str, found: Sequence[Searched]) -> dict[str, float]:
    """Print a line of the table."""

    def share_within(most: float) -> float:
        return sum(one.ratio is not None and abs(one.ratio - 1.0) <= most for one in found) / len(found)

    holds, named = (sum(getattr(one, name) for one in found) / len(found) for name in ("holds", "named"))
    plateaus = [one.plateaus for one in found]
    p50, p90 = np.percentile([one.minutes for one in found], [50, 90])
    print(
        f"  {label:<12}{len(found):>5} searches: within 5 % {100 * share_within(0.05):5.1f} %, "
        f"10 % {100 * share_within(0.1):5.1f} %, holds {100 * holds:5.1f} %, named {100 * named:5.1f} %, "
        f"plateaus {np.median(plateaus):.0f} (at most {max(plateaus)}), {p50:.0f} min (p90 {p90:.0f})"
    )
    return {
        "within_5_percent": share_within(0.05),
        "within_10_percent": share_within(0.1),
        "holds": holds,
        "named": named,
        "most_plateaus": max(plateaus),
        "minutes_p50": float(p50),
        "minutes_p90": float(p90),
    }


def print_guarded(found: Sequence[ClusterResult]) -> dict[str, int]:
    """Print how many plateaus at each load the guard ended, and how many did not hold."""
    print("plateaus at a share of the capacity")
    stopped = {}
    for load in LOADS:
        plateaus = [each for one in found for each in one.plateaus if each.load == load]
        stopped[f"stopped_at_{100 * load:.0f}"] = count = sum(one.stopped for one in plateaus)
        failed = sum(not one.held for one in plateaus)
        print(f"  {100 * load:.0f} %: {count} of {len(plateaus)} stopped, {failed} did not hold")
    return stopped


def main() -> None:
    """Search, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--precision", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rows", type=Path, help="a file that results are added to, and taken from")
    wanted = parser.parse_args()
    found = results(wanted.clusters, wanted.precision, wanted.processes, wanted.rows)
    figures: dict[str, Any] = {"clusters": len(found), "formula_off": print_formula(found)}
    for place, precision in enumerate(wanted.precision):
        print(f"precision {100 * precision:g} %")
        figures[f"precision_{100 * precision:g}"] = print_searches(
            "all", [one.searches[place] for one in found]
        )
        for component in sorted({one.component for one in found}):
            print_searches(component, [one.searches[place] for one in found if one.component == component])
    print(json.dumps(figures | print_guarded(found)))


if __name__ == "__main__":
    main()
