"""Reports: REPORTS is the table of them. Each is drawn from a TestResult alone, so any can be drawn again later."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.errors import InputError, Problem
from kfp_perf.result.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kfp_perf.reports.story import MakeSection
    from kfp_perf.result.reader import TestResult

    DrawReport = Callable[[TestResult], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Report:
    """A report: what it is good for, and the function that draws it.

    A built-in one is named by `module` and `function`, and imported when it is called; of the user's own, `own`
    is the function. `is_text`: it is one text to be read or piped on, rather than files. `has_sections`: it has
    the sections of the story, the user's own too.
    """

    what: str
    module: str = ""
    function: str = ""
    is_text: bool = False
    has_sections: bool = False
    own: DrawReport | None = None

    def draw(
        self, result: TestResult, sections: Mapping[str, MakeSection] | None = None
    ) -> Mapping[str, bytes]:
        """Draw it: file names and what is in them. Raises `InputError` where an optional package is missing."""
        if self.own is not None:
            return self.own(result)
        function = getattr(importlib.import_module(self.module), self.function)
        files: Mapping[str, bytes] = (
            function(result, sections or {}) if self.has_sections else function(result)
        )
        return files


_HERE = "kfp_perf.reports"

REPORTS: dict[str, Report] = {
    "console": Report("the summary that `run` prints", f"{_HERE}.console", "draw_console", is_text=True),
    "html": Report("the report as one web page", f"{_HERE}.webpage", "draw_webpage", has_sections=True),
    "markdown": Report(
        "a comment for a pull request", f"{_HERE}.markdown", "draw_markdown", is_text=True, has_sections=True
    ),
    "json": Report("all figures, for programs", f"{_HERE}.json_document", "draw_json", is_text=True),
    "junit": Report("test cases as JUnit XML, for CI systems", f"{_HERE}.junit", "draw_junit", is_text=True),
    "openmetrics": Report(
        "the main figures as OpenMetrics text", f"{_HERE}.openmetrics", "draw_openmetrics", is_text=True
    ),
    "csv": Report(
        "tables: runs, tasks, operations, errors, series, thresholds", f"{_HERE}.csv_tables", "draw_csv"
    ),
    "parquet": Report(
        "the same tables for Arrow (needs the extra `parquet`)", f"{_HERE}.parquet", "draw_parquet"
    ),
    "svg": Report("every chart as a file", f"{_HERE}.pictures", "draw_svg", has_sections=True),
    "png": Report(
        "every chart as a picture (needs the extra `images`)",
        f"{_HERE}.pictures",
        "draw_png",
        has_sections=True,
    ),
}


def all_reports(own: Mapping[str, DrawReport] | None = None) -> dict[str, Report]:
    """REPORTS, and the user's own by name: functions that take a `TestResult` and return files by name."""
    found = {
        name: Report(_first_line(draw) or f"of {draw.__module__}", own=draw)
        for name, draw in (own or {}).items()
    }
    return {**found, **REPORTS}


def _first_line(draw: DrawReport) -> str:
    return (draw.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def write_report(
    result: TestResult,
    name: str,
    folder: Path,
    own: Mapping[str, DrawReport] | None = None,
    sections: Mapping[str, MakeSection] | None = None,
) -> list[Path]:
    """Draw the report of this name into a folder, which is made if it is not there; return the files.

    Each file is written whole or not at all. Raises `OSError` where the folder cannot be written.
    """
    files = all_reports(own)[name].draw(result, sections)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        write_whole(folder / file, content)
    return [folder / file for file in files]


def needs(package: str, extra: str) -> InputError:
    """The error to raise where an optional package is missing."""
    return InputError(
        Problem(
            "",
            f"This report needs {package}.",
            f"Install the extra `{extra}`: pip install '.[{extra}]' in a checkout of kfp-perf.",
        )
    )
