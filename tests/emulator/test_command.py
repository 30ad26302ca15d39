from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from kfp_emulator.command import emulator


def test_ready_line_and_end_with_standard_input(spawn: Any) -> None:
    api, process = spawn("--profile", "instant", "--seed", "3")
    assert api.get("healthz")["multi_user"] is False
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_what_a_condition_needs_is_loaded_before_the_first_connection_can_be_made() -> None:
    program = """
import sys
from kfp_emulator.http import server
from kfp_emulator.command import emulator
assert "celpy" not in sys.modules
async def start(self):
    raise SystemExit("loaded" if "celpy" in sys.modules else "not loaded")
server.Server.start = start
emulator(["--port", "0"])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stderr.strip() == "loaded"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_whatever_is_open(spawn: Any, number: Any) -> None:
    api, process = spawn("--profile", "kfp-2.17")
    run = api.run("unfinished")["run_id"]
    host, port = api.url.removeprefix("http://").split(":")
    with (
        socket.create_connection((host, int(port))) as idle,
        socket.create_connection((host, int(port))) as follower,
    ):
        idle.sendall(b"POST /apis/v2beta1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        follower.sendall(
            f"GET /emulator/v1/truth?follow=true&run_id={run} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert follower.recv(10)
        os.kill(process.pid, number)
        assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_amid_a_prefill(number: Any) -> None:
    program = f"""
import os, signal
from kfp_emulator import options
from kfp_emulator.command import emulator
def prefill(backend, wanted):
    os.kill(os.getpid(), signal.{number})
    raise AssertionError("it went on")
options.prefill = prefill
emulator(["--port", "0"])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_the_same_seed_gives_the_same_ids(spawn: Any) -> None:
    ids = []
    for seed in ("1", "1", "2"):
        api, _ = spawn("--seed", seed, "--profile", "instant")
        ids.append(api.run("r")["run_id"])
    assert ids[0] == ids[1] != ids[2]


def test_all_options_reach_the_server(spawn: Any, tmp_path: Any) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"operation": "ListRuns", "effect": {"kind": "status", "status": 503}}]))
    api, _ = spawn(
        *("--multi-user", "--grant", "alice=team-a,team-b", "--token", "t=alice", "--faults", str(faults)),
        *("--clock-offset", "3600", "--kfp-version", "2.5.0", "--store", str(tmp_path / "x.db")),
        *(
            "--prefill",
            "runs=10,namespace=team-a",
            "--cache-entries",
            "--retry-nodes",
            "--access-reviews",
            "1000",
        ),
    )
    api.headers = {"Authorization": "Bearer t"}
    assert api.call("GET", "runs", namespace="team-a").status == 503
    server = api.get("/emulator/v1/server")
    assert server["clock_offset_us"] == server["cluster_clock_offset_us"] == 3_600_000_000
    assert server["runs"] == 10
    assert (tmp_path / "x.db").exists()


def test_profiles_are_listed() -> None:
    result = CliRunner().invoke(emulator, ["--profiles"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == ["instant", "fast", "kfp-2.17"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--profile", "warp"], "warp"),
        (["--prefill", "runs=many"], "runs must be a number"),
        (["--prefill", "cats=1"], "'cats=1' is none of"),
        (["--faults", "/no/such/file"], "cannot be read"),
        (["--log-level", "LOUD"], "LOUD"),
        (["--port", "70000"], "70000"),
        (["--grant", "alice"], "alice"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1"),
        (["--store", "/no/such/folder/x.db"], "cannot be used"),
        (["--nonsense"], "nonsense"),
        (["--clock-offset", "nan"], "more than ten years"),
        (["--cluster-clock-offset", "-1e12"], "more than ten years"),
        (["--access-reviews", "-1"], "--access-reviews"),
    ],
)
def test_bad_options_end_with_one_clear_line_and_exit_code_2(arguments: Any, text: Any) -> None:
    result = CliRunner().invoke(emulator, ["--port", "0", *arguments])
    assert result.exit_code == 2
    assert text in result.output
    assert "Traceback" not in result.output


def test_a_wrong_plan_of_faults_names_file_and_place(tmp_path: Any) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('[{"effect": {"kind": "reset", "when": "never"}}]')
    result = CliRunner().invoke(emulator, ["--faults", str(plan)])
    assert result.exit_code == 2
    assert "plan.json" in result.output
    assert "$[0].effect.when" in result.output


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(emulator, ["--port", str(port)])
    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in result.output


@pytest.mark.parametrize(
    ("streams", "code"), [("<&- >&- 2>&-", 0), ("</dev/null >/dev/full", 2)], ids=["closed", "full"]
)
def test_standard_streams_that_are_closed_or_full(streams: str, code: int) -> None:
    command = f"exec {sys.executable} -m kfp_emulator --port 0 --exit-with-stdin {streams}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert bool(ended.stderr) is bool(code)
