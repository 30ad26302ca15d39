from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import pytest

from kfp_perf import secret_command
from kfp_perf.errors import InputError
from kfp_perf.secret_command import PrintedSecret, parse_printed, run_secret_command


def jwt(**claims: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{part}.signature"


def printing(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("t0ken\n", PrintedSecret("t0ken", None)),
        (jwt(exp=1000), PrintedSecret(jwt(exp=1000), 1000.0)),
        (jwt(sub="me"), PrintedSecret(jwt(sub="me"), None)),
        ("a.b.c", PrintedSecret("a.b.c", None)),
        # ExecCredential, as kubelogin prints it
        (
            json.dumps(
                {
                    "kind": "ExecCredential",
                    "status": {"token": "t", "expirationTimestamp": "1970-01-01T01:00:00Z"},
                }
            ),
            PrintedSecret("t", 3600.0),
        ),
        ('{"status": {"token": "t"}}', PrintedSecret("t", None)),
        ('{"status": {"token": "t", "expirationTimestamp": "soon"}}', PrintedSecret("t", None)),
    ],
)
def test_what_commands_print_is_understood(text: str, secret: PrintedSecret) -> None:
    assert parse_printed(text) == secret


@pytest.mark.parametrize(
    "text", ["", " \n", "{", '{"status": {}}', '{"status": 1}', '{"status": {"token": 5}}']
)
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|is no credential"):
        parse_printed(text)


def test_the_secret_is_not_in_the_representation() -> None:
    assert "planted" not in repr(PrintedSecret("planted", None))


def test_a_command_is_run_without_a_shell() -> None:
    assert run_secret_command(["printf", "%s", "$HOME; *"], "x").value == "$HOME; *"


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["no-such-program-at-all"], "no-such-program-at-all cannot be run: No such file or directory"),
        (["true"], "what true printed is empty"),
        (
            printing("import sys; print('planted'); print('a'); sys.exit('log in first')"),
            "exit code 1: log in first",
        ),
        (printing("import sys; sys.exit('token=planted was refused')"), "token=[hidden] was refused"),
        (printing("import sys; sys.stdout.buffer.write(b'\\xff')"), "printed is not text"),
    ],
)
def test_a_command_that_fails_says_why_and_shows_no_secret(command: list[str], what: str) -> None:
    with pytest.raises(InputError) as caught:
        run_secret_command(command, "[a] token")
    (problem,) = caught.value.problems
    assert problem.where == "[a] token"
    assert what in problem.what
    assert "planted" not in str(caught.value)


def test_a_command_that_does_not_end_is_ended_with_what_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(secret_command, "LONGEST_SECONDS", 0.4)
    monkeypatch.setattr(secret_command, "_SILENT_SECONDS", 0.2)
    pid = tmp_path / "pid"
    with pytest.raises(InputError, match=r"did not end within 0\.4 s"):
        run_secret_command(["sh", "-c", f"sleep 100 & echo $! > {pid}; wait"], "x")
    with pytest.raises(ProcessLookupError):
        _wait_until_gone(int(pid.read_text()))


def _wait_until_gone(pid: int) -> None:
    """Raise ProcessLookupError when the process is gone, or a zombie that its new parent has not reaped."""
    for _ in range(100_000):
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            raise ProcessLookupError
