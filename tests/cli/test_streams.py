"""The program with standard streams that are closed, broken, full or of another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sample_results import Load, SampleTest, make_result

from kfp_perf.errors import ExitCode, TestInterrupted
from kfp_perf.execution import TestFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Call = Callable[..., tuple[int, str, str]]

KFP_PERF = f"{sys.executable} -m kfp_perf"


def _shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command.replace("kfp-perf", KFP_PERF)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("kfp-perf validate smoke.json <&- >&- 2>&-", 0),
        ("kfp-perf validate nothing.json 2>&-", 2),
        ("kfp-perf validate smoke.json | head -1 >/dev/null; exit ${PIPESTATUS[0]}", 0),
        ("kfp-perf --help | true; exit ${PIPESTATUS[0]}", 0),
        ("{ kfp-perf validate nothing.json 2>&1; echo $? >&9; } 9>&2 | true", 2),
        ("kfp-perf validate smoke.json >/dev/full", 2),
    ],
)
def test_the_exit_code_is_the_commands(command: str, code: int) -> None:
    done = _shell(command)
    told = int(done.stderr) if "echo $?" in command else done.returncode
    assert told == code
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_file_that_is_opened_does_not_become_standard_output(folder: Path) -> None:
    (folder / "t.py").write_text(
        "from kfp_perf.streams import open_missing_streams\n"
        "import os, subprocess, sys\n"
        "open_missing_streams()\n"
        "with open('result', 'w') as file:\n"
        "    assert file.fileno() > 2, file.fileno()\n"
        "    print('said')\n"
        "    subprocess.run(['echo', 'said by a child'])\n"
        "assert os.path.getsize('result') == 0\n"
        "open('done', 'w').close()\n"
    )
    done = _shell(f"{sys.executable} t.py >&- <&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "done").exists()


def test_an_encoding_without_our_letters_is_no_failure(folder: Path) -> None:
    (folder / "größe—x.json").write_text('[{"mode": "RANDOM_GETS", "runTime": "1s"}]', "utf-8")
    done = _shell(
        "kfp-perf validate größe—x.json && kfp-perf validate nothing—x.json", PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 2
    assert "RANDOM_GETS" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_locale_c_is_no_failure(folder: Path) -> None:
    """Its streams have the error handler surrogateescape, which cannot write a check mark."""
    path = make_result(folder, SampleTest(loads=(Load("a", 5, 0.0, 5.0, 1.0),))).path
    done = _shell(
        f"kfp-perf report {path}",
        LC_ALL="C",
        PYTHONCOERCECLOCALE="0",
        PYTHONUTF8="0",
        PYTHONIOENCODING="",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "? 3 default thresholds kept" in done.stdout


def test_a_full_non_blocking_pipe_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b" " * 4096)
        except BlockingIOError:
            break
    process = subprocess.Popen(
        [sys.executable, "-m", "kfp_perf", "schema"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    assert process.communicate()[1] == b""
    assert process.returncode == 0
    assert text.strip().endswith(b"}")


@pytest.mark.parametrize("failure", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left")])
def test_a_summary_that_cannot_be_written_does_not_change_the_exit_code(
    kfp_perf: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, failure: OSError
) -> None:
    result = make_result(folder, SampleTest(loads=(Load("a", 5, 0.0, 5.0, 1.0),), exit_code=4))

    def stopped(*_: Any, **__: Any) -> None:
        raise TestFailed(result, [TestInterrupted("stopped")], ExitCode.INTERRUPTED)

    def broken(*_: Any) -> None:
        try:
            raise failure
        except BrokenPipeError:
            raise SystemExit(1)  # noqa: B904  as rich does

    monkeypatch.setattr("kfp_perf.execution.run_test", stopped)
    monkeypatch.setattr("kfp_perf.reports.console.print_summary", broken)
    monkeypatch.setattr("kfp_perf.cli.output.discard_output", lambda _: None)
    code, _, err = kfp_perf("run")
    assert code == 4
    assert ("standard output" in err) is not isinstance(failure, BrokenPipeError)
