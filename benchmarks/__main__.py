"""Run all benchmarks, or those named, each in a separate process; write their figures to results.json.

Each benchmark prints its figures, and last one line of JSON. Usage: python -m benchmarks [NAME ...]
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BENCHMARKS = (
    "client_cost",
    "lateness",
    "looking",
    "evidence",
    "pods",
    "observer",
    "in_flight",
    "long_loops",
    "memory",
    "poll_error",
    "omission",
    "truth",
    "emulator",
    "overload",
    "report",
    "backlog",
    "intervals",
    "windows",
    "comparison",
    "capacity",
    "comparison_emulated",
    "until_stable",
)
HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


def run(name: str) -> dict[str, Any]:
    """Run one benchmark, pass its output on, and return its last line of JSON, or the error."""
    print(f"\n== {name} ==", flush=True)
    load, began = os.getloadavg()[0], time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, stdout=subprocess.PIPE, text=True
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


def main() -> int:
    """Run them; the exit code is 1 if one of them failed."""
    names = sys.argv[1:] or BENCHMARKS
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        print(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() and sys.argv[1:] else {}
    results["machine"] = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    for name in names:
        results[name] = run(name)
        # After each, so that an interruption loses little.
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {RESULTS}")
    return int(any("error" in results[name] for name in names))


if __name__ == "__main__":
    sys.exit(main())
