"""Deleting the runs of a plateau while its last ones drain: what that delays, and the minutes that it saves.

On the emulator's cluster model, in virtual time and without HTTP. Random clusters are searched, and each plateau
whose load was not ended early is played again; so is one of 1,200 runs at 105 % of the capacity. Deletions are made
after the last run was seen to end, or from the end of the load on: eight at a time, one at a time, and one at a
time where the server kept up with the load, as a search does.

Printed are means of plateaus: the seconds from due to visible of the runs that were in flight at the end of the
load, the 90 % quantile of that of all runs, the seconds from the end of the load until the last end was visible,
and until all were deleted; then the minutes of a search.

Usage: python -m benchmarks.early_deletion [--clusters 12]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kfp_perf.runners.early_deletion import kept_up

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

if TYPE_CHECKING:
    from kfp_emulator.cluster.timing import Profile

AFTERWARDS_PARALLEL = 8
POLICIES = {"afterwards": 0, "eight at a time": 8, "one at a time": 1, "one, where it kept up": 1}
"""How many deletions are made at a time while runs drain."""
OVERLOAD, OVERLOAD_RUNS = 1.05, 1200


class Drained(NamedTuple):
    """A plateau, in seconds: what its last runs took, when all had ended, and when all were deleted."""

    last_runs: float
    visible_p90: float
    drain: float
    deleted: float


class Deletions:
    """Deletes runs at the throttle that creations and final reports wait at too."""

    def __init__(self, runs: Any) -> None:
        self._runs = runs
        self._ended: deque[int] = deque()
        self._busy = 0
        self._parallel = 0
        self.done = 0
        runs.on_end = self._on_end

    def allow(self, parallel: int) -> None:
        """Make so many at a time from now on."""
        self._parallel = parallel
        self._next()

    def _on_end(self, number: int) -> None:
        self._ended.append(number)
        self._next()

    def _next(self) -> None:
        while self._ended and self._busy < self._parallel:
            self._ended.popleft()
            self._busy += 1
            clock = self._runs.clock
            clock.call_at(clock.now() + self._runs.cluster.create_delay(), self._deleted)

    def _deleted(self) -> None:
        self._busy -= 1
        self.done += 1
        self._next()


def play(profile: Profile, rate: float, filling: float, seconds: float, policy: str, seed: int) -> Drained:
    """A plateau with its deletions."""
    from capacity_cluster import Runs

    runs = Runs(profile, rate, seconds, seed)
    deletions = Deletions(runs)
    runs.advance(filling)
    before, filled = runs.started - runs.left, runs.started
    runs.advance(seconds)
    healthy = kept_up(before, runs.started - runs.left, runs.started - filled)
    if policy != "one, where it kept up" or healthy:
        deletions.allow(POLICIES[policy])
    at = seconds
    while runs.left < runs.due.size:
        at += 1.0
        runs.advance(at)
    deletions.allow(AFTERWARDS_PARALLEL)
    while deletions.done < runs.due.size:
        at += 1.0
        runs.advance(at)
    waits = runs.visible - runs.due
    last = waits[runs.visible > seconds]
    return Drained(
        float(last.mean()) if last.size else 0.0,
        float(np.percentile(waits, 90)),
        max(0.0, float(runs.visible.max()) - seconds),
        at - seconds,
    )


def main() -> None:
    """Search, play again, and print."""
    from capacity_cluster import first_rate, random_cluster, search

    from kfp_perf.studies.capacity.search import SearchLimits

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clusters", type=int, default=12)
    wanted = parser.parse_args()
    found: dict[str, list[Drained]] = {}
    minutes: dict[str, list[float]] = {policy: [] for policy in POLICIES}
    for seed in range(wanted.clusters):
        cluster = random_cluster(seed)
        done, _, _ = search(cluster, SearchLimits(first_rate(cluster, seed), precision=0.05), seed=seed)
        limited = "throttle" if cluster.bottleneck == "throttle" else "others"
        for policy in POLICIES:
            whole = 0.0
            for place, one in enumerate(done):
                if one.stopped:
                    # What is in flight is terminated; deletions begin at once.
                    whole += (
                        one.seconds + one.rate * one.seconds / cluster.profile.kubernetes_calls_per_second
                    )
                    continue
                step = one.step
                load = (one.rate, step.fill_seconds, step.load_seconds)
                drained = play(cluster.profile, *load, policy, 100 * seed + place)
                whole += step.load_seconds + drained.deleted
                found.setdefault(f"{limited} search, {policy}", []).append(drained)
            rate, filling = OVERLOAD * cluster.capacity, 120.0
            drained = play(cluster.profile, rate, filling, filling + OVERLOAD_RUNS / rate, policy, seed)
            found.setdefault(f"{limited} overload, {policy}", []).append(drained)
            minutes[policy].append(whole / 60.0)
        print(f"{seed + 1} of {wanted.clusters} clusters", file=sys.stderr, flush=True)
    figures: dict[str, Any] = {}
    for name in sorted(found):
        means = Drained(*(float(np.mean(column)) for column in zip(*found[name], strict=True)))
        print(
            f"{name:<42}{len(found[name]):>4} plateaus: last runs {means.last_runs:6.1f} s, "
            f"p90 {means.visible_p90:6.1f} s, drained {means.drain:6.1f} s, deleted {means.deleted:6.1f} s"
        )
        figures[name] = means._asdict()
    for policy, values in minutes.items():
        print(
            f"a search, {policy:<24}{np.median(values):6.1f} min in the median, {np.mean(values):6.1f} in the mean"
        )
        figures[f"minutes, {policy}"] = float(np.mean(values))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
