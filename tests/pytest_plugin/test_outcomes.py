"""What becomes of a file's tests by the verdict of its result, without a test being run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import Load, SampleTest, make_result

from kfp_perf.errors import ExitCode, TargetError, TestInterrupted
from kfp_perf.execution import TestFailed
from kfp_perf.pytest_plugin import nodes
from kfp_perf.pytest_plugin.once import run_once
from kfp_perf.result.reader import TestResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEPT = {"scenario": "one", "metric": "run.success_rate", "condition": ">= 95%", "passed": True, "value": 1.0}


def runs(monkeypatch: pytest.MonkeyPatch, folder: Path, code: int, reasons: list[str], **extra: Any) -> None:
    """Let each scenario file end with this verdict."""
    loads = (Load("one", 5, 0.0, 60.0, 5.0), Load("two", 5, 0.0, 60.0, 5.0))
    test = SampleTest(loads=loads, exit_code=code, reasons=reasons, extra={"thresholds": [KEPT], **extra})
    result = make_result(folder, test)

    def run_file(*_: object) -> TestResult:
        if code:
            raise TestFailed(result, [TestInterrupted("stopped")], ExitCode(code))
        return result

    monkeypatch.setattr(nodes, "run_file", run_file)


def test_an_invalid_result_is_an_error_of_each_scenario(
    pytester: pytest.Pytester, scenarios: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scenarios("reads.json", one={}, two={})
    runs(monkeypatch, tmp_path, 5, ["The generator was saturated."])
    found = pytester.runpytest("--kfp-perf")
    found.assert_outcomes(errors=2, passed=1)
    found.stdout.fnmatch_lines(["*ERROR at setup of reads.json: one*", "The generator was saturated."])
    found.stdout.fnmatch_lines(["  not judged * run.success_rate: *"])


def test_an_interrupted_test_ends_pytest(
    pytester: pytest.Pytester, scenarios: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scenarios("a.json", one={}, two={})
    scenarios("b.json", one={})
    runs(monkeypatch, tmp_path, 4, ["The test was stopped."])
    found = pytester.runpytest("--kfp-perf", no_reraise_ctrlc=True)
    assert found.ret == pytest.ExitCode.INTERRUPTED
    found.stdout.fnmatch_lines(["*a.json was stopped before its end; its result is in *"])


def test_the_first_failure_is_enough_where_that_is_asked_for(
    pytester: pytest.Pytester, scenarios: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scenarios("reads.json", one={}, two={})
    failed = {**KEPT, "passed": False, "judged": "not kept", "reason": "is 90 %, not >= 95%"}
    runs(monkeypatch, tmp_path, 1, [], thresholds=[failed])
    pytester.runpytest("--kfp-perf", "-x", "-p", "no:cacheprovider").assert_outcomes(failed=1)
    pytester.runpytest("--kfp-perf", "-k", "two").assert_outcomes(passed=1, deselected=2)
    pytester.runpytest("--kfp-perf").assert_outcomes(passed=2, failed=1)
    pytester.runpytest("--kfp-perf", "--lf").assert_outcomes(failed=1)


def test_workers_agree_on_one_run(tmp_path: Path) -> None:
    file, started = tmp_path / "reads.json", []
    barrier = threading.Barrier(4)

    def run() -> TestResult:
        started.append(threading.get_ident())
        return TestResult(tmp_path / "result")

    def ask() -> None:
        barrier.wait()
        outcomes.append(run_once(file, run, tmp_path))

    outcomes: list[object] = []
    workers = [threading.Thread(target=ask) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(started) == 1
    assert len(outcomes) == 4
    assert len(set(map(repr, outcomes))) == 1
    run_once(tmp_path / "other.json", run, tmp_path)
    assert len(started) == 2


def test_a_test_that_could_not_start_is_not_tried_by_the_other_workers(tmp_path: Path) -> None:
    def run() -> TestResult:
        raise TargetError("Not there.", "Start it.")

    first = run_once(tmp_path / "reads.json", run, tmp_path)
    assert "Not there." in first.error
    assert run_once(tmp_path / "reads.json", pytest.fail, tmp_path) == first
