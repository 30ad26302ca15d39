"""Credentials as request headers, and the TLS context, from the configuration."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import TYPE_CHECKING

from kfp_perf.client.token_command import token_command
from kfp_perf.errors import InputError, Problem
from kfp_perf.log import Redactor, hide

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kfp_perf.config import TestConfig

# Kubernetes renews projected tokens long before they expire, so this is often enough.
TOKEN_FILE_CHECK_SECONDS = 10.0
# Shorter values of cookies are settings (`theme=dark`), and may occur in messages.
_SHORTEST_COOKIE = 12


class Credentials:
    """The request headers of authentication. Never shows a secret.

    A token file is read again when it has changed, a token command is run again before its token expires.

    `redact` removes every secret that was ever sent, and what looks like one, from a text.
    """

    def __init__(self, config: TestConfig) -> None:
        self._file = config.KFP_TOKEN_FILE
        self._file_seen: tuple[int, int, int] | None = None
        self._command = None
        self._next_check = 0.0
        self._headers: dict[str, str] = {}
        self._secrets: set[bytes] = set()
        self.redact = Redactor()
        if config.KFP_USER is not None:
            name = config.KFP_USER_HEADER
            self._headers[name] = _checked("KFP_USER", config.KFP_USER)
        if config.KFP_COOKIE is not None:
            cookie = _checked("KFP_COOKIE", config.KFP_COOKIE.get_secret_value())
            self._headers["Cookie"] = cookie
            self._secrets.add(cookie.encode())
            values = (part.partition("=")[2].strip() for part in cookie.split(";"))
            self._hide(cookie, *(value for value in values if len(value) >= _SHORTEST_COOKIE))
        if config.KFP_TOKEN is not None:
            self._set_token("KFP_TOKEN", config.KFP_TOKEN.get_secret_value())
        elif self._file is not None:
            self._read_file(self._file)
        elif config.KFP_TOKEN_COMMAND:
            self._command = token_command(config.KFP_TOKEN_COMMAND)
            self._set_token("KFP_TOKEN_COMMAND", self._command.start())

    @property
    def given(self) -> bool:
        """Whether there is a token or a cookie."""
        return "Authorization" in self._headers or "Cookie" in self._headers

    def headers(self) -> dict[str, str]:
        """Return the headers for a request that is sent now. The caller must not change them."""
        if self._file is not None and time.monotonic() >= self._next_check:
            self.renew()
        elif self._command is not None:
            self._adopt(self._command.renew_in_time())
        return self._headers

    async def renewed_since(self, sent: Mapping[str, str]) -> bool:
        """Whether the token is another one than that of the headers `sent`, which the server refused.

        Reads the token file, or runs the token command, if that did not happen since.
        """
        refused = sent.get("Authorization")
        if self._command is not None and refused is not None:
            await asyncio.wrap_future(self._command.renewal(refused.removeprefix("Bearer ")))
            self._adopt(self._command.token)
        else:
            self.renew()
        return self._headers.get("Authorization") != refused

    def renew(self) -> bool:
        """Read the token file if it has changed, and return whether the token has changed.

        If the file cannot be read, as while it is being replaced, the old token is kept.
        """
        if self._file is None:
            return False
        before = self._headers.get("Authorization")
        try:
            self._read_file(self._file)
        except InputError:
            return False
        return self._headers.get("Authorization") != before

    def hide(self, body: bytes) -> bytes:
        """Return a body without the secrets that a server or proxy may have echoed in it as plain text."""
        for secret in self._secrets:
            body = body.replace(secret, b"[hidden]")
        return body

    def __repr__(self) -> str:
        return f"Credentials(headers={sorted(self._headers)})"

    def _read_file(self, path: Path) -> None:
        self._next_check = time.monotonic() + TOKEN_FILE_CHECK_SECONDS
        try:
            state = path.stat()
            seen = (state.st_mtime_ns, state.st_size, state.st_ino)
            if seen == self._file_seen:
                return
            token = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise InputError(Problem("KFP_TOKEN_FILE", f"{path} cannot be read: {reason}")) from None
        self._set_token("KFP_TOKEN_FILE", token)
        self._file_seen = seen

    def _adopt(self, token: str) -> None:
        """Use the command's token from now on; the old one stays where the new one cannot be sent."""
        if self._headers.get("Authorization") != f"Bearer {token}":
            with contextlib.suppress(InputError):
                self._set_token("KFP_TOKEN_COMMAND", token)

    def _set_token(self, variable: str, token: str) -> None:
        checked = _checked(variable, token)
        self._headers = {**self._headers, "Authorization": f"Bearer {checked}"}
        self._secrets.add(checked.encode())
        self._hide(checked)

    def _hide(self, *secrets: str) -> None:
        self.redact.add(*secrets)
        hide(*secrets)


def _checked(variable: str, value: str) -> str:
    """Return a value that a header may hold. Raises `InputError`, which names only the variable."""
    stripped = value.strip()
    if not stripped:
        raise InputError(Problem(variable, "is empty", "Give a value, or leave it out."))
    if not (stripped.isascii() and stripped.isprintable()):
        raise InputError(Problem(variable, "holds characters that a request header may not hold"))
    return stripped


def tls_context(config: TestConfig) -> ssl.SSLContext:
    """Return the TLS context for the target: verified unless LOCAL, with the given authority and certificate.

    Raises `InputError` for files that cannot be used. Reads them from disk, so call it once.
    """
    try:
        context = ssl.create_default_context(cafile=config.KFP_CA_CERT)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("KFP_CA_CERT", config.KFP_CA_CERT, error) from None
    if config.KFP_CA_CERT is not None:
        # Python 3.13 and newer require extensions that many clusters' authorities do not set.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if config.LOCAL:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.KFP_CLIENT_CERT is not None:
        try:
            # The callback keeps OpenSSL from asking for a password on the terminal.
            context.load_cert_chain(config.KFP_CLIENT_CERT, config.KFP_CLIENT_KEY, password=lambda: b"")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise _unusable("KFP_CLIENT_CERT", config.KFP_CLIENT_CERT, error) from None
    elif config.KFP_CLIENT_KEY is not None:
        raise InputError(
            Problem("KFP_CLIENT_KEY", "is given without KFP_CLIENT_CERT", "Give the certificate too.")
        )
    context.set_alpn_protocols(["http/1.1"])
    return context


def _unusable(variable: str, path: Path | None, error: Exception) -> InputError:
    if isinstance(error, FileNotFoundError):
        reason = "does not exist"
    elif isinstance(error, ssl.SSLError | ValueError):
        reason = "holds no certificate, or a key that does not fit or needs a password, in PEM form"
    else:
        reason = f"cannot be read: {getattr(error, 'strerror', error)}"
    return InputError(Problem(variable, f"{path} {reason}"))
