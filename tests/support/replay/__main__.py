"""Print how many exchanges of each recording the emulator answers as the real server did.

Usage: python -m replay FOLDER [-v] [NAME ...]
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from replay.player import replay
from replay.recording import read_recordings

COLUMNS = ("equal", "on purpose", "different", "not replayable")


def main(arguments: list[str]) -> None:
    verbose = "-v" in arguments
    folder, *names = [each for each in arguments if each != "-v"]
    total: Counter[str] = Counter()
    print(f"| recording | pairs | {' | '.join(COLUMNS)} |")
    print("|---|--:|" + "--:|" * len(COLUMNS))
    shown = []
    for recording in read_recordings(Path(folder)):
        if names and not any(name in recording.name for name in names):
            continue
        pairs = replay(recording)
        counts = Counter(pair.result for pair in pairs)
        total += counts
        print(_row(recording.name, counts), flush=True)
        shown += [(recording.name, pair) for pair in pairs if pair.result != "equal"]
    print(_row("all", total))
    if verbose:
        for name, pair in shown:
            print(
                f"\n{name} {pair.exchange.number} {pair.result} {pair.reason}: {pair.exchange.method}"
                f" {pair.exchange.path[:120]} t={pair.exchange.t_seconds}"
            )
            for difference in pair.differences:
                print(f"    {difference}")


def _row(name: str, counts: Counter[str]) -> str:
    cells = [str(sum(counts.values())), *(str(counts[column]) for column in COLUMNS)]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main(sys.argv[1:])
