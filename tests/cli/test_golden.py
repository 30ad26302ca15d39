"""What each command prints, as a whole: a transcript for each command in `golden/`.

`REWRITE_GOLDEN=1 .venv/bin/python -m pytest tests/cli/test_golden.py` writes the transcripts anew; read the
difference before it is committed. Other tests assert facts: exit codes, names, paths, numbers.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from made_executions import write_side
from sample_results import Load, SampleTest, make_result

from kfp_perf.result.journal import Journal, ObjectKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GOLDEN = Path(__file__).parent / "golden"

#: What differs from run to run, and what stands for it.
_ALWAYS = (
    (re.compile(r"127\.0\.0\.1((:| port )\d+)?"), "ADDRESS"),
    (re.compile(r"\d{8}T\d{6}Z"), "TIME"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)
#: In the outputs of measurements also every number with its unit, and the widths of columns.
_MEASURED = (
    *_ALWAYS,
    (re.compile(r"\b\d([\d,.:]*\d)?( ?(us|ms|s|min|h)\b)?"), "#"),
    (re.compile(r"# (ahead|behind)"), "# off"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
    (re.compile(r"\n# INFO  # of #, .*"), ""),  # progress, every few seconds
)
#: Commands whose sentences hold measured numbers, at which they would break differently.
_WIDE = frozenset({"capacity", "duel"})


class Transcript:
    """Command lines, with what they printed and their exit codes."""

    def __init__(self, call: Callable[..., tuple[int, str, str]], folder: Path) -> None:
        self._call = call
        self._folder = folder
        self.text = ""

    def run(self, *arguments: str, measured: bool = False, shown: Callable[[str], str] = str) -> None:
        """Add one command; `shown` turns its standard output into what is compared."""
        code, out, err = self._call(*arguments)
        line = self._normalised(shlex.join(["kfp-perf", *arguments]), _ALWAYS)
        printed = [shown(out).rstrip("\n"), err.rstrip("\n")]
        text = self._normalised("\n".join(filter(None, printed)), _MEASURED if measured else _ALWAYS)
        before = "\n" if self.text else ""
        self.text += f"{before}$ {line}\n{text}\nexit code {code}\n"

    def _normalised(self, text: str, patterns: Sequence[tuple[re.Pattern[str], str]]) -> str:
        text = text.replace(str(self._folder), "FOLDER")
        for pattern, substitute in patterns:
            text = pattern.sub(substitute, text)
        return text


def _run(transcript: Transcript, folder: Path, emulator_url: str) -> None:
    scenario = {"mode": "RANDOM_GETS", "name": "reads", "runTime": "1s", "arrivalRate": "40/s"}
    test = {"name": "nightly", "scenarios": [{**scenario, "mix": {"GetExperiment": 1}}]}
    (folder / "t.json").write_text(json.dumps(test))
    transcript.run("run", "t.json", "--host", emulator_url, "--quiet", measured=True)
    limit = json.dumps({**test, "thresholds": {"api.GetExperiment.latency.p50": "< 1us"}})
    (folder / "t.json").write_text(limit)
    transcript.run("run", "t.json", "--host", emulator_url, "--quiet", measured=True)
    transcript.run("run", "smoke.json", "--host", f"http://127.0.0.1:{_refusing_port()}")


def _capacity(transcript: Transcript, folder: Path, emulator_url: str) -> None:
    scenario = {"mode": "RANDOM_GETS", "name": "reads", "runTime": "1s", "numTimes": 2, "thinkTime": "5ms"}

    def write(thresholds: dict[str, str]) -> None:
        whole = {**scenario, "mix": {"GetExperiment": 1}, "thresholds": thresholds}
        (folder / "t.json").write_text(json.dumps([whole]))

    write({})
    transcript.run("capacity", "t.json")
    # Slots are judged by thresholds only, so a slow machine does not change the answer.
    bound = {"api.GetExperiment.latency.p50": "< 30s"}
    write(bound)
    limits = ("--from", "1", "--to", "2", "--precision", "50%", "--pause", "0s")
    transcript.run("capacity", "t.json", "--host", emulator_url, *limits, measured=True, shown=_even)
    write({**bound, "capacity.rate": ">= 60/min"})
    transcript.run("capacity", "t.json")


def _duel(transcript: Transcript, folder: Path, emulator_url: str) -> None:
    scenario = {"mode": "RANDOM_GETS", "name": "reads", "runTime": "1s", "arrivalRate": "40/s"}
    test = {"name": "nightly", "scenarios": [{**scenario, "mix": {"GetExperiment": 1}}]}
    (folder / "t.json").write_text(json.dumps(test))
    once = ("--repeat", "1", "--no-warmup", "--pause", "0s")
    transcript.run(
        *("duel", "t.json", "--target", f"now={emulator_url}", "--aa", *once), measured=True, shown=_even
    )


def _even(text: str) -> str:
    """The text without what depends on the widths and signs of its numbers: columns, and the sign itself."""
    return re.sub(r"[+\u2212-](?=\d)", "±", re.sub(r"(?<=\S) +", " ", text))


def _report(transcript: Transcript, folder: Path, _: str) -> None:
    loads = (
        Load("steady", 40, 0.0, 60.0, 10.0, failed=0.1),
        Load("burst", 6, 10.0, 2.0, 20.0, unfinished=0.3),
    )
    result = make_result(folder, SampleTest(loads=loads, exit_code=1, reasons=["a threshold failed"]))
    (folder / "result").symlink_to(result.path)
    for name in ("console", "markdown"):
        transcript.run("report", "result", "--format", name)
    transcript.run("report", "result", "--format", "csv")
    transcript.run("report", "result", "--format", "xml")
    transcript.run("report", "nothing")


def _compare(transcript: Transcript, folder: Path, _: str) -> None:
    write_side(folder / "old", [10.0, 10.2, 9.9, 10.1])
    write_side(folder / "new", [11.5, 11.6, 11.4, 11.7], first_minute=1)
    transcript.run("compare", "old", "new", "--fail-on-regression", "5%")
    transcript.run("compare", "old", "new", "--format", "markdown")
    transcript.run("compare", "old", "old")


def _validate(transcript: Transcript, folder: Path, _: str) -> None:
    transcript.run("validate", "smoke.json")
    wrong = [
        {"mode": "PIPELINE_RUN", "runTime": -1, "pipelineFileName": "hello.yaml"},
        {"mode": "EXPERIMENT", "runTime": 1, "numTimes": 0, "resourceLimits": {}},
        {"mode": "PIPELINE_RUN", "runTime": 1, "pipelineFileName": "hello.yaml", "params": {"nonsense": 1}},
    ]
    (folder / "t.json").write_text(json.dumps(wrong))
    transcript.run("validate", "t.json")
    transcript.run("validate", "smoke.json", "--port", "abc")


def _cleanup(transcript: Transcript, folder: Path, emulator_url: str) -> None:
    path = folder / "result" / "scenarios" / "a" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    journal = Journal(path, emulator_url)
    journal.intend(ObjectKind.EXPERIMENT, "kfp-perf-a")
    journal.made(ObjectKind.EXPERIMENT, "kfp-perf-a", "00000000-0000-4000-8000-000000000000")
    journal.close()
    transcript.run("cleanup", "result", "--host", "http://elsewhere:8888")
    transcript.run("cleanup", "result", "--dry-run")
    transcript.run("cleanup", "result")
    transcript.run("cleanup", "result")


def _doctor(transcript: Transcript, _: Path, emulator_url: str) -> None:
    transcript.run("doctor", "--host", emulator_url, measured=True)
    transcript.run("doctor", "--host", f"http://127.0.0.1:{_refusing_port()}")


def _init(transcript: Transcript, _1: Path, _2: str) -> None:
    transcript.run("init", "first test")
    transcript.run("init", "first test")


def _schema(transcript: Transcript, _1: Path, _2: str) -> None:
    transcript.run("schema", shown=_fields)


def _fields(schema: str) -> str:
    """Each definition and its fields, with their descriptions; those with the fields of another only name it."""
    lines = []
    listed: dict[tuple[str, ...], str] = {}
    for name, definition in json.loads(schema)["$defs"].items():
        fields = definition.get("properties", {})
        same_as = listed.setdefault(tuple(fields), name)
        lines += ["", name if same_as == name else f"{name}: the fields of {same_as}"]
        if same_as == name:
            lines += [f"  {field}: {_said(it)}" for field, it in fields.items()]
    return "\n".join(lines)


def _said(field: dict[str, Any]) -> str:
    return " ".join(str(field.get("description", field.get("$ref", ""))).split())


def _refusing_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


COMMANDS: dict[str, Callable[[Transcript, Path, str], None]] = {
    "run": _run,
    "capacity": _capacity,
    "duel": _duel,
    "report": _report,
    "compare": _compare,
    "validate": _validate,
    "cleanup": _cleanup,
    "doctor": _doctor,
    "init": _init,
    "schema": _schema,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_prints(
    command: str,
    kfp_perf: Callable[..., tuple[int, str, str]],
    folder: Path,
    emulator_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200" if command in _WIDE else "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("kfp_perf.doctor.api._BETWEEN_DATES_SECONDS", 0.0)
    for name in ("FEWEST_FILL_SECONDS", "FEWEST_RAMP_SECONDS", "FEWEST_PLATEAU_SECONDS"):
        monkeypatch.setattr(f"kfp_perf.studies.capacity.search.{name}", 0.5)
    monkeypatch.setattr("kfp_perf.cli.capacity._LIGHT_SECONDS", {True: 1.0, False: 1.0})
    transcript = Transcript(kfp_perf, folder)
    COMMANDS[command](transcript, folder, emulator_url)
    path = GOLDEN / f"{command}.txt"
    if os.environ.get("REWRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(transcript.text, "utf-8")
    expected = path.read_text("utf-8").splitlines()
    difference = difflib.unified_diff(
        expected, transcript.text.splitlines(), path.name, "printed", lineterm=""
    )
    if told := "\n".join(difference):
        pytest.fail(f"{told}\n\nIf this is wanted: see REWRITE_GOLDEN above.", pytrace=False)


def test_no_file_is_without_a_command() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(COMMANDS)
