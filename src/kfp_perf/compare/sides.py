"""One side of a comparison: the executions in one or several folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.compare.compared_execution import ComparedExecution
from kfp_perf.compare.searches import is_search, search_of
from kfp_perf.errors import ExitCode, InputError, Problem
from kfp_perf.result.files import GIVEN_FILE, RESULT_FILE
from kfp_perf.result.reader import TestResult
from kfp_perf.result.study import Study, is_study

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


WARMUP = "the warm-up of its study"
"""Why an execution does not count, where that was planned."""


@dataclass(frozen=True, slots=True)
class Side:
    """The executions that are compared, in order of their start.

    `left_out` says which are not, and why; `warmups` are the folders of those that were never meant to be.
    """

    name: str
    executions: tuple[ComparedExecution, ...]
    left_out: tuple[str, ...] = ()
    warmups: tuple[str, ...] = ()


def read_side(paths: Sequence[Path], *, count_warmup: bool = False) -> Side:
    """Read a side from result folders, studies, and folders of result folders.

    A search for the capacity is one execution, whose only metric is the rate that it found.
    Executions that ended before their load did are left out (see `why_partial`), and so are the warm-ups of
    studies, unless `count_warmup`. Raises `InputError` for folders without a result, damaged results, those of
    another schema, an execution that is given twice, a study of executions that differ on purpose, and where none
    is left.
    """
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    try:
        found = [one for path in paths for one in _found_in(path)]
        return _side(f"{paths[0]}{more}", found, count_warmup=count_warmup)
    except OSError as error:  # such as results of another user
        problem = Problem(str(error.filename or paths[0]), f"cannot be read: {error.strerror}")
        raise InputError(problem) from error


def read_duel(study: Study, *, count_warmup: bool = False) -> tuple[Side, Side]:
    """Read the two sides of a duel, the baseline first, with the executions of a pair at the same place.

    A pair is left out where one of its executions is. Raises `InputError` where no pair is left, and for results
    that cannot be read.
    """
    labels = list(dict.fromkeys(one.label for one in study.record.executions))
    if len(labels) != 2:
        what = f"has executions of {len(labels)} targets, so there is nothing to compare"
        raise InputError(Problem(str(study.path), what, "Run the duel again."))
    warmups = [one for one in study.record.executions if one.warmup and not count_warmup]
    left_out: dict[int | None, str] = {}
    for one in study.record.executions:
        folder = study.folder_of(one)
        if one in warmups:
            continue
        if not one.finished or not folder.is_dir():
            left_out[one.pair] = f"{folder}: the test did not reach its end"
        elif why := why_partial(TestResult.open(folder)):
            left_out[one.pair] = f"{folder}: {why}"
    for pair in {one.pair for one in study.record.executions}:
        if {one.label for one in study.record.executions if one.pair == pair} != set(labels):
            left_out.setdefault(pair, f"{study.path}: pair {pair} is not complete")
    kept = [one for one in study.record.executions if one.pair not in left_out and one not in warmups]
    if not kept:
        what = "holds no complete pair" + "".join(f"\n    {one}" for one in left_out.values())
        raise InputError(Problem(str(study.path), what, "Run the duel again."))
    first, second = (
        replace(
            # Not by the clock, which may have been set meanwhile: that would make other pairs.
            _side(label, [_Found(study.folder_of(one)) for one in kept if one.label == label], in_order=True),
            left_out=tuple(left_out.values()),
            warmups=tuple(str(study.folder_of(one)) for one in warmups if one.label == label),
        )
        for label in labels
    )
    return first, second


class _Found(NamedTuple):
    """A result folder, and whether it is a warm-up."""

    folder: Path
    warmup: bool = False


def _side(name: str, found: Iterable[_Found], *, count_warmup: bool = False, in_order: bool = False) -> Side:
    executions: list[ComparedExecution] = []
    left_out: list[str] = []
    warmups: list[str] = []
    seen: set[Path] = set()
    for folder, warmup in found:
        place = folder.resolve()
        if place in seen:
            raise InputError(
                Problem(str(folder), "is given twice on the same side", "Name each result once.")
            )
        seen.add(place)
        if is_search(folder):
            search = search_of(folder)
            if search.metrics(None):
                executions.append(search)
            else:
                left_out.append(f"{folder}: the search did not enclose the capacity")
            continue
        result = TestResult.open(folder)
        if warmup and not count_warmup:
            warmups.append(str(folder))
        elif why := why_partial(result):
            left_out.append(f"{folder}: {why}")
        else:
            executions.append(ComparedExecution(folder, result.document, result.given))
    if not executions:
        reasons = [*(f"{one}: {WARMUP}" for one in warmups), *left_out]
        what = "holds no execution that can be compared" + "".join(f"\n    {one}" for one in reasons)
        raise InputError(Problem(name, what, "Name results of tests that reached their end."))
    if not in_order:
        executions.sort(key=lambda one: (one.started or 0.0, one.path.name))
    return Side(name, tuple(executions), tuple(left_out), tuple(warmups))


def _found_in(path: Path) -> Iterator[_Found]:
    if not path.is_dir() or _is_result(path):
        yield _Found(path)  # opening it tells what is wrong with it
        return
    if is_search(path):
        yield _Found(path)
        return
    if is_study(path):
        yield from _found_in_study(Study.open(path))
        return
    # A link such as `latest` leads to a result that is there by its own name.
    found = sorted(
        one for one in path.iterdir() if not one.is_symlink() and (_is_result(one) or is_search(one))
    )
    yield from map(_Found, found or [path])


def _found_in_study(study: Study) -> Iterator[_Found]:
    labels = sorted({one.label for one in study.record.executions})
    if len(labels) > 1:
        what = f"is a {study.record.kind}, whose executions differ on purpose ({', '.join(labels)})"
        remedy = f"`kfp-perf report {study.path}` shows its result."
        raise InputError(Problem(str(study.path), what, remedy))
    for one in study.record.executions:
        if (folder := study.folder_of(one)).is_dir():
            yield _Found(folder, one.warmup)


def _is_result(folder: Path) -> bool:
    return (folder / RESULT_FILE).is_file() or (folder / GIVEN_FILE).is_file()


def why_partial(result: TestResult) -> str:
    """Why a result is not one of a whole test; empty where it is.

    Runs that the end of a test cut off are in no figure: of one that ended early, the quick runs are left.
    """
    if not result.document or not isinstance(result.document.get("total"), dict):
        return "the test did not reach its end"
    verdict = result.document.get("verdict")
    code = verdict.get("exit_code") if isinstance(verdict, dict) else None
    if code == ExitCode.INTERRUPTED:
        return "the test was interrupted"
    if code == ExitCode.TARGET:
        return "the target failed"
    early = result.document.get("stopped_early")
    if isinstance(early, dict):
        return f"the test was ended early: {str(early.get('reason')).rstrip('.')}"
    return "" if result.document.get("complete") else "the test did not reach its end"
