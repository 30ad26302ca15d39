"""Secrets that a command prints: plain text, or the JSON document of a Kubernetes credential plugin."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import logging
import os
import signal
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import InputError, Problem
from kfp_perf.log import Redactor

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger(__name__)

LONGEST_SECONDS = 60.0
"""A command that opens a login page waits for its user."""
_SILENT_SECONDS = 3.0
_LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class PrintedSecret:
    """What a command printed, and when it expires in seconds since the Unix epoch (None: not known)."""

    value: str
    expires: float | None

    def __repr__(self) -> str:
        return f"PrintedSecret(expires={self.expires})"


def run_secret_command(command: Sequence[str], where: str) -> PrintedSecret:
    """Run a command without a shell, and return the secret that it prints on standard output.

    That is a text; or a JSON document with `status.token` and, if it expires, `status.expirationTimestamp`, as
    credential plugins (ExecCredential) and `kubectl create token -o json` (TokenRequest) print it:
    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins. The `exp`
    claim of a JSON web token (RFC 7519, section 4.1.4) counts as well. Raises `InputError`, which names `where`.
    """
    program = Path(command[0]).name
    try:
        # A session of its own, so that what the command started ends with it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(Problem(where, f"{program} cannot be run: {reason}", "Is it on the PATH?")) from None
    try:
        output, errors = _output_of(process, program)
    except subprocess.TimeoutExpired:
        what = f"{program} did not end within {LONGEST_SECONDS:g} s"
        raise InputError(
            Problem(where, what, "Does it wait for a login? Log in first, in a terminal.")
        ) from None
    finally:
        _end(process)
    if process.returncode:
        last = _last_line(errors)
        what = f"{program} ended with exit code {process.returncode}{': ' if last else ''}{last}"
        raise InputError(Problem(where, what, "Run the command in a terminal to see what it needs."))
    try:
        return parse_printed(output.decode())
    except UnicodeDecodeError:
        raise InputError(Problem(where, f"what {program} printed is not text")) from None
    except ValueError as error:
        raise InputError(Problem(where, f"what {program} printed {error}")) from None


def parse_printed(text: str) -> PrintedSecret:
    """Return the secret in the output of a command. Raises ValueError, which never quotes it."""
    text = text.strip()
    if not text:
        raise ValueError("is empty")
    if not text.startswith("{"):
        return PrintedSecret(text, _expiry_of_jwt(text))
    try:
        status = json.loads(text)["status"]
        token = status["token"]
    except (ValueError, KeyError, TypeError):
        token = status = None
    if not isinstance(token, str) or not token or not isinstance(status, dict):
        raise ValueError("is no credential: as JSON it needs status.token")
    return PrintedSecret(token, _epoch(status.get("expirationTimestamp")) or _expiry_of_jwt(token))


def _output_of(process: subprocess.Popen[bytes], program: str) -> tuple[bytes, bytes]:
    try:
        return process.communicate(timeout=_SILENT_SECONDS)
    except subprocess.TimeoutExpired:
        _log.warning("Waiting for %s, which prints a secret (%g s at most)", program, LONGEST_SECONDS)
    return process.communicate(timeout=LONGEST_SECONDS - _SILENT_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, and what it started; close its pipes."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _last_line(errors: bytes) -> str:
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    text = "".join(filter(str.isprintable, lines[-1])) if lines else ""
    return Redactor()(text)[:_LONGEST_MESSAGE].strip()


def _expiry_of_jwt(token: str) -> float | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims: Any = json.loads(base64.urlsafe_b64decode(padded))
        return float(claims["exp"])
    except (ValueError, TypeError, KeyError, binascii.Error):
        return None


def _epoch(text: Any) -> float | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found.timestamp() if found.tzinfo else None
