"""Reading a result folder, finished or not."""

from __future__ import annotations

import contextlib
import difflib
import html
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import msgspec

from kfp_perf.errors import InputError, Problem
from kfp_perf.result.append_file import read_lines
from kfp_perf.result.calls import CallSecond
from kfp_perf.result.evidence import EVIDENCE_FOLDER, EvidenceFiles
from kfp_perf.result.files import (
    CALLS_FILE,
    COUNTERS_FILE,
    GIVEN_FILE,
    HEALTH_FILE,
    JOURNAL_FILE,
    RESULT_FILE,
    RUNS_FILE,
    SCENARIO_FILE,
    SCENARIOS_FOLDER,
    SCHEMA_VERSION,
    SERIES_FILE,
    TASKS_FILE,
)
from kfp_perf.result.records import RunRecord
from kfp_perf.result.scenario_writer import ScenarioInfo, StateLine
from kfp_perf.result.series import HistogramLine, read_series
from kfp_perf.result.tasks import TaskRecord

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_run_decoder = msgspec.json.Decoder(RunRecord)
_task_decoder = msgspec.json.Decoder(TaskRecord)
_call_decoder = msgspec.json.Decoder(CallSecond)
_state_decoder = msgspec.json.Decoder(StateLine)
_info_decoder = msgspec.json.Decoder(ScenarioInfo)
_document_decoder = msgspec.json.Decoder(dict[str, Any])

# Fields of `RunRecord` and `TaskRecord` that are times of day.
_TIMES = (
    *("due", "sent", "ended", "created_at", "scheduled_at", "finished_at", "running_at"),
    *("seen_running", "seen_unfinished", "seen_finished", "slot", "started_at", "ended_at"),
)


def remedy_for(path: Path) -> str:
    """What to name in place of a folder that holds no result."""
    with contextlib.suppress(OSError):
        for inside in (path / "latest", path / "results" / "latest"):
            if inside.is_dir():
                return f"Did you mean {inside}? `kfp-perf list {inside.parent}` lists the results there."
        if path.parent.is_dir():
            folders = [one.name for one in path.parent.iterdir() if one.is_dir() and one.name != path.name]
            if near := difflib.get_close_matches(path.name, folders, n=1):
                return f"Did you mean {path.parent / near[0]}?"
        elif path.name == "latest":
            return "No test has been run here; `kfp-perf run smoke.json --emulator` makes a first result."
    return "Name a folder that `kfp-perf run` made; `kfp-perf list` lists those in results."


class ScenarioFiles:
    """The files of one scenario. A truncated line is skipped, and a missing file counts as empty."""

    def __init__(self, folder: Path, name: str = "") -> None:
        self.folder = folder
        self._name = name or folder.name

    @property
    def info(self) -> ScenarioInfo:
        """The scenario's settings and how it ended; defaults where the file was never written."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return _info_decoder.decode((self.folder / SCENARIO_FILE).read_bytes())
        return ScenarioInfo(name=self._name)

    @property
    def series_path(self) -> Path:
        """The path of the histograms of each second."""
        return self.folder / SERIES_FILE

    def runs(self) -> Iterator[RunRecord]:
        """Read the runs, in the order in which their records were written."""
        return read_lines(self.folder / RUNS_FILE, _run_decoder)

    def tasks(self) -> Iterator[TaskRecord]:
        """Read the tasks of runs that ended, run by run."""
        return read_lines(self.folder / TASKS_FILE, _task_decoder)

    def calls(self) -> Iterator[CallSecond]:
        """Read the operations, by second."""
        return read_lines(self.folder / CALLS_FILE, _call_decoder)

    def series(self) -> Iterator[HistogramLine]:
        """Read the histograms, by second."""
        return read_series(self.series_path)

    def states(self) -> Iterator[StateLine]:
        """Read the counters, by time."""
        return read_lines(self.folder / COUNTERS_FILE, _state_decoder)


class TestResult:
    """The result folder of one test, for reading.

    `document` is `result.json`, or empty where the test did not reach its end; `given` is the test's input.
    `scenarios/<name>/` holds the files of each scenario: `runs.jsonl` a line per run, `tasks.jsonl` a line per
    task, `calls.jsonl` a line per second and operation, `series.hlog` the histograms of each second,
    `counters.jsonl` the scenario's counters, `journal.jsonl` what was created on the server. `evidence/` holds what
    was collected beside the load.
    """

    __test__: ClassVar[bool] = False

    def __init__(self, path: str | os.PathLike[str], document: dict[str, Any] | None = None) -> None:
        self.path = Path(path)
        self.document = document or {}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a folder that a test left. Raises `InputError` where it holds no readable result."""
        path = Path(path)
        remedy = remedy_for(path)
        try:
            names = {entry.name for entry in path.iterdir()}
        except FileNotFoundError:
            raise InputError(Problem(str(path), "does not exist", remedy)) from None
        except NotADirectoryError:
            raise InputError(Problem(str(path), "is not a folder", remedy)) from None
        except OSError as error:
            raise InputError(Problem(str(path), f"cannot be read: {error.strerror}", remedy)) from error
        if names.isdisjoint({RESULT_FILE, GIVEN_FILE, RUNS_FILE}):
            raise InputError(Problem(str(path), "holds no result", remedy))
        if names.isdisjoint({RESULT_FILE, GIVEN_FILE}):
            raise InputError(Problem(str(path), _OLD, _OLD_REMEDY))
        return cls(path, _checked(path / RESULT_FILE) if RESULT_FILE in names else _checked_given(path))

    @property
    def given(self) -> dict[str, Any]:
        """The test's input: plan, target, settings; empty where it cannot be read."""
        return _document_of(self.path / GIVEN_FILE)

    @property
    def health(self) -> dict[str, Any]:
        """The last document of the health checks; empty where it cannot be read."""
        return _document_of(self.path / HEALTH_FILE)

    @property
    def scenarios(self) -> list[ScenarioFiles]:
        """The files of each scenario, in the order of the scenario file."""
        folder = self.path / SCENARIOS_FOLDER
        found = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
        named = [
            (str(one.get("name")), str(one.get("folder"))) for one in self.given.get("scenarios", [])
        ] or [(name, name) for name in sorted(found)]
        return [ScenarioFiles(folder / place, name) for name, place in named]

    @property
    def evidence(self) -> EvidenceFiles:
        """The files of the evidence that was collected beside the load."""
        return EvidenceFiles(self.path / EVIDENCE_FOLDER)

    @property
    def journal_paths(self) -> list[Path]:
        """The paths of the journals that exist."""
        return [path for one in self.scenarios if (path := one.folder / JOURNAL_FILE).exists()]

    def runs(self) -> Iterator[RunRecord]:
        """Read the runs of all scenarios, scenario by scenario."""
        for one in self.scenarios:
            yield from one.runs()

    def tasks(self) -> Iterator[TaskRecord]:
        """Read the tasks of all runs that ended."""
        for one in self.scenarios:
            yield from one.tasks()

    def to_pandas(self, table: Literal["runs", "tasks"] = "runs") -> Any:
        """The runs, or their tasks, as a pandas DataFrame: a row each, with times in UTC.

        The columns are the fields of `RunRecord` or `TaskRecord`. Raises `ImportError` where pandas is not
        installed (the extra `pandas`).
        """
        try:
            pd = importlib.import_module("pandas")  # takes a second
        except ModuleNotFoundError:
            raise ImportError(
                "to_pandas() needs pandas: pip install pandas, or '.[pandas]' in a checkout of kfp-perf"
            ) from None
        rows = (
            map(msgspec.structs.asdict, self.tasks()) if table == "tasks" else map(RunRecord.row, self.runs())
        )
        frame = pd.DataFrame(list(rows))
        for column in frame.columns.intersection(_TIMES):
            # A column of nothing but None has no numbers to convert yet.
            frame[column] = pd.to_datetime(pd.to_numeric(frame[column]), unit="s", utc=True)
        return frame

    def _repr_html_(self) -> str:
        """The verdict, the main figures and the path of the report, for a notebook."""
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


_OLD = "was written by a development version of kfp-perf (schema 1), which this one cannot read"
_OLD_REMEDY = "Run the test again; schema 1 was never released."


def _checked_given(path: Path) -> dict[str, Any]:
    """Check `given.json` in place of a `result.json` that was never written."""
    _checked(path / GIVEN_FILE)
    return {}


def _checked(file: Path) -> dict[str, Any]:
    try:
        document = _document_decoder.decode(file.read_bytes())
    except (msgspec.DecodeError, OSError) as error:
        raise InputError(Problem(str(file), f"cannot be read: {error}", "Was it cut short?")) from None
    version = document.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise InputError(Problem(str(file), "is no result of kfp-perf: it has no schema_version"))
    if version < SCHEMA_VERSION:
        raise InputError(Problem(str(file), _OLD, _OLD_REMEDY))
    if version > SCHEMA_VERSION:
        what = f"was written by a newer kfp-perf (schema {version}, this one reads {SCHEMA_VERSION})"
        raise InputError(Problem(str(file), what, "Update kfp-perf."))
    return document


def _document_of(file: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return _document_decoder.decode(file.read_bytes())
    return {}
