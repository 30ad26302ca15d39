"""The result of a test that is ended from outside: by signals, in order, at once, or with SIGKILL."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from program import Program, Server

from kfp_perf.config import TestConfig
from kfp_perf.errors import ExitCode
from kfp_perf.execution import EmulatorProcess, TestFailed, run_test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Program]

LOAD: dict[str, Any] = {
    "name": "a",
    "mode": "PIPELINE_RUN",
    "runTime": "10min",
    "numTimes": 3,
    "pipelineFileName": "hello.yaml",
}
SHORT = {**LOAD, "runTime": "2s"}
STUCK = """
import threading
from kfp_perf import BaseRunner

class Stuck(BaseRunner):
    def run(self):
        threading.Event().wait()

    def stop(self):
        pass

RUNNERS = {"STUCK": Stuck}
"""
INTERRUPTING = """
import os
import signal
from kfp_perf import BaseRunner

class Interrupting(BaseRunner):
    def run(self):
        os.kill(os.getpid(), signal.SIGINT)
        assert self.stop_signal.wait(60.0)

    def stop(self):
        pass

RUNNERS = {"INTERRUPTING": Interrupting}
"""


#: The program as the leader of a session with its standard input as terminal: the kernel sends it SIGHUP.
_WITH_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from kfp_perf.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which deleting takes for ever."""
    path = tmp_path_factory.mktemp("faults") / "faults.json"
    effect = {"kind": "latency", "delay": {"distribution": "constant", "seconds": 3600}}
    names = ("DeleteRun", "DeleteExperiment", "DeletePipeline", "ArchiveRun")
    path.write_text(json.dumps([{"operation": name, "effect": effect} for name in names]))
    with EmulatorProcess("fast", 1, ("--faults", str(path))) as emulator:
        yield Server(emulator.url)


def wait_for_file(one: Program, name: str) -> None:
    """Wait until the program has written this file; it must not end before."""
    path = one.folder / "results/latest" / name
    while not (path.exists() and path.stat().st_size):
        with pytest.raises(subprocess.TimeoutExpired):
            one.process.wait(0.05)


def report(one: Program, *arguments: str) -> tuple[int, str, str]:
    return Program(one.folder, "report", "results/latest", *arguments).end()


@pytest.mark.parametrize("stopped", [False, True])
def test_the_result_is_saved_before_the_clean_up(program: Start, hanging: Server, *, stopped: bool) -> None:
    one = program([LOAD if stopped else SHORT], "--host", hanging.url)
    if stopped:
        wait_for_file(one, "scenarios/a/calls.jsonl")
        one.process.terminate()
    wait_for_file(one, "result.json")
    one.process.kill()
    assert one.end()[0] == -signal.SIGKILL
    document = one.result()
    assert document["complete"] is False
    assert document["total"]["runs"]["created"] == len(one.runs()) > 0
    assert any("killed while it cleaned up" in reason for reason in document["verdict"]["reasons"])
    assert any("stopped" in reason for reason in document["verdict"]["reasons"]) == stopped
    code, out, err = report(one)
    assert code == 0, err
    assert "CreateRun" in out
    assert "killed while it cleaned up" in " ".join(out.split())


def test_a_test_that_was_killed_can_be_reported_with_latencies(program: Start, hanging: Server) -> None:
    one = program([LOAD], "--host", hanging.url)
    wait_for_file(one, "scenarios/a/calls.jsonl")
    wait_for_file(one, "scenarios/a/counters.jsonl")
    one.process.kill()
    one.end()
    assert not (one.folder / "results/latest/result.json").exists()
    code, out, err = report(one)
    assert code == 0, err
    assert "CreateRun" in out
    code, out, err = report(one, "-f", "json")
    assert code == 0, err
    document = json.loads(out)
    assert f"complete until {document['complete_until']}" in err
    assert document["complete"] is False
    assert document["verdict"]["exit_code"] == 4
    assert document["total"]["api"]["load"]["CreateRun"]["latency_seconds"]["p50"] > 0
    assert document["total"]["runs"]["cut_off"] > 0


def test_a_second_signal_does_not_wait_for_the_scenarios(program: Start, hanging: Server) -> None:
    stuck = {"name": "stuck", "mode": "STUCK", "runTime": "1s"}
    one = program([stuck, LOAD], "--host", hanging.url, "--plugin", "stuck.py", files={"stuck.py": STUCK})
    one.wait_for(" in flight, ")
    one.interrupt()
    one.wait_for("Stopping: no new work")
    one.interrupt()
    code, out, err = one.end()
    assert code == 4, err
    assert "stopped at once" in " ".join(out.split())
    assert one.result()["verdict"]["exit_code"] == 4
    assert one.result()["complete"] is False


def test_two_signals_in_quick_succession_end_it_too(program: Start, hanging: Server) -> None:
    one = program([LOAD], "--host", hanging.url)
    one.wait_for(" in flight, ")
    one.process.send_signal(signal.SIGINT)
    one.process.send_signal(signal.SIGTERM)
    code, _, err = one.end()
    assert code == 4, err
    runs = one.result()["total"]["runs"]
    assert runs["cut_off"] + runs["succeeded"] + runs["unfinished"] >= LOAD["numTimes"]


def test_a_hang_up_ends_a_test_in_good_order(program: Start, server: Server) -> None:
    one = program([LOAD], "--host", server.url)
    one.wait_for(" in flight, ")
    one.process.send_signal(signal.SIGHUP)
    code, _, err = one.end()
    assert code == 4, err
    assert one.result()["verdict"]["text"] == "stopped before its end"
    assert server.ours() == {}


def test_but_not_where_it_was_ignored_at_the_start(program: Start, server: Server) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        one = program([SHORT], "--host", server.url)
    finally:
        signal.signal(signal.SIGHUP, before)
    one.wait_for(" in flight, ")
    one.process.send_signal(signal.SIGHUP)
    code, _, err = one.end()
    assert code == 0, err


def test_a_terminal_that_is_closed_ends_it_in_good_order(server: Server, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([LOAD]))
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _WITH_TERMINAL, "run", "t.json", "--host", server.url],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    try:
        path = tmp_path / "results/latest/scenarios/a/calls.jsonl"
        while not (path.exists() and path.stat().st_size):
            assert os.read(terminal, 65536)
        os.close(terminal)
        assert process.wait(60) == 4
    finally:
        process.kill()
        process.wait()
    document = json.loads((tmp_path / "results/latest/result.json").read_text())
    assert document["verdict"]["text"] == "stopped before its end"
    assert (tmp_path / "results/latest/report.html").exists()
    assert server.ours() == {}


def test_a_test_runs_where_an_event_loop_does(server: Server, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([SHORT]))
    config = TestConfig(KFP_API_HOST=server.url, results_folder=tmp_path / "results")

    async def notebook() -> int:
        result = run_test(tmp_path / "t.json", config, quiet=True)
        return int(result.document["verdict"]["exit_code"])

    assert asyncio.run(notebook()) == 0


def test_and_ctrl_c_stops_it_there(server: Server, tmp_path: Path) -> None:
    scenario = {"name": "i", "mode": "INTERRUPTING", "runTime": "10min"}
    (tmp_path / "t.json").write_text(json.dumps([scenario]))
    (tmp_path / "interrupting.py").write_text(INTERRUPTING)
    config = TestConfig(KFP_API_HOST=server.url, results_folder=tmp_path / "results")

    async def notebook() -> None:
        run_test(tmp_path / "t.json", config, plugins=[str(tmp_path / "interrupting.py")], quiet=True)

    with pytest.raises(TestFailed) as failed:
        asyncio.run(notebook())
    assert failed.value.exit_code == ExitCode.INTERRUPTED
    assert not failed.value.abandoned
