"""Invalid input: exit 2, what, where and how to fix it, no traceback, and nothing is created."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kfp_perf as kfp_perf_package
from kfp_perf.cli import COMMANDS, GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[int, str, str]]

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + chr(ord(name) - 1)] * 10)}]\n" for name in "bcdefghij"
)


def one(**fields: object) -> str:
    return json.dumps([{"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml", **fields}])


#: What the file holds, and words that the message must have: where, and what is wrong or allowed.
FILES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "empty": ("", ("t.json", "empty")),
    "not JSON": ("{runTime: 1}", ("t.json", "t.json:1:2")),
    "not UTF-8": (b'[{"mode": "\xff\xfe"}]', ("t.json", "UTF-8")),
    "100,000 brackets": ("[" * 100_000, ("t.json", "deep")),
    "null": ("null", ("t.json", "list")),
    "number": ("42", ("t.json", "list")),
    "empty list": ("[]", ("t.json", "$")),
    "list of numbers": ("[1, 2]", ("$[0]", "$[1]")),
    "unknown mode": (one(mode="PIPELINE_WALK"), ("$[0].mode", "PIPELINE_RUN")),
    "earlier mode": (one(mode="SCHEDULED_RUNS"), ("$[0].mode", "PIPELINE_SCHEDULED_RUN")),
    "unknown field": (one(runTim=1), ("$[0].runTim", "runTime")),
    "earlier field concurrency": (one(concurrency=2), ("$[0].concurrency", "numTimes")),
    "earlier field resourceLimits": (one(resourceLimits={}), ("$[0].resourceLimits",)),
    "negative start": (one(startTime=-1), ("$[0].startTime", "0")),
    "zero run time": (one(runTime=0), ("$[0].runTime", "greater than 0")),
    "infinite run time": (one().replace('"runTime": 1', '"runTime": Infinity'), ("$[0].runTime", "infinity")),
    "NaN run time": (one().replace('"runTime": 1', '"runTime": NaN'), ("$[0].runTime", "NaN")),
    "huge run time": (one().replace('"runTime": 1', '"runTime": 1e999'), ("$[0].runTime",)),
    "zero numTimes": (one(numTimes=0), ("$[0].numTimes",)),
    "numTimes with a rate": (one(numTimes=2, arrivalRate="1/s"), ("$[0]", "arrivalRate")),
    "rate of 0": (one(arrivalRate="0/s"), ("$[0].arrivalRate",)),
    "rate of 1e9": (one(arrivalRate="1000000000/s"), ("$[0].arrivalRate",)),
    "stages that do not add up": (
        one(stages=[{"duration": "10s", "target": 1}]),
        ("$[0].stages", "10"),
    ),
    "warm-up longer than the run": (one(warmup=2), ("$[0].warmup",)),
    "mix of zeros": (one(mode="RANDOM_GETS", pipelineFileName=None, mix={"ListRuns": 0}), ("$[0]", "mix")),
    "mix of unknown calls": (
        one(mode="RANDOM_GETS", pipelineFileName=None, mix={"ListRun": 1}),
        ("ListRun",),
    ),
    "no pipeline": (one(pipelineFileName=None), ("$[0]", "pipeline")),
    "pipeline that is not there": (
        one(pipelineFileName="nothing.yaml"),
        ("$[0].pipelineFileName", "nothing.yaml"),
    ),
    "path traversal": (one(pipelineFileName="../outside.yaml"), ("$[0].pipelineFileName",)),
    "absolute path": (one(pipelineFileName="/etc/passwd"), ("$[0].pipelineFileName",)),
    "no pipeline in the file": (one(pipelineFileName="no_pipeline.yaml"), ("no_pipeline.yaml", "root")),
    "YAML bomb": (one(pipelineFileName="bomb.yaml"), ("bomb.yaml", "aliases")),
    "unknown parameter": (one(params={"nonsense": 1}), ("$[0].params.nonsense",)),
    "cron that is none": (
        one(mode="PIPELINE_SCHEDULED_RUN", cron="every day"),
        ("$[0].cron",),
    ),
    "cron that never fires": (one(mode="PIPELINE_SCHEDULED_RUN", cron="0 0 30 2 *"), ("$[0].cron", "never")),
}


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file(kfp_perf: Call, folder: Path, case: str, command: str) -> None:
    content, words = FILES[case]
    (folder / "no_pipeline.yaml").write_text("just: text\n")
    (folder / "bomb.yaml").write_text(BOMB)
    (folder.parent / "outside.yaml").write_text("outside: true\n")
    (folder / "t.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = kfp_perf(command, "t.json")
    assert code == 2
    assert out == ""
    for word in words:
        assert word in err
    assert "Traceback" not in err
    assert not (folder / "results").exists()


def test_every_command_that_the_program_speaks_of_exists() -> None:
    files = Path(kfp_perf_package.__file__).parent.rglob("*.py")
    named = {name for file in files for name in re.findall(r"`kfp-perf ([a-z]+)", file.read_text("utf-8"))}
    assert "run" in named
    assert named <= set(COMMANDS)


def test_help_groups_all_commands(kfp_perf: Call) -> None:
    code, out, _ = kfp_perf("--help")
    assert code == 0
    lines = out.splitlines()
    for title, commands in GROUPS.items():
        start = lines.index(f"{title}:")
        shown = [line.split()[0] for line in lines[start + 1 : start + 1 + len(commands)]]
        assert shown == list(commands)


def test_all_errors_of_a_file_are_told_at_once(kfp_perf: Call, folder: Path) -> None:
    wrong = [
        {"mode": "PIPELINE_RUN", "runTime": -1, "pipelineFileName": "hello.yaml"},
        {"mode": "EXPERIMENT", "runTime": 1, "numTimes": 0},
        {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml", "params": {"nonsense": 1}},
    ]
    (folder / "t.json").write_text(json.dumps(wrong))
    code, _, err = kfp_perf("validate", "t.json")
    assert code == 2
    for path in ("$[0].runTime", "$[1].numTimes", "$[2].params.nonsense"):
        assert f": {path}: " in err
    assert err.count("t.json:1:") == 3


@pytest.mark.parametrize(("name", "words"), [("nothing.json", "nothing.json"), (".", "folder")])
def test_a_file_that_is_none(kfp_perf: Call, name: str, words: str) -> None:
    code, _, err = kfp_perf("run", name)
    assert code == 2
    assert words in err


def test_a_byte_order_mark_is_accepted(kfp_perf: Call, folder: Path) -> None:
    (folder / "t.json").write_bytes(b"\xef\xbb\xbf" + one().encode())
    code, out, _ = kfp_perf("validate", "t.json")
    assert code == 0
    assert "PIPELINE_RUN" in out


@pytest.mark.parametrize(
    ("variable", "value"), [("API_PORT", "no-port"), ("API_PORT", "70000"), ("isKubeflowMode", "perhaps")]
)
def test_a_wrong_variable(kfp_perf: Call, monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    code, _, err = kfp_perf("run", "smoke.json")
    assert code == 2
    assert variable in err
    assert value in err


def test_flags_and_variables_that_are_wrong_are_told_apart(
    kfp_perf: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_PORT", "nor-this")
    monkeypatch.setenv("isKubeflowMode", "perhaps")
    code, _, err = kfp_perf("validate", "smoke.json", "--port", "abc")
    assert code == 2
    assert "--port: 'abc'" in err
    assert "isKubeflowMode: 'perhaps'" in err
    assert "API_PORT" not in err
    assert err.count("Correct the environment variable") == err.count("Correct the flag") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--no-such-flag"], "--no-such-flag"),
        (["rnu"], "Did you mean 'run'?"),
        (["run", "smoke.json", "--plugin", "nothing.py"], "--plugin nothing.py"),
        (["run", "smoke.json", "--config-class", "nothing"], "names no class"),
        (["run", "--emulator", "--host", "kfp"], "--emulator and --host"),
        (["run", "--emulator", "--port", "80"], "--emulator and --port"),
        (["run", "--emulator", "--standalone"], "--emulator and --kubeflow/--standalone"),
        (["run", "--keep", "--keep-failed"], "--keep and --keep-failed"),
        (["run", "--emulator", "--emulator-profile", "nope"], "'nope'"),
        (["run", "--emulator-profile", "fast"], "--emulator-profile needs --emulator"),
        (["run", "--emulator-seed", "1"], "--emulator-seed needs --emulator"),
        (["validate", "smoke.json", "--port", "abc"], "--port: 'abc'"),
        (["validate", "smoke.json", "--log-level", "LOUD"], "--log-level: 'LOUD'"),
        (["validate", "smoke.json", "--namespace", ""], "--namespace: "),
        (["report", "nothing"], "does not exist"),
        (["cleanup", "."], "journal.jsonl"),
    ],
)
def test_a_wrong_command_line(kfp_perf: Call, arguments: list[str], words: str) -> None:
    code, _, err = kfp_perf(*arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert not Path("results").exists()


def test_a_results_folder_that_cannot_be_written(kfp_perf: Call, folder: Path, emulator_url: str) -> None:
    (folder / "file").write_text("")
    code, _, err = kfp_perf("run", "smoke.json", "--host", emulator_url, "--results", "file/results")
    assert code == 2
    assert "--results" in err


def _refusing_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_a_target_that_refuses(kfp_perf: Call, folder: Path) -> None:
    code, _, err = kfp_perf("run", "smoke.json", "--host", "127.0.0.1", "--port", str(_refusing_port()))
    assert code == 3
    assert "refused" in err
    assert "--emulator" in err
    assert not (folder / "results").exists()


def test_a_target_that_does_not_resolve(kfp_perf: Call, folder: Path) -> None:
    code, _, err = kfp_perf("run", "smoke.json", "--host", "nothing.invalid")
    assert code == 3
    assert "nothing.invalid" in err
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", "<html><title>Log in</title></html>"),
        (200, "application/json", '{"hello": "world"}'),
        (404, "text/plain", "404 page not found"),
        (302, "text/html", ""),
    ],
)
def test_a_target_that_is_not_kfp(
    kfp_perf: Call, answering: Callable[..., str], status: int, kind: str, body: str
) -> None:
    code, _, err = kfp_perf("run", "smoke.json", "--host", answering(status, kind, body))
    assert code == 3
    assert "KFP API server" in err or f"HTTP {status}" in err
    assert "Traceback" not in err


def test_an_installation_without_a_home_or_terminal_works(
    kfp_perf: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert os.environ.get("HOME") is None
    assert kfp_perf("validate", "smoke.json")[0] == 0
