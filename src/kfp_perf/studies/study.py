"""A study in progress: a design decides which execution is next, from the results of those before it."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from kfp_perf.errors import ExitCode, InputError, KfpPerfError, TestInterrupted
from kfp_perf.execution import TestFailed
from kfp_perf.execution.signals import interruptible
from kfp_perf.result.files import EXECUTIONS_FOLDER, GIVEN_FILE
from kfp_perf.result.result_writer import new_folder
from kfp_perf.result.study import ExecutionRecord, Study, StudyRecord, write_study
from kfp_perf.result.timestamps import utc_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from kfp_perf.config import TestConfig
    from kfp_perf.execution import StopWhen
    from kfp_perf.judgement import Judgement
    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.result.reader import TestResult

log = logging.getLogger(__name__)

#: Outcomes after which no further execution is started.
_ENDING = frozenset({ExitCode.INTERRUPTED, ExitCode.TARGET, ExitCode.BAD_INPUT})
#: So many invalid executions in a row end a study: the generator will not keep up in the next one either.
_MOST_INVALID = 2
_STOPPED = "The study was stopped before its end."


@dataclass(frozen=True, slots=True)
class PlannedExecution:
    """An execution that a design asks for.

    `title` is for people ("execution 2 of 5"). `overrides` are set in the scenario file after the user's own.
    `config` is the configuration with its target, `emulator` the profile of an emulator that is started for it
    (None: those of the study), and `emulator_seed` its seed. `label`, `warmup` and `pair` are those of
    `ExecutionRecord`. `stop_when` ends the execution early, as in `execute`. `judged_together`: a relative
    threshold that cannot be told from this execution alone does not fail it, since the study judges it.
    `deletes_early`: runs that have ended are deleted while the last ones are followed to their end.
    `judged_in_pairs`: only the study judges relative thresholds, by its pairs of executions.
    """

    title: str
    label: str = ""
    overrides: tuple[str, ...] = ()
    config: TestConfig | None = None
    emulator: str | None = None
    emulator_seed: int | None = None
    warmup: bool = False
    pair: int | None = None
    stop_when: StopWhen | None = None
    judged_together: bool = False
    deletes_early: bool = False
    judged_in_pairs: bool = False


@dataclass(frozen=True, slots=True)
class Executed:
    """An execution that is over: what was planned, its entry in `study.json`, and its result."""

    planned: PlannedExecution
    record: ExecutionRecord
    result: TestResult

    @property
    def exit_code(self) -> ExitCode:
        """The outcome of the execution."""
        return ExitCode(self.record.exit_code or 0)


class StudyDesign(Protocol):
    """Which executions a study consists of: a pure function of those that are over.

    `kind`, `settings` and `planned` are those of `StudyRecord`.
    """

    @property
    def kind(self) -> str:
        """The kind of study."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What `study.json` records of the design: plain values."""
        ...

    @property
    def planned(self) -> int | None:
        """The number of executions; None where their results decide it."""
        ...

    def next(self, done: Sequence[Executed]) -> PlannedExecution | None:
        """The next execution; None: the study is complete."""
        ...

    def answer(self, done: Sequence[Executed]) -> Mapping[str, Any]:
        """What follows from the executions so far, for `study.json`; may be empty."""
        ...

    def exit_code(self, done: Sequence[Executed]) -> ExitCode:
        """The outcome of the study, as far as its executions decide it."""
        ...


def worst_of(done: Sequence[Executed], judged: Sequence[Judgement] = ()) -> ExitCode:
    """The worst outcome of the executions, and of what the study has judged by all of them.

    A warm-up counts only where it ended the study.
    """
    codes = [one.exit_code for one in done if not one.planned.warmup or one.exit_code in _ENDING]
    codes += [ExitCode.FAILED for one in judged if not one.passed]
    return ExitCode.worst(codes)


class StudyAbandoned(Exception):
    """The user did not wait for an execution: its scenarios still run. `study` has the executions so far."""

    def __init__(self, study: Study) -> None:
        self.study = study
        super().__init__("the study was stopped at once")


def run_executions(
    design: StudyDesign,
    name: str,
    results: Path,
    run: Callable[[PlannedExecution, Path], TestResult],
    *,
    pause_seconds: float = 0.0,
    announce: Callable[[str], None] = lambda _: None,
) -> Study:
    """Run the executions of a design one after the other into a new folder in `results`, and return the study.

    `run` executes one: it writes its result into the folder that it is given, deletes its objects, and returns, or
    raises `TestFailed` with the result. Between two executions the study waits for `pause_seconds`. `announce` gets
    a line before each execution and each pause. `study.json` is written before and after each execution, so that
    the executions so far are a usable study whenever it ends.

    The study ends early when an execution was interrupted or lost its target, when two in a row were invalid, when
    one cannot be started, and on Ctrl-C. Raises `StudyAbandoned` where the user did not wait for scenarios, and
    what `run` raises before the first execution has made anything; the folder is then removed.
    """
    latest = results / "latest"
    before = latest.readlink() if latest.is_symlink() else None
    path = new_folder(results, name, time.time())
    record = StudyRecord(
        kind=design.kind,
        name=name,
        started=_now(),
        settings=dict(design.settings),
        planned=design.planned,
    )
    done: list[Executed] = []
    signals = _Signals()
    failure = ExitCode.GOOD
    with interruptible(signals.came):
        while not (ended := _why_ended(done, signals.stopped)) and (planned := design.next(done)) is not None:
            if done and pause_seconds:
                announce(f"Pausing for {pause_seconds:g} s")
                if signals.stopped.wait(pause_seconds):
                    continue
            announce(planned.title)
            entry = _entry(planned, len(done) + 1)
            folder = path / EXECUTIONS_FOLDER / entry.folder
            record = msgspec.structs.replace(record, executions=(*_records(done), entry))
            try:
                write_study(path, record)
                started = _started(run, planned, folder, signals)
            except BaseException as error:
                begun = (folder / GIVEN_FILE).exists()
                if not done and not begun:
                    _remove(path, latest, before)
                    raise
                if not begun:
                    record = msgspec.structs.replace(record, executions=tuple(_records(done)))
                if isinstance(error, KeyboardInterrupt):
                    signals.stopped.set()
                    continue
                failure = ExitCode.of([error]) if isinstance(error, Exception) else ExitCode.FAILED
                why = ". ".join(line.strip().rstrip(".") for line in str(error).splitlines())
                ended = f"Execution {entry.number} could not be started: {why}."
                if isinstance(error, KfpPerfError):
                    break
                _write_end(path, record, ended, failure)
                raise
            done.append(Executed(planned, _with_outcome(entry, started), started.result))
            record = msgspec.structs.replace(
                record, executions=tuple(_records(done)), answer=dict(design.answer(done))
            )
            if started.abandoned:
                raise StudyAbandoned(_write_end(path, record, "The user did not wait.", ExitCode.INTERRUPTED))
            _save(path, record)
    stopped = ExitCode.INTERRUPTED if signals.stopped.is_set() else ExitCode.GOOD
    return _write_end(path, record, ended, ExitCode.worst((design.exit_code(done), failure, stopped)))


class _Signals:
    """Ctrl-C and the like while a study runs: `stopped` is set, and `starting` is the folder of an execution."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.starting: Path | None = None

    def came(self) -> None:
        """End the study. Until an execution has begun, it waits for its target, and handles no signals itself."""
        self.stopped.set()
        if self.starting is not None and not (self.starting / GIVEN_FILE).exists():
            raise KeyboardInterrupt


class _Started(NamedTuple):
    """What came of an execution; `code` is that of one that failed, which no file has if it could not be saved."""

    result: TestResult
    abandoned: bool = False
    code: ExitCode | None = None


def _started(
    run: Callable[[PlannedExecution, Path], TestResult],
    planned: PlannedExecution,
    folder: Path,
    signals: _Signals,
) -> _Started:
    signals.starting = folder
    try:
        return _Started(run(_stoppable(planned, signals.stopped), folder))
    except TestFailed as failed:
        return _Started(failed.result, failed.abandoned, failed.exit_code)
    finally:
        signals.starting = None


def _stoppable(planned: PlannedExecution, stopped: threading.Event) -> PlannedExecution:
    """The execution, ended early if a signal came before it handled signals itself."""
    wanted = planned.stop_when

    def stop_when(counters: Mapping[str, ScenarioCounters], elapsed: float) -> str | None:
        if stopped.is_set():
            raise TestInterrupted(_STOPPED)
        return wanted(counters, elapsed) if wanted is not None else None

    return replace(planned, stop_when=stop_when)


def _entry(planned: PlannedExecution, number: int) -> ExecutionRecord:
    return ExecutionRecord(
        number=number,
        folder=f"{number:02d}",
        label=planned.label,
        overrides=planned.overrides,
        emulator_seed=planned.emulator_seed,
        warmup=planned.warmup,
        pair=planned.pair,
        started=_now(),
    )


def _with_outcome(entry: ExecutionRecord, started: _Started) -> ExecutionRecord:
    result = started.result
    verdict, target = result.document.get("verdict") or {}, result.given.get("target") or {}
    code = verdict.get("exit_code", ExitCode.FAILED) if started.code is None else started.code
    return msgspec.structs.replace(
        entry,
        finished=_now(),
        target=str(target.get("url", "")),
        target_name=str(target.get("name") or ""),
        exit_code=int(code),
        verdict=str(verdict.get("text", "")),
        reasons=tuple(map(str, verdict.get("reasons", ()))),
    )


def _records(done: Sequence[Executed]) -> list[ExecutionRecord]:
    return [one.record for one in done]


def _why_ended(done: Sequence[Executed], stopped: threading.Event) -> str:
    """Why no further execution is started; empty where nothing speaks against it."""
    if stopped.is_set():
        return _STOPPED
    if done and done[-1].exit_code in _ENDING:
        return f"Execution {done[-1].record.number} ended the study: {done[-1].record.verdict}."
    last = [one.exit_code for one in done[-_MOST_INVALID:]]
    if last == [ExitCode.INVALID] * _MOST_INVALID:
        return f"{_MOST_INVALID} executions in a row were invalid; the report of each says why."
    return ""


def _write_end(path: Path, record: StudyRecord, ended: str, code: ExitCode) -> Study:
    record = msgspec.structs.replace(record, finished=_now(), ended=ended, exit_code=int(code))
    if (unsaved := _save(path, record)) is not None:
        # The study is still in memory, and its executions are on disk.
        code = ExitCode.worst((code, unsaved.exit_code))
        record = msgspec.structs.replace(record, ended=ended or str(unsaved), exit_code=int(code))
    return Study(path, record)


def _save(path: Path, record: StudyRecord) -> InputError | None:
    """Write `study.json`; return why that failed, which is logged."""
    try:
        write_study(path, record)
    except InputError as error:
        log.warning("%s", error)
        return error
    return None


def _remove(path: Path, latest: Path, before: Path | None) -> None:
    """Remove a study in which nothing was made, and point `latest` to what it pointed to before."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        # Another test may have pointed it to its own result since.
        if latest.is_symlink() and latest.readlink().name == path.name:
            latest.unlink()
            if before is not None:
                latest.symlink_to(before)


def _now() -> str:
    return utc_of(time.time())
