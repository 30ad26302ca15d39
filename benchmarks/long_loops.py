"""CPU of analysing a run with a long loop, and how it grows with the items.

Such a run is analysed in a thread of its own, which shares the interpreter with those that send requests. The CPU
should grow as the number of items does: a ratio of 4 between 400 and 100 items.

Usage: python -m benchmarks.long_loops [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.processes import say_surroundings

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from long_loops import LOOPS, loop_pipeline
from true_path import play

from kfp_perf.observe.run_analysis import analyse, task_spans
from kfp_perf.observe.task_details import entries_of, read_nodes
from kfp_perf.pipelines.shape import shape_of

FEW, MANY = 100, 400


def seconds_of(kind: str, items: int, *, doubled: bool, rounds: int) -> float:
    """The least CPU seconds of analysing such a run; `doubled`: every node has an attempt beside it."""
    documents = loop_pipeline(kind, items)
    shape = shape_of(documents[0])
    shown = play(documents, "kfp-2.17", 2, retry_nodes=doubled).shown
    found = []
    for _ in range(rounds):
        began = time.process_time()
        task_spans(analyse(entries_of(read_nodes(shown), shape), shape), 0.0)
        found.append(time.process_time() - began)
    return min(found)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    say_surroundings()
    figures = {}
    for kind in LOOPS:
        for doubled in (False, True):
            few, many = (seconds_of(kind, items, doubled=doubled, rounds=rounds) for items in (FEW, MANY))
            name = f"{kind}, nodes with attempts" if doubled else kind
            figures[name] = {"ms": round(1e3 * many, 1), "growth": round(many / few, 2)}
            print(f"{name:<44} {MANY} items: {1e3 * many:6.1f} ms, {many / few:.1f} times those of {FEW}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
