"""Ctrl-C when there is nothing left to be waited for."""

from __future__ import annotations

import io
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.cli import outcome
from kfp_perf.config import TestConfig
from kfp_perf.errors import ExitCode
from kfp_perf.execution import TestFailed, execute
from kfp_perf.execution.document import result_document
from kfp_perf.execution.signals import interruptible
from kfp_perf.health import HealthChecks
from kfp_perf.live import open_display
from kfp_perf.log import Logger
from kfp_perf.plan import make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from program import Server

SCENARIO: dict[str, Any] = {
    "name": "a",
    "mode": "RANDOM_GETS",
    "runTime": "1s",
    "thresholds": {"generator.lateness.max": "< 0s"},
}


def test_an_impatient_user_abandons_no_test_whose_scenarios_have_all_ended(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def while_figures_are_made(*given: Any, **named: Any) -> Any:
        if all(one.info.ended for one in given[0].scenarios):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return result_document(*given, **named)

    monkeypatch.setattr(sys.modules[execute.__module__], "result_document", while_figures_are_made)
    (tmp_path / "t.json").write_text(json.dumps([SCENARIO]))
    config = TestConfig(KFP_API_HOST=server.url, results_folder=tmp_path / "results")
    plan = make_plan(tmp_path / "t.json", config)
    with Logger(console=io.StringIO()) as logger, pytest.raises(TestFailed) as failed:
        execute(plan, config, logger=logger, display=open_display(logger, quiet=True))
    assert failed.value.exit_code == ExitCode.FAILED
    assert not failed.value.abandoned


def test_an_interruption_before_the_scenarios_start_stops_the_test(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = HealthChecks.__enter__

    def interrupted(checks: HealthChecks) -> HealthChecks:
        signal.raise_signal(signal.SIGINT)
        return entered(checks)

    monkeypatch.setattr(HealthChecks, "__enter__", interrupted)
    (tmp_path / "t.json").write_text(json.dumps([{**SCENARIO, "runTime": "30s", "thresholds": {}}]))
    config = TestConfig(KFP_API_HOST=server.url, results_folder=tmp_path / "results")
    plan = make_plan(tmp_path / "t.json", config)
    with Logger(console=io.StringIO()) as logger, pytest.raises(TestFailed) as failed:
        execute(plan, config, logger=logger, display=open_display(logger, quiet=True))
    assert failed.value.result.document["total"]["runs"]["due"] == 0, "the load never started"
    assert failed.value.exit_code == ExitCode.INTERRUPTED
    assert not failed.value.abandoned


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_report_is_drawn_stops_the_drawing_and_nothing_else(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        signal.raise_signal(number)
        pytest.fail("the drawing went on")

    monkeypatch.setattr("kfp_perf.execution.session.write_report", interrupted)
    (tmp_path / "t.json").write_text(json.dumps([{**SCENARIO, "runTime": "200ms"}]))
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(number)
    assert outcome(["run", "t.json", "--host", server.url, "--quiet"]) == ExitCode.FAILED, "as the test"
    assert signal.getsignal(number) is before
    printed = capsys.readouterr().out
    assert "Verdict" in printed
    assert "kfp-perf report" in printed
    assert json.loads((tmp_path / "results/latest/result.json").read_bytes())["verdict"]["exit_code"] == 1
    assert not (tmp_path / "results/latest/report.html").exists()


def test_an_outer_handler_sees_such_a_signal_too() -> None:
    seen = []
    with (
        interruptible(lambda: seen.append("study")),
        interruptible(lambda: seen.append("report"), outer_too=True),
    ):
        signal.raise_signal(signal.SIGTERM)
        assert seen == ["study", "report"]
