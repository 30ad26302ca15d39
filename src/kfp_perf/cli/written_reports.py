"""`--report FORMAT=FILE`: reports that are written when a command has its result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from kfp_perf.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_FLAG = "--report"


class WantedReport(NamedTuple):
    """A report, and where it goes: a file, or a folder where it is several files."""

    format: str
    path: Path


def report_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flag to a command, which gets the texts as `report`."""
    return click.option(
        _FLAG,
        "report",
        multiple=True,
        metavar="FORMAT=FILE",
        help="Write a report when the test is over: junit=junit.xml. May be repeated.",
    )(function)


def wanted_reports(texts: Iterable[str], known: Iterable[str]) -> tuple[WantedReport, ...]:
    """Return what the flags ask for, before anything is done; `known` are the names of the reports.

    Raises `InputError` for a format that there is not, and where a file cannot be written.
    """
    names = tuple(known)
    found, problems = [], []
    for text in texts:
        name, sign, file = text.partition("=")
        if name not in names:
            problems.append(Problem(_FLAG, f"there is no report {name!r}", f"There are: {', '.join(names)}."))
        elif not sign or not file:
            problems.append(Problem(_FLAG, f"{text!r} names no file", f"Write {name}=FILE."))
        elif problem := _unwritable(Path(file)):
            problems.append(problem)
        else:
            found.append(WantedReport(name, Path(file)))
    if problems:
        raise InputError(problems)
    return tuple(found)


def write_wanted(reports: Iterable[WantedReport], draw: Callable[[str], Mapping[str, bytes]]) -> list[Path]:
    """Write reports, each drawn by its format, and return the paths.

    Raises `InputError` with all that could not be drawn or written.
    """
    paths: list[Path] = []
    problems: list[Problem] = []
    for one in reports:
        try:
            paths += write_files(draw(one.format), one.path)
        except InputError as error:
            problems += error.problems
        except Exception as error:  # noqa: BLE001  the others are written all the same, and the test keeps its code
            what = f"the report {one.format} could not be drawn ({type(error).__name__}: {error})"
            problems.append(Problem(str(one.path), what))
    if problems:
        raise InputError(problems)
    return paths


def write_files(files: Mapping[str, bytes], output: Path, remedy: str = "Name another place.") -> list[Path]:
    """Write the files of a report, each whole, and return their paths.

    One file goes to the path that was named, unless that is a folder; several go into a folder. Raises
    `InputError`.
    """
    from kfp_perf.result.whole_file import write_whole

    to_folder = len(files) != 1 or output.is_dir()
    paths = {output / file if to_folder else output: content for file, content in files.items()}
    try:
        for path, content in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
    except OSError as error:
        raise InputError(Problem(str(output), f"cannot be written: {error.strerror}", remedy)) from error
    return list(paths)


def _unwritable(path: Path) -> Problem | None:
    """What keeps a file from being written, found before a test of hours."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path / ".kfp-perf" if path.is_dir() else path.with_name(f".{path.name}.new")
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Problem(str(path), f"cannot be written: {error.strerror}", "Name another place.")
    return None
