"""The result folder: made before a test's first request, filled while it runs, read by every report."""

from __future__ import annotations

import contextlib
import html
import importlib
import logging
import os
import re
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

from kfp_perf.errors import InputError, Problem
from kfp_perf.result.journal import Journal
from kfp_perf.result.lines import LineFile
from kfp_perf.result.model import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

#: Raised with each change of the files that an older reader would misread.
SCHEMA_VERSION = 1

RESULT_FILE = "result.json"
RUNS_FILE = "runs.jsonl"
JOURNAL_FILE = "journal.jsonl"

# Fields of `RunRecord` that are moments.
_TIMES = (
    *("due", "sent", "ended", "created_at", "scheduled_at", "finished_at", "running_at"),
    *("seen_running", "seen_unfinished", "seen_finished", "slot"),
)
SERIES_FILE = "series.hlog"


class TestResult:
    """The handle on the result folder of one execution.

    `result.json` holds the numbers, `runs.jsonl` a line a run as it ended, `series.hlog` each second's latencies,
    `journal.jsonl` what was made on the server; the logs lie beside them. Everything that reports do, they do
    from this.
    """

    __test__: ClassVar[bool] = False

    def __init__(self, path: Path, document: dict[str, Any] | None = None) -> None:
        self.path = path
        self.document = document or {}
        self._lines: LineFile | None = None
        self._unwritten = False

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
            document = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
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

    def journal(self) -> Journal:
        """Open the journal for writing."""
        return Journal(self.path / JOURNAL_FILE)

    @property
    def journal_path(self) -> Path:
        """Where the journal lies."""
        return self.path / JOURNAL_FILE

    @property
    def series_path(self) -> Path:
        """Where each second's latencies lie."""
        return self.path / SERIES_FILE

    def add_run(self, record: RunRecord) -> None:
        """Write a run down as it ends; any thread may. One that finds no room is missing, and that is said."""
        if self._lines is None:
            return
        try:
            self._lines.append(msgspec.json.encode(record))
        except OSError as error:
            if not self._unwritten:
                self._unwritten = True
                log.error("Runs are missing from %s: %s", self.path / RUNS_FILE, error.strerror)

    def runs(self) -> Iterator[RunRecord]:
        """Read the runs, in the order in which they ended. A line that was cut short is passed over."""
        decoder = msgspec.json.Decoder(RunRecord)
        with (self.path / RUNS_FILE).open("rb") as file:
            for line in file:
                with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
                    yield decoder.decode(line)

    def to_pandas(self) -> Any:
        """The runs as a pandas DataFrame, a row each, with the fields of `RunRecord` and times in UTC.

        Raises `ImportError` where pandas is not installed (`pip install 'kfp-perf[pandas]'`).
        """
        try:
            pd = importlib.import_module("pandas")  # takes a second
        except ModuleNotFoundError:
            raise ImportError("to_pandas() needs pandas: pip install 'kfp-perf[pandas]'") from None
        frame = pd.DataFrame([record.row() for record in self.runs()])
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
        """Write `result.json`, whole or not at all.

        Raises `InputError` where the folder cannot be written any more; what was measured is then written to where
        the system keeps temporary files, which the error names.
        """
        self.document = {"schema_version": SCHEMA_VERSION, **document}
        content = msgspec.json.format(msgspec.json.encode(self.document), indent=2) + b"\n"
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
        if self._lines is not None:
            self._lines.close()
            self._lines = None


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
