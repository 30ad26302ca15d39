"""Size of the report of a large test, the time to write it, and the time until a browser shows it.

The result is made without a test, by the helper of the unit tests: five scenarios with failed, cached and
unfinished runs, and their requests. The report is written in a process that has imported everything, and opened
from a file in the system's Chromium, a new window each round: from the navigation to the load event, and to the
first contentful paint, as the browser reports them.

Needs the extra `dev` (playwright) and Chromium for the opening; without them that part is skipped, with a message.
Usage: python -m benchmarks.report [--runs N] [--rounds N] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import say_surroundings, spread

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from sample_results import Load, SampleTest, make_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.result.reader import TestResult

SCENARIOS = 5
SECONDS = 3600.0
#: Milliseconds from the navigation; the paint may come a frame after the load.
_TIMES = """() => new Promise(resolve => {
  const look = () => {
    const [load] = performance.getEntriesByType("navigation");
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    paint && load.loadEventEnd ? resolve([load.loadEventEnd, paint.startTime]) : requestAnimationFrame(look);
  };
  look();
})"""


def make(folder: Path, runs: int) -> TestResult:
    """The result of an hour in which this many runs were started."""
    loads = tuple(
        Load(
            f"scenario-{place}",
            runs // SCENARIOS,
            60.0 * place,
            SECONDS - 60.0 * place,
            20.0 * (place + 1),
            failed=0.03,
            cached=0.02,
            unfinished=0.01,
            errors=tuple(f"task {task} exited with code 137" for task in "abcdef"),
        )
        for place in range(SCENARIOS)
    )
    return make_result(folder, SampleTest("large", loads))


def openings(report: Path, rounds: int) -> Iterator[tuple[float, float]]:
    """Seconds until the page was loaded, and until its first content was painted; nothing without a browser."""
    try:
        import browser as chromium
        import pytest
    except ImportError:
        return
    with contextlib.closing(chromium.open_browser()) as opened:
        try:
            window = next(opened)
        except pytest.skip.Exception as reason:
            print(f"not opened: {reason}")
            return
        for _ in range(rounds):
            context = window.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.goto(report.as_uri(), wait_until="load")
            load, paint = page.evaluate(_TIMES)
            context.close()
            yield load / 1e3, paint / 1e3


def measure(folder: Path, runs: int, rounds: int) -> dict[str, Any]:
    """Make the result, draw it, open it."""
    from kfp_perf.reports import write_report

    result = make(folder, runs)
    (report,) = write_report(result, "html", folder)  # imports everything
    drawing = []
    for _ in range(rounds):
        began = time.perf_counter()
        write_report(result, "html", folder)
        drawing.append(time.perf_counter() - began)
    size = report.stat().st_size
    print(f"{runs:,} runs: report.html has {size / 1e6:.2f} MB; drawn in {spread(drawing)} s")
    figures: dict[str, Any] = {
        "runs": runs,
        "report_bytes": size,
        "drawing_seconds": statistics.median(drawing),
    }
    # The first opening starts the browser's own processes.
    times = list(openings(report, rounds + 1))[1:]
    if times:
        loads, paints = zip(*times, strict=True)
        print(f"opened in {spread(loads)} s until loaded, {spread(paints)} s until first painted")
        figures |= {"load_seconds": statistics.median(loads), "paint_seconds": statistics.median(paints)}
    return figures


def main() -> None:
    """Print the figures of some rounds, and last a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where the result and its report are left")
    given = parser.parse_args()
    say_surroundings()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        figures = measure(folder, given.runs, given.rounds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
