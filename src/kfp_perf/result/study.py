"""A study: several executions in one folder, and the file that lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from kfp_perf.errors import InputError, Problem
from kfp_perf.result.files import EXECUTIONS_FOLDER, SCHEMA_VERSION, STUDY_FILE
from kfp_perf.result.reader import TestResult
from kfp_perf.result.result_writer import write_document
from kfp_perf.result.whole_file import indented_json

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


class ExecutionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a study; its result is in `executions/<folder>/`.

    `label` is what the design calls it: of a duel the side. `target` is the address that was tested, and
    `target_name` its name in the targets file, where it was chosen by that. `pair`: executions with the same
    number are analysed as a pair. `warmup`: it is kept, and not counted. Times are UTC in ISO 8601; `finished` is
    empty and `exit_code` None while it runs, and after the study was killed in it.
    """

    number: int
    folder: str
    label: str = ""
    target: str = ""
    target_name: str = ""
    overrides: tuple[str, ...] = ()
    emulator_seed: int | None = None
    warmup: bool = False
    pair: int | None = None
    started: str = ""
    finished: str = ""
    exit_code: int | None = None
    verdict: str = ""
    reasons: tuple[str, ...] = ()


class StudyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What `study.json` holds.

    `kind` is that of the design (repetition, duel, capacity) and `settings` are its own; `planned` is the number
    of executions, None where their results decide it. `finished` is empty until the study is over; `ended` says why
    it ended before its design did, and is empty where it did not. `answer` is what the design concluded so far.
    """

    kind: str
    name: str
    started: str
    schema_version: int = SCHEMA_VERSION
    settings: dict[str, Any] = {}
    planned: int | None = None
    executions: tuple[ExecutionRecord, ...] = ()
    finished: str = ""
    ended: str = ""
    exit_code: int | None = None
    answer: dict[str, Any] = {}

    @property
    def counted(self) -> tuple[ExecutionRecord, ...]:
        """The executions that are over, without warm-ups."""
        return tuple(one for one in self.executions if one.finished and not one.warmup)


_decoder = msgspec.json.Decoder(StudyRecord)


class Study:
    """A study's folder, for reading."""

    def __init__(self, path: str | os.PathLike[str], record: StudyRecord) -> None:
        self.path = Path(path)
        self.record = record

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read `study.json` of a folder. Raises `InputError` where it cannot be read, or is of another schema."""
        file = Path(path) / STUDY_FILE
        try:
            record = _decoder.decode(file.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise InputError(Problem(str(file), f"cannot be read: {error}", "Was it cut short?")) from None
        if record.schema_version != SCHEMA_VERSION:
            what = f"is of schema {record.schema_version}, and this kfp-perf reads schema {SCHEMA_VERSION}"
            remedy = "Update kfp-perf." if record.schema_version > SCHEMA_VERSION else "Run the study again."
            raise InputError(Problem(str(file), what, remedy))
        return cls(path, record)

    def folder_of(self, execution: ExecutionRecord) -> Path:
        """The result folder of an execution."""
        return self.path / EXECUTIONS_FOLDER / execution.folder

    def results(self) -> Iterator[tuple[ExecutionRecord, TestResult]]:
        """Open the result of each execution that is there, in order. Raises `InputError` for damaged ones."""
        for one in self.record.executions:
            if self.folder_of(one).is_dir():
                yield one, TestResult.open(self.folder_of(one))


def is_study(path: Path) -> bool:
    """Whether a folder holds a study; not where it cannot be read."""
    try:
        return (path / STUDY_FILE).is_file()
    except OSError:
        return False


def write_study(path: Path, record: StudyRecord) -> None:
    """Write `study.json`, whole or not at all. Raises `InputError`."""
    write_document(path / STUDY_FILE, indented_json(record))
