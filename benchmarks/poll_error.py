"""Error of a run's duration by poll interval: from the server's times, and from the client's own clock.

A client that measures a run's duration with its own clock, from the answer of CreateRun until it sees the end, is
late by the server's reporting and by up to its poll interval. kfp-perf uses the server's times, so that the poll
interval has no influence. Both are compared with the emulator's true times (profile `fast`), in real time.

Usage: python -m benchmarks.poll_error [--seconds N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import emulator, say_surroundings
from benchmarks.truth import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.result.records import RunRecord

INTERVALS_SECONDS = (0.25, 1.0, 2.0, 5.0, 10.0)
#: Many runs a minute at random times, so that their ends are anywhere between two polls.
RUNS_PER_MINUTE = 90


def true_durations(url: str) -> dict[str, float]:
    """The true time from creation to finish of each run, from the emulator."""
    told: dict[str, dict[str, float]] = {}
    with urllib.request.urlopen(f"{url}/emulator/v1/truth") as answer:
        for line in answer:
            event = json.loads(line)
            if "task" not in event:
                told.setdefault(event["run_id"], {})[event["what"]] = event["at_us"] / 1e6
    return {
        run_id: events["run_finished"] - events["created"]
        for run_id, events in told.items()
        if "run_finished" in events and "created" in events
    }


def errors_of(records: Sequence[RunRecord], truth: dict[str, float]) -> dict[str, float]:
    """Bias, median and p99 of errors of durations, in seconds: the server's (`told`), and the client's (`own`)."""
    ended = [one for one in records if one.seen_finished is not None and one.run_id in truth]
    figures: dict[str, float] = {"runs": len(ended)}
    for key, seconds in (
        ("told", [(one.duration_seconds or 0.0) - truth[one.run_id] for one in ended]),
        ("own", [(one.seen_finished or 0.0) - one.ended - truth[one.run_id] for one in ended]),
    ):
        ordered = sorted(map(abs, seconds))
        figures[f"{key}_mean_s"] = round(statistics.fmean(seconds), 3)
        figures[f"{key}_median_s"] = round(statistics.median(ordered), 3)
        figures[f"{key}_p99_s"] = round(ordered[math.ceil(0.99 * len(ordered)) - 1], 3)
    return figures


async def play(url: str, seconds: float) -> list[list[RunRecord]]:
    """Play a scenario for each interval, all at once."""
    fields: dict[str, Any] = {
        "pipelineFileName": "sequential.yaml",
        "runTime": f"{seconds}s",
        "gracePeriod": "1 min",
        "arrivalRate": f"{RUNS_PER_MINUTE}/min",
        "arrivals": "poisson",
    }
    return await asyncio.gather(
        *(
            measure(
                url, Path(), {**fields, "name": f"each-{each:g}-s", "pollInterval": f"{each}s", "seed": place}
            )
            for place, each in enumerate(INTERVALS_SECONDS)
        )
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="for how long runs are created")
    given = parser.parse_args()
    say_surroundings()
    with emulator("fast") as emulated:
        played = asyncio.run(play(emulated.url, given.seconds))
        truth = true_durations(emulated.url)
    by_interval = {
        f"{each:g}": errors_of(records, truth)
        for each, records in zip(INTERVALS_SECONDS, played, strict=True)
    }
    print("error of a run's duration in s, mean (bias), and median and p99 of its size")
    print("poll interval    runs   by the server's times        by the client's own clock")
    for each, found in by_interval.items():
        told, own = (
            f"{found[f'{key}_mean_s']:+7.3f} {found[f'{key}_median_s']:7.3f} {found[f'{key}_p99_s']:7.3f}"
            for key in ("told", "own")
        )
        print(f"{each:>11} s {found['runs']:7.0f}   {told}      {own}")
    print(json.dumps({"by_interval": by_interval}))


if __name__ == "__main__":
    main()
