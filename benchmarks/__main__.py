"""Run benchmarks, each in a process of its own, and write their figures to results.json.

Without names all of them, in a short form that shows whether something has changed; `--whole` runs them as long as
the figures in the documentation took. Each prints its figures, and last one line of JSON. To give options to one:
`python -m benchmarks.comparison --pairs 2000`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent


class Benchmark(NamedTuple):
    """The options of the short form, and how long both forms usually take on two shared cores, in seconds.

    The whole form has the defaults of the benchmark. `needs` is the extra that it cannot be run without.
    """

    short: str
    short_seconds: float
    whole_seconds: float
    needs: str = ""


BENCHMARKS = {
    "client_cost": Benchmark("--rounds 3 --requests 300", 20, 120, needs="bench"),
    "lateness": Benchmark("--rounds 1 --seconds 5", 20, 180, needs="bench"),
    "looking": Benchmark("--seconds 10", 15, 40),
    "evidence": Benchmark("--seconds 10 --runs 1000", 15, 210),
    "pods": Benchmark("--runs 60 --seconds 10 --rates 100", 75, 600),
    "observer": Benchmark("--looks 4 --runs 100 1000", 10, 60),
    "in_flight": Benchmark("--runs 1000", 10, 60),
    "long_loops": Benchmark("--rounds 2", 10, 30),
    "memory": Benchmark("--samples 500000 --runs 20000", 30, 600),
    "poll_error": Benchmark("--seconds 10", 35, 120),
    "omission": Benchmark("", 60, 60),
    "truth": Benchmark("--seconds 15", 70, 180),
    "emulator": Benchmark("--rounds 1", 25, 120),
    "overload": Benchmark("", 5, 5),
    "report": Benchmark("--runs 2000 --rounds 2", 15, 90),
    "backlog": Benchmark("--tests 10", 40, 1200),
    "intervals": Benchmark("--tests 100", 10, 90),
    "windows": Benchmark("--tests 10", 20, 180),
    "comparison": Benchmark("--pairs 500", 15, 300),
    "baseline_thresholds": Benchmark("--tests 500", 5, 60),
    "capacity": Benchmark("--clusters 2 --precision 0.1", 30, 7200),
    "early_deletion": Benchmark("--clusters 1", 60, 600),
    "comparison_emulated": Benchmark("--pool 8 --runs 100", 20, 240),
    "until_stable": Benchmark("--studies 300", 5, 60),
}


def run(name: str, *options: str) -> dict[str, Any]:
    """Run one benchmark, pass its output on, and return its last line of JSON, or the error."""
    print(f"\n== {' '.join((name, *options))} ==", flush=True)
    load, began = os.getloadavg()[0], time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}", *options],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    last = ""
    if process.stdout is not None:
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    code = process.wait()
    figures: Any = None
    if code == 0:
        with contextlib.suppress(ValueError):
            figures = json.loads(last)
    if not isinstance(figures, dict):
        figures = {"error": f"ended with exit code {code}, and no line of JSON"}
    surroundings = {
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "seconds": round(time.monotonic() - began, 1),
    }
    return {**figures, "surroundings": surroundings}


def listing() -> str:
    """A line for each benchmark: how long both forms usually take, and the first sentence of what it measures."""
    lines = [f"{'':<21}{'short':>8}{'whole':>9}"]
    for name, one in BENCHMARKS.items():
        text = (HERE / f"{name}.py").read_text(encoding="utf-8")
        what = text.partition('"""')[2].partition("\n")[0]
        needs = f" (needs the extra {one.needs})" if one.needs else ""
        lines.append(f"{name:<21}{_span(one.short_seconds):>8}{_span(one.whole_seconds):>9}  {what}{needs}")
    short = sum(one.short_seconds for one in BENCHMARKS.values())
    whole = sum(one.whole_seconds for one in BENCHMARKS.values())
    return "\n".join([*lines, f"{'all':<21}{_span(short):>8}{_span(whole):>9}"])


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def main() -> int:
    """Run them; the exit code is 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"Usual durations, on two shared cores:\n\n{listing()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    parser.add_argument(
        "--whole", action="store_true", help="as long as for the documentation; capacity takes hours"
    )
    parser.add_argument(
        "--list", action="store_true", help="list them with their usual durations, and run none"
    )
    given = parser.parse_args()
    if given.list:
        print(listing())
        return 0
    if unknown := sorted(set(given.names) - BENCHMARKS.keys()):
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    names = list(dict.fromkeys(given.names)) or list(BENCHMARKS)
    # The figures of short forms say little, and leave those of whole ones alone.
    file = HERE / ("results.json" if given.whole else "results_short.json")
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() and given.names else {}
    results["machine"] = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    for name in names:
        results[name] = run(name, *(() if given.whole else BENCHMARKS[name].short.split()))
        # After each, so that an interruption loses little.
        file.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {file}")
    return int(any("error" in results[name] for name in names))


if __name__ == "__main__":
    sys.exit(main())
