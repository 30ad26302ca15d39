"""One side of a comparison: the executions in one or several folders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.errors import ExitCode, InputError, Problem
from kfp_perf.result.files import GIVEN_FILE, RESULT_FILE
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_ANY_OBJECT = msgspec.json.Decoder(dict[str, Any])
STUDY_FILE = "study.json"
EXECUTIONS_FOLDER = "executions"


@dataclass(frozen=True, slots=True)
class ComparedExecution:
    """One test with its result: `document` is `result.json`, `given` what the test was given."""

    path: Path
    document: Mapping[str, Any]
    given: Mapping[str, Any]

    @property
    def started(self) -> float | None:
        """When the test started, in seconds since the Unix epoch; None where that cannot be read."""
        return _epoch(self.document.get("started"))

    @property
    def finished(self) -> float | None:
        """When it was over."""
        return _epoch(self.document.get("finished"))

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """The names of its scenarios."""
        return tuple(str(one.get("name")) for one in self._scenarios)

    @property
    def _scenarios(self) -> list[dict[str, Any]]:
        found = self.document.get("scenarios")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def metrics(self, scenario: str | None) -> Mapping[str, Any]:
        """The metrics dictionary of a scenario, or of the whole test (None); empty where there is none."""
        if scenario is None:
            found = self.document.get("total")
        else:
            found = next((one.get("metrics") for one in self._scenarios if one.get("name") == scenario), None)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Side:
    """The executions that are compared, in order of their start; `left_out` says which are not, and why."""

    name: str
    executions: tuple[ComparedExecution, ...]
    left_out: tuple[str, ...] = ()


def read_side(paths: Sequence[Path], *, count_warmup: bool = False) -> Side:
    """Read a side from result folders, studies, and folders of result folders.

    Executions that were interrupted, or killed before their end, are left out, and so is the first one of a study
    whose `study.json` says that it is a warm-up, unless `count_warmup`. Raises `InputError` for folders without a
    result, damaged results, those of another schema, an execution that is given twice, and where none is left.
    """
    executions: list[ComparedExecution] = []
    left_out: list[str] = []
    seen: set[Path] = set()
    for folder, warmup in _result_folders(paths):
        place = folder.resolve()
        if place in seen:
            raise InputError(
                Problem(str(folder), "is given twice on the same side", "Name each result once.")
            )
        seen.add(place)
        result = TestResult.open(folder)
        if warmup and not count_warmup:
            left_out.append(f"{folder}: the warm-up of its study")
        elif why := _why_partial(result):
            left_out.append(f"{folder}: {why}")
        else:
            executions.append(ComparedExecution(folder, result.document, result.given))
    if not executions:
        names = ", ".join(map(str, paths))
        what = "holds no execution that can be compared" + "".join(f"\n    {one}" for one in left_out)
        raise InputError(Problem(names, what, "Name results of tests that reached their end."))
    executions.sort(key=lambda one: (one.started or 0.0, one.path.name))
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return Side(f"{paths[0]}{more}", tuple(executions), tuple(left_out))


def _result_folders(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each result folder, and whether it is a warm-up."""
    for path in paths:
        if not path.is_dir() or _is_result(path):
            yield path, False  # opening it tells what is wrong with it
            continue
        warmup = _begins_with_warmup(path / STUDY_FILE) if (path / STUDY_FILE).exists() else False
        inner = path / EXECUTIONS_FOLDER
        parent = inner if inner.is_dir() else path
        # A link such as `latest` leads to a result that is there by its own name.
        found = sorted(one for one in parent.iterdir() if not one.is_symlink() and _is_result(one))
        if not found:
            yield path, False
        for place, folder in enumerate(found):
            yield folder, warmup and place == 0


def _is_result(folder: Path) -> bool:
    return (folder / RESULT_FILE).is_file() or (folder / GIVEN_FILE).is_file()


def _begins_with_warmup(file: Path) -> bool:
    try:
        document = _ANY_OBJECT.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(Problem(str(file), f"cannot be read: {error}", "Was it cut short?")) from None
    return bool(document.get("warmup"))


def _why_partial(result: TestResult) -> str:
    """Why a result is not one of a whole test; empty where it is."""
    if not result.document or not isinstance(result.document.get("total"), dict):
        return "the test did not reach its end"
    verdict = result.document.get("verdict")
    code = verdict.get("exit_code") if isinstance(verdict, dict) else None
    if code == ExitCode.INTERRUPTED:
        return "the test was interrupted"
    return "" if result.document.get("complete") else "the test did not reach its end"


def _epoch(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
