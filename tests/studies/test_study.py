"""A study: which executions there are, and what is left when it ends early."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from made_executions import total, write_execution

from kfp_perf.compare import read_side
from kfp_perf.errors import ExitCode, InputError, Problem, RunnerError, TargetError, TestInterrupted
from kfp_perf.execution import TestFailed
from kfp_perf.result.reader import TestResult
from kfp_perf.result.study import Study
from kfp_perf.studies import PlannedExecution, Repetition, StudyAbandoned, run_executions, worst_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kfp_perf.studies import Executed


@dataclass
class Run:
    """Executes by writing results with these exit codes; remembers what was planned."""

    codes: Sequence[int]
    abandoned: bool = False

    def __post_init__(self) -> None:
        self.planned: list[PlannedExecution] = []

    def __call__(self, planned: PlannedExecution, folder: Path) -> TestResult:
        code = self.codes[len(self.planned)]
        self.planned.append(planned)
        verdict: dict[str, Any] = {
            "text": "passed" if code == 0 else "failed",
            "exit_code": code,
            "reasons": [],
        }
        minute = len(self.planned)
        write_execution(folder, total(float(minute)), minute=minute, verdict=verdict)
        result = TestResult.open(folder)
        if code:
            raise TestFailed(result, [RunnerError("failed")], ExitCode(code), abandoned=self.abandoned)
        return result


def run(codes: Sequence[int], results: Path, executions: int = 3, **rest: Any) -> Study:
    return run_executions(Repetition(executions), "nightly", results, Run(codes), **rest)


def test_a_study_is_a_folder_of_whole_results(tmp_path: Path) -> None:
    lines: list[str] = []
    study = run([0, 0, 0, 0], tmp_path, announce=lines.append)
    assert [one.folder for one in study.record.executions] == ["01", "02", "03", "04"]
    assert [one.warmup for one in study.record.executions] == [True, False, False, False]
    assert study.record.exit_code == ExitCode.GOOD
    assert (study.record.ended, study.record.planned) == ("", 4)
    assert lines == ["Warm-up, which does not count", *(f"Execution {n} of 3" for n in (1, 2, 3))]
    assert (tmp_path / "latest").resolve() == study.path.resolve()
    assert Study.open(tmp_path / "latest").record == study.record
    assert len(read_side([study.path]).executions) == 3


@pytest.mark.parametrize(
    ("codes", "left", "code"),
    [
        ([0, 0, 4, 0], 3, ExitCode.INTERRUPTED),
        ([0, 3, 0, 0], 2, ExitCode.TARGET),
        ([0, 5, 5, 0], 3, ExitCode.INVALID),
        ([3, 0, 0, 0], 1, ExitCode.TARGET),
    ],
)
def test_what_ends_a_study_leaves_the_executions_so_far(
    tmp_path: Path, codes: list[int], left: int, code: ExitCode
) -> None:
    study = run(codes, tmp_path)
    assert len(study.record.executions) == left
    assert study.record.exit_code == code
    assert study.record.ended
    assert study.record.finished


@pytest.mark.parametrize(("codes", "code"), [([1, 0, 0, 0], 0), ([0, 1, 0, 0], 1), ([0, 5, 1, 5], 5)])
def test_what_does_not_end_it_decides_the_exit_code(tmp_path: Path, codes: list[int], code: int) -> None:
    study = run(codes, tmp_path)
    assert len(study.record.executions) == 4
    assert study.record.exit_code == code  # a warm-up that fails a threshold does not count


def test_a_signal_in_a_pause_ends_the_study(tmp_path: Path) -> None:
    def announce(line: str) -> None:
        if line.startswith("Pausing"):
            os.kill(os.getpid(), signal.SIGINT)

    study = run([0] * 4, tmp_path, pause_seconds=3600.0, announce=announce)
    assert len(study.record.executions) == 1
    assert study.record.exit_code == ExitCode.INTERRUPTED


def test_a_study_that_is_killed_lists_what_was_begun(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    class Looking(Run):
        def __call__(self, planned: PlannedExecution, folder: Path) -> TestResult:
            seen.append(json.loads((folder.parent.parent / "study.json").read_bytes()))
            return super().__call__(planned, folder)

    run_executions(Repetition(2), "nightly", tmp_path, Looking([0, 0, 0]))
    assert [len(one["executions"]) for one in seen] == [1, 2, 3]
    assert all(one["executions"][-1]["exit_code"] is None and not one["finished"] for one in seen)
    assert all(
        one["executions"][place]["finished"] for one in seen for place in range(len(one["executions"]) - 1)
    )


@pytest.mark.parametrize("before", [True, False])
def test_nothing_is_left_of_a_study_that_could_not_begin(tmp_path: Path, before: bool) -> None:
    if before:
        run([0, 0], tmp_path, executions=1)
    names = {path.name: path.is_symlink() and path.readlink() for path in tmp_path.iterdir()}

    def refuse(_: PlannedExecution, __: Path) -> TestResult:
        raise TargetError("no answer")

    with pytest.raises(TargetError):
        run_executions(Repetition(2), "other", tmp_path, refuse)
    assert {path.name: path.is_symlink() and path.readlink() for path in tmp_path.iterdir()} == names


def test_a_study_that_could_not_begin_leaves_the_link_that_another_test_made(tmp_path: Path) -> None:
    def refuse(_: PlannedExecution, __: Path) -> TestResult:
        latest = tmp_path / "latest"
        latest.unlink()
        latest.symlink_to("of-another-test")
        raise TargetError("no answer")

    with pytest.raises(TargetError):
        run_executions(Repetition(2), "other", tmp_path, refuse)
    assert str((tmp_path / "latest").readlink()) == "of-another-test"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError(Problem("disk", "is full")), ExitCode.BAD_INPUT),
        (TargetError("no answer"), ExitCode.TARGET),
    ],
)
def test_a_later_execution_that_cannot_be_started_ends_the_study(
    tmp_path: Path, error: Exception, code: ExitCode
) -> None:
    made = Run([0, 0])

    def later(planned: PlannedExecution, folder: Path) -> TestResult:
        if len(made.planned) == 2:
            raise error
        return made(planned, folder)

    study = run_executions(Repetition(2), "nightly", tmp_path, later)
    assert [bool(one.finished) for one in study.record.executions] == [True, True]
    assert study.record.ended == f"Execution 3 could not be started: {error}."
    assert study.record.exit_code == code
    assert Study.open(tmp_path / "latest").record == study.record


def test_a_signal_while_an_execution_waits_for_its_target_ends_the_study_at_once(tmp_path: Path) -> None:
    made = Run([0])

    def later(planned: PlannedExecution, folder: Path) -> TestResult:
        if made.planned:
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("it goes on waiting")
        return made(planned, folder)

    record = run_executions(Repetition(2), "nightly", tmp_path, later).record
    assert len(record.executions) == 1
    assert (record.ended, record.exit_code) == ("The study was stopped before its end.", ExitCode.INTERRUPTED)
    with pytest.raises(KeyboardInterrupt):
        run_executions(Repetition(2), "first", tmp_path, later)
    assert not list(tmp_path.glob("*-first"))


def test_a_signal_before_an_execution_handles_signals_interrupts_it(tmp_path: Path) -> None:
    """Its result must not look like that of a whole test."""

    def run_one(planned: PlannedExecution, folder: Path) -> TestResult:
        write_execution(folder, total(1.0))  # it has begun
        os.kill(os.getpid(), signal.SIGINT)
        assert planned.stop_when is not None
        with pytest.raises(TestInterrupted):
            planned.stop_when({}, 1.0)
        raise TestFailed(TestResult.open(folder), [TestInterrupted("stopped")], ExitCode.INTERRUPTED)

    record = run_executions(Repetition(2), "nightly", tmp_path, run_one).record
    assert record.exit_code == ExitCode.INTERRUPTED


def test_a_result_that_could_not_be_saved_fails_the_study(tmp_path: Path) -> None:
    """The verdict on disk does not know of it."""

    def run_one(planned: PlannedExecution, folder: Path) -> TestResult:
        write_execution(folder, total(1.0))
        unsaved = InputError(Problem("result.json", "cannot be written"))
        raise TestFailed(TestResult.open(folder), [unsaved], ExitCode.BAD_INPUT)

    record = run_executions(Repetition(2), "nightly", tmp_path, run_one).record
    assert (len(record.executions), record.exit_code) == (1, ExitCode.BAD_INPUT)


def test_a_study_whose_file_can_no_longer_be_written_is_returned(tmp_path: Path) -> None:
    def run_one(planned: PlannedExecution, folder: Path) -> TestResult:
        result = Run([0])(planned, folder)
        file = folder.parent.parent / "study.json"
        file.unlink()
        file.mkdir()  # nothing can be written in its place
        (file / "x").touch()
        return result

    study = run_executions(Repetition(2), "nightly", tmp_path, run_one)
    assert [one.exit_code for one in study.record.executions] == [0]
    assert study.record.exit_code == ExitCode.BAD_INPUT
    assert "study.json: cannot be written" in study.record.ended


def test_an_abandoned_execution_ends_the_study_at_once(tmp_path: Path) -> None:
    with pytest.raises(StudyAbandoned) as caught:
        run_executions(Repetition(2), "nightly", tmp_path, Run([4], abandoned=True))
    assert caught.value.study.record.exit_code == ExitCode.INTERRUPTED
    assert len(caught.value.study.record.executions) == 1


@dataclass(frozen=True)
class Given:
    """A design of given executions."""

    executions: tuple[PlannedExecution, ...]
    kind: str = "duel"
    planned: int | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"seed": 3}

    def next(self, done: Sequence[Executed]) -> PlannedExecution | None:
        return self.executions[len(done)] if len(done) < len(self.executions) else None

    def answer(self, done: Sequence[Executed]) -> Mapping[str, Any]:
        return {"done": len(done)}

    def exit_code(self, done: Sequence[Executed]) -> ExitCode:
        return worst_of(done)


def test_study_json_has_what_the_schedule_gives(tmp_path: Path) -> None:
    planned = PlannedExecution("A first", label="A", overrides=("scenarios[0].numTimes=3",), pair=2)
    record = run_executions(Given((planned,)), "x", tmp_path, Run([0])).record
    (one,) = record.executions
    assert (one.label, one.overrides, one.pair) == ("A", ("scenarios[0].numTimes=3",), 2)
    assert (record.kind, record.settings, record.answer) == ("duel", {"seed": 3}, {"done": 1})


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": 1}'])
def test_a_damaged_study_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(InputError, match=r"study\.json: cannot be read"):
        Study.open(tmp_path)


def test_a_newer_study_is_refused(tmp_path: Path) -> None:
    run([0, 0], tmp_path, executions=1)
    file = tmp_path / "latest" / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema_version": 3}))
    with pytest.raises(InputError, match="Update kfp-perf"):
        Study.open(tmp_path / "latest")
