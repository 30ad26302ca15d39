"""The result folder: made before a test's first request, filled while it runs, read by every report."""

from __future__ import annotations

import contextlib
import html
import importlib
import logging
import os
import re
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

import msgspec

from kfp_perf.errors import InputError, Problem
from kfp_perf.result.append_file import LineFile
from kfp_perf.result.journal import Journal
from kfp_perf.result.records import RunRecord
from kfp_perf.result.tasks import Slowest, TaskRecord, most_telling, task_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Record = TypeVar("Record")

log = logging.getLogger(__name__)

_run_decoder = msgspec.json.Decoder(RunRecord)
_task_decoder = msgspec.json.Decoder(TaskRecord)
_document_decoder = msgspec.json.Decoder(dict[str, Any])

#: Raised with each change of the files that an older reader would misread.
SCHEMA_VERSION = 1

RESULT_FILE = "result.json"
RUNS_FILE = "runs.jsonl"
TASKS_FILE = "tasks.jsonl"
JOURNAL_FILE = "journal.jsonl"

# Fields of `RunRecord` and `TaskRecord` that are moments.
_TIMES = (
    *("due", "sent", "ended", "created_at", "scheduled_at", "finished_at", "running_at"),
    *("seen_running", "seen_unfinished", "seen_finished", "slot", "started_at", "ended_at"),
)
SERIES_FILE = "series.hlog"


class TestResult:
    """The handle on the result folder of one execution.

    `result.json` holds the numbers, `runs.jsonl` a line a run as it ended, `tasks.jsonl` a line a task of those,
    `series.hlog` each second's latencies, `journal.jsonl` what was made on the server; the logs lie beside them.
    Everything that reports do, they do from this.
    """

    __test__: ClassVar[bool] = False

    def __init__(self, path: Path, document: dict[str, Any] | None = None) -> None:
        self.path = path
        self.document = document or {}
        self._lines: LineFile | None = None
        self._task_lines: LineFile | None = None
        self._slowest: defaultdict[str, Slowest] = defaultdict(Slowest)
        self._unwritten: set[str] = set()

    @classmethod
    def create(cls, parent: Path, name: str, now: float) -> Self:
        """Make a new folder `<UTC time>-<name>` in `parent`, and point the link `latest` to it.

        Raises `InputError` where it cannot be written.
        """
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "test"
        for attempt in range(100):
            path = parent / (f"{stamp}-{slug}" if attempt == 0 else f"{stamp}-{slug}-{attempt + 1}")
            try:
                path.mkdir(parents=True)
                result = cls(path)
                result._lines = LineFile(path / RUNS_FILE)
                result._task_lines = LineFile(path / TASKS_FILE)
                _point(parent / "latest", path)
            except FileExistsError:
                if path.is_dir():
                    continue
                raise InputError(
                    Problem(str(parent), "is not a folder", "Name another one with --results.")
                ) from None
            except OSError as error:
                remedy = "Name a folder that can be written with --results."
                problem = Problem(str(path), f"cannot be written: {error.strerror}", remedy)
                raise InputError(problem) from error
            return result
        raise InputError(Problem(str(parent), f"holds 100 results of {stamp} already", "Wait a second."))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder that an execution left. Raises `InputError` where it holds no readable result."""
        remedy = "Name a folder that `kfp-perf run` made."
        try:
            names = {entry.name for entry in path.iterdir()}
        except FileNotFoundError:
            raise InputError(Problem(str(path), "does not exist", remedy)) from None
        except NotADirectoryError:
            raise InputError(Problem(str(path), "is not a folder", remedy)) from None
        except OSError as error:
            raise InputError(Problem(str(path), f"cannot be read: {error.strerror}", remedy)) from error
        if names.isdisjoint({RESULT_FILE, RUNS_FILE, JOURNAL_FILE}):
            raise InputError(Problem(str(path), "holds no result", remedy))
        file = path / RESULT_FILE
        try:
            document = _document_decoder.decode(file.read_bytes())
        except FileNotFoundError:
            remedy = f"Its runs, if any, are in {RUNS_FILE}; `kfp-perf cleanup` works with it all the same."
            raise InputError(
                Problem(str(file), "does not exist: the test did not reach its end", remedy)
            ) from None
        except (msgspec.DecodeError, OSError) as error:
            raise InputError(Problem(str(file), f"cannot be read: {error}", "Was it cut short?")) from None
        version = document.get("schema_version")
        if not isinstance(version, int) or version < 1:
            raise InputError(Problem(str(file), "is no result of kfp-perf: it has no schema_version"))
        if version > SCHEMA_VERSION:
            what = f"was written by a newer kfp-perf (schema {version}, this one knows {SCHEMA_VERSION})"
            raise InputError(Problem(str(file), what, "Update kfp-perf: pip install --upgrade kfp-perf"))
        return cls(path, document)

    def journal(self, target: str) -> Journal:
        """Open the journal, of what is made on the server of this URL, for writing."""
        return Journal(self.path / JOURNAL_FILE, target)

    @property
    def journal_path(self) -> Path:
        """Where the journal lies."""
        return self.path / JOURNAL_FILE

    @property
    def series_path(self) -> Path:
        """Where each second's latencies lie."""
        return self.path / SERIES_FILE

    def add_run(self, record: RunRecord) -> None:
        """Write a run and its tasks down as it ends; any thread may, for a scenario of its own.

        Only the slowest keep tasks in their own line. Lines that cannot be written are missing, which is logged.
        """
        if record.tasks:
            self._append(self._task_lines, TASKS_FILE, task_lines(record))
            is_slow = self._slowest[record.scenario].takes(record.duration_seconds or 0.0)
            kept = most_telling(record.tasks) if is_slow else []
            record = msgspec.structs.replace(record, tasks=kept)
        self._append(self._lines, RUNS_FILE, msgspec.json.encode(record))

    def _append(self, file: LineFile | None, name: str, lines: bytes) -> None:
        if file is None or not lines:
            return
        try:
            file.append(lines)
        except OSError as error:
            if name not in self._unwritten:
                self._unwritten.add(name)
                log.error("Lines are missing from %s: %s", self.path / name, error.strerror)

    def runs(self) -> Iterator[RunRecord]:
        """Read the runs, in the order in which they ended. A line that was cut short is passed over."""
        return self._read(RUNS_FILE, _run_decoder)

    def tasks(self) -> Iterator[TaskRecord]:
        """Read the tasks of all runs that ended, run by run. A result of an older version has none."""
        if (self.path / TASKS_FILE).exists():
            yield from self._read(TASKS_FILE, _task_decoder)

    def _read(self, name: str, decoder: msgspec.json.Decoder[Record]) -> Iterator[Record]:
        with (self.path / name).open("rb") as file:
            for line in file:
                with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                    yield decoder.decode(line)

    def to_pandas(self, table: Literal["runs", "tasks"] = "runs") -> Any:
        """The runs, or their tasks, as a pandas DataFrame: a row each, with times in UTC.

        The columns are the fields of `RunRecord` or `TaskRecord`. Raises `ImportError` where pandas is not
        installed (`pip install 'kfp-perf[pandas]'`).
        """
        try:
            pd = importlib.import_module("pandas")  # takes a second
        except ModuleNotFoundError:
            raise ImportError("to_pandas() needs pandas: pip install 'kfp-perf[pandas]'") from None
        rows = (
            map(msgspec.structs.asdict, self.tasks()) if table == "tasks" else map(RunRecord.row, self.runs())
        )
        frame = pd.DataFrame(list(rows))
        for column in frame.columns.intersection(_TIMES):
            # A column of nothing but None has no numbers to convert yet.
            frame[column] = pd.to_datetime(pd.to_numeric(frame[column]), unit="s", utc=True)
        return frame

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, the main figures, and where the rest is."""
        verdict = self.document.get("verdict", {})
        runs = self.document.get("total", {}).get("runs", {})
        names = ("created", "succeeded", "failed", "unfinished")
        heads = "".join(f"<th>{name}</th>" for name in names)
        cells = "".join(f"<td>{runs.get(name, 0)}</td>" for name in names)
        emulator = " on the emulator" if verdict.get("emulator") else ""
        title = html.escape(
            f"{self.document.get('name', '')}: {verdict.get('text', 'no result yet')}{emulator}"
        )
        return (
            f"<p><strong>{title}</strong><br>{html.escape(str(self.path))}</p>"
            f"<table><thead><tr>{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"
        )

    def save(self, document: dict[str, Any]) -> None:
        """Write `result.json`, whole or not at all. What JSON cannot hold in it is written as text.

        Raises `InputError` where the folder cannot be written any more; what was measured is then written to where
        the system keeps temporary files, which the error names.
        """
        self.document = {"schema_version": SCHEMA_VERSION, **document}
        try:
            encoded = msgspec.json.encode(self.document)
        except (TypeError, ValueError):
            self.document = _plain(self.document)
            encoded = msgspec.json.encode(self.document)
        content = msgspec.json.format(encoded, indent=2) + b"\n"
        temporary = self.path / f".{RESULT_FILE}.new"
        try:
            temporary.write_bytes(content)
            temporary.replace(self.path / RESULT_FILE)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            what = f"cannot be written: {error.strerror}"
            raise InputError(Problem(str(self.path / RESULT_FILE), what, _rescued(content))) from error

    def close(self) -> None:
        """Close what is open for writing. Harmless when called again."""
        for file in (self._lines, self._task_lines):
            if file is not None:
                file.close()
        self._lines = self._task_lines = None


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: other kinds as text, and text without what is no character in a path."""
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode(errors="replace").decode()


def _rescued(content: bytes) -> str:
    """Write `result.json` to where there may be room, and say where it is."""
    try:
        with tempfile.NamedTemporaryFile(prefix="kfp-perf-", suffix=f"-{RESULT_FILE}", delete=False) as file:
            file.write(content)
    except OSError:
        return "Nor was there room for it elsewhere. The folder holds all runs and latencies, but no figures."
    return f"It is in {file.name}. Move it there when there is room."


def _point(link: Path, target: Path) -> None:
    """Let the link point to the newest result; one that cannot be made (a file in its place, say) is no loss."""
    temporary = link.with_name(f".latest-{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target.name)
        temporary.replace(link)
