from __future__ import annotations

import io
import json
import logging
import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from kfp_perf.live import ScenarioState, Snapshot, open_display
from kfp_perf.live.child import Child
from kfp_perf.live.feed import _Terminal
from kfp_perf.live.snapshot import FeedMessage, LogLine
from kfp_perf.log import Logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SLEEPER = "import sys, time\nsys.stdout.write('ready\\n'); sys.stdout.flush(); time.sleep(600)\n"
_COPIER = "import sys\nopen(sys.argv[1], 'wb').write(sys.stdin.buffer.read())\n"


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Child]]:
    """Start a program of a few lines as a display."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started: list[Child] = []

    def start(code: str, *arguments: str, answers: bool = False) -> Child:
        (tmp_path / "program_of_a_test.py").write_text(code)
        started.append(Child("program_of_a_test", *arguments, answers=answers))
        return started[-1]

    yield start
    for one in started:
        one.close()
        one.process.kill()
        one.process.wait()


def test_a_child_that_reads_nothing_is_never_waited_for(
    child: Any, snapshot: Callable[..., Snapshot]
) -> None:
    sleeper = child(_SLEEPER, answers=True)
    assert sleeper.answer() == "ready"
    # Far more than a pipe holds: writes that waited would hang here.
    assert all(sleeper.send(FeedMessage(snapshot=snapshot())) for _ in range(2000))


def test_a_child_that_is_killed_is_noticed_and_harms_nothing(
    child: Any, snapshot: Callable[..., Snapshot]
) -> None:
    sleeper = child(_SLEEPER, answers=True)
    assert sleeper.answer() == "ready"
    sleeper.process.send_signal(signal.SIGKILL)
    sleeper.process.wait()
    assert not sleeper.send(FeedMessage(snapshot=snapshot()))
    sleeper.close()
    sleeper.close()
    assert not sleeper.send(FeedMessage(snapshot=snapshot()))


def test_what_a_child_gets_are_lines_of_json(child: Any, tmp_path: Path) -> None:
    copier = child(_COPIER, str(tmp_path / "copy"))
    copier.send(FeedMessage(log=LogLine("hello", 20)))
    copier.send(FeedMessage(log=LogLine("last", 40)))
    copier.close()
    copier.wait(30.0)
    lines = [json.loads(line) for line in (tmp_path / "copy").read_bytes().splitlines() if line]
    assert [line["log"]["text"] for line in lines] == ["hello", "last"]


def test_a_child_that_closes_its_input_is_noticed(child: Any, snapshot: Callable[..., Snapshot]) -> None:
    deaf = child("import os, time\nos.close(0); print('ready', flush=True); time.sleep(600)", answers=True)
    assert deaf.answer() == "ready"
    deaf.send(FeedMessage(snapshot=snapshot()))
    deaf._writer.join(60.0)
    assert not deaf.send(FeedMessage(snapshot=snapshot()))


def test_a_snapshot_of_600_scenarios_arrives_whole(
    child: Any, tmp_path: Path, snapshot: Callable[..., Snapshot]
) -> None:
    names = [f"scenario {number} {'x' * 200}" for number in range(600)]
    scenarios = [ScenarioState(name, "PIPELINE_RUN", "running", 0.0, 60.0, 1, 2, 3, 4, 5) for name in names]
    copier = child(_COPIER, str(tmp_path / "copy"))
    for at in (1.0, 2.0):
        copier.send(FeedMessage(snapshot=snapshot(at, scenarios=scenarios)))
    copier.close()
    copier.wait(60.0)
    *_, last = (tmp_path / "copy").read_bytes().splitlines()
    assert len(last) > 2**17
    shown = json.loads(last)["snapshot"]
    assert shown["elapsed_seconds"] == 2.0
    assert [one["name"] for one in shown["scenarios"]] == names


def test_the_page_shows_all_of_600_scenarios(snapshot: Callable[..., Snapshot]) -> None:
    names = [f"scenario {number}" for number in range(600)]
    scenarios = [ScenarioState(name, "PIPELINE_RUN", "running", 0.0, 60.0) for name in names]
    page = Child("kfp_perf.live.page", answers=True)
    try:
        address = page.answer()
        page.send(FeedMessage(snapshot=snapshot(scenarios=scenarios)))
        body = ""
        while names[-1] not in body:  # the message is on its way
            with urllib.request.urlopen(address, timeout=60) as answer:
                body = answer.read().decode()
        assert all(f"{name}<" in body for name in names)
    finally:
        page.process.kill()
        page.process.wait()
        page.close()


def test_a_child_that_does_not_end_is_ended(child: Any) -> None:
    sleeper = child(_SLEEPER, answers=True)
    assert sleeper.answer() == "ready"
    sleeper.close()
    sleeper.wait(0.01)
    assert sleeper.process.returncode == -signal.SIGKILL


def test_without_a_terminal_the_log_has_a_line_now_and_then(
    snapshot: Callable[..., Snapshot], capfd: pytest.CaptureFixture[str]
) -> None:
    with Logger("INFO") as logger:
        display = open_display(logger, quiet=False)
        for second in range(25):
            display.update(snapshot(float(second)))
        display.end()
        display.close()
    lines = [line.split(" of 1:30")[0][-4:] for line in capfd.readouterr().err.splitlines()]
    assert lines == ["0:00", "0:10", "0:20"]


def test_quiet_is_quiet(snapshot: Callable[..., Snapshot], capfd: pytest.CaptureFixture[str]) -> None:
    with Logger("INFO") as logger:
        display = open_display(logger, quiet=True)
        display.update(snapshot())
        display.close()
    assert capfd.readouterr() == ("", "")


def test_the_page_is_served_by_a_process_of_its_own_and_the_test_outlives_it(
    snapshot: Callable[..., Snapshot], capfd: pytest.CaptureFixture[str]
) -> None:
    with Logger("INFO") as logger:
        display = open_display(logger, quiet=True, page=("127.0.0.1", 0))
        display.update(snapshot())
        logger.flush()
        address = capfd.readouterr().err.split("Live page: ")[1].split()[0]
        with urllib.request.urlopen(address) as answer:
            assert b"kfp-perf live" in answer.read()
        display.end()
        child = display._displays[0]._child.process  # type: ignore[attr-defined]
        child.kill()
        child.wait()
        display.update(snapshot())
        display.close()


def test_the_log_outlives_the_screen(snapshot: Callable[..., Snapshot]) -> None:
    console = io.StringIO()
    log = logging.getLogger("kfp_perf")
    with Logger("INFO", console=console) as logger:
        terminal = _Terminal(logger)
        terminal._child.process.kill()
        terminal._child.process.wait()
        log.info("first")
        log.info("second")
        logger.flush()
        log.info("third")
        terminal.update(snapshot())
        log.info("fourth")
        terminal.end()
        log.info("fifth")
    said = [line.split()[-1] for line in console.getvalue().splitlines()]
    assert said == ["first", "second", "third", "fourth", "fifth"]
