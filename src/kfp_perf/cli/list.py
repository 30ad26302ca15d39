"""`kfp-perf list`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kfp_perf.cli.damaged import readable
from kfp_perf.cli.output import standard_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.reports.story.blocks import Cell
    from kfp_perf.result.reader import TestResult
    from kfp_perf.result.study import Study

#: How wide the table may be where no terminal limits it.
_WIDEST = 400
_TITLES = ("Result", "Verdict", "Took", "What", "Target")


@click.command(name="list")
@click.argument("folder", type=click.Path(path_type=Path, readable=False), default=Path("results"))
def list_results(*, folder: Path) -> None:
    """List the results in FOLDER, the newest last: verdict, duration, runs, target.

    `kfp-perf report`, `compare` and `cleanup` take the names in the first column.
    """
    from rich.console import Console

    from kfp_perf.errors import InputError, Problem
    from kfp_perf.reports.story.blocks import Column, Table
    from kfp_perf.reports.story_console import parts_of_block

    try:
        paths = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as error:
        what = (
            "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
        remedy = "Name a folder that holds results; `kfp-perf run smoke.json --emulator` makes a first one."
        raise InputError(Problem(str(folder), what, remedy)) from None
    rows = [row for path in paths if (row := _row(path))]
    if not rows:
        raise InputError(
            Problem(str(folder), "holds no results", "Name the folder that `run --results` named.")
        )
    columns = [Column(title, is_number=title == "Took") for title in _TITLES]
    with standard_output():
        console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDEST)
        console.print(*parts_of_block(Table("Results", columns, rows)))


def _row(path: Path) -> list[Cell]:
    """The row of a test or a study; of one that cannot be read why not, and nothing of another folder."""
    from kfp_perf.errors import InputError
    from kfp_perf.result.files import GIVEN_FILE, RESULT_FILE
    from kfp_perf.result.reader import TestResult
    from kfp_perf.result.study import Study, is_study

    try:
        with readable(path):
            if is_study(path):
                return [str(path), *_study_cells(Study.open(path))]
            if (path / RESULT_FILE).exists() or (path / GIVEN_FILE).exists():
                return [str(path), *_test_cells(TestResult.open(path))]
    except InputError as error:
        return [str(path), error.problems[0].what, "–", "", ""]
    return []


def _test_cells(result: TestResult) -> Sequence[Cell]:
    from kfp_perf.errors import ExitCode
    from kfp_perf.reports.quantities import seconds_of, span_of
    from kfp_perf.reports.story.blocks import Flag, Tone

    document = result.document or result.given
    target = document.get("target") or {}
    where = "emulator" if target.get("emulator") else str(target.get("url"))
    if not result.document:
        return [Flag("not finished", Tone.WARNING), "–", "", where]
    verdict = document.get("verdict") or {}
    tone = Tone.GOOD if verdict.get("exit_code") == ExitCode.GOOD else Tone.BAD
    runs = (document.get("total") or {}).get("runs") or {}
    what = "no runs"
    if due := runs.get("due"):
        median = (runs.get("visible_seconds") or {}).get("p50")
        what = f"{runs.get('succeeded', 0):,} of {due:,} runs" + (
            f", p50 {seconds_of(median)}" if median else ""
        )
    return [
        Flag(str(verdict.get("text")), tone),
        span_of(document.get("elapsed_seconds") or 0.0),
        what,
        where,
    ]


def _study_cells(study: Study) -> Sequence[Cell]:
    from kfp_perf.reports.quantities import count_of, span_of
    from kfp_perf.reports.story.blocks import Flag
    from kfp_perf.reports.study_executions import study_verdict
    from kfp_perf.result.timestamps import epoch_of

    record = study.record
    word, tone = study_verdict(study)
    began, ended = epoch_of(record.started), epoch_of(record.finished)
    took = span_of(ended - began) if began is not None and ended is not None else "–"
    targets = ("emulator" if one.emulator_seed is not None else one.target for one in record.executions)
    what = f"{record.kind}, {count_of(len(record.counted), 'execution')}"
    return [Flag(word.lower(), tone), took, what, ", ".join(dict.fromkeys(filter(None, targets)))]
