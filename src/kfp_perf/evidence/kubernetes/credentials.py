"""What a request shows to a cluster's API: a token, one from a file, or what an exec plugin of a kubeconfig gives.

The protocol of exec plugins: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
#client-go-credential-plugins and `client.authentication.k8s.io/v1`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  msgspec reads it
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.evidence.kubernetes.access import Identity, NoAccess
from kfp_perf.log import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PLUGIN_SECONDS = 20.0
_EXPIRES_SOON_SECONDS = 10.0
# Kubernetes renews the tokens of service accounts long before they expire.
_FILE_SECONDS = 60.0
_KINDS = frozenset(f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))


class Fixed:
    """An identity that never changes."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def identity(self) -> Identity:
        """The identity."""
        return self._identity

    def refused(self) -> None:
        """Do nothing: there is no other one."""


def fixed_token(token: str, certificate: str = "", key: str = "") -> Fixed:
    """An identity with a bearer token that never changes."""
    return Fixed(Identity(f"Bearer {token.strip()}" if token.strip() else "", certificate, key))


class TokenFile:
    """A bearer token that is read from a file, and read again after a minute or a refusal."""

    def __init__(self, path: Path, certificate: str = "", key: str = "") -> None:
        self._path = path
        self._certificate = certificate
        self._key = key
        self._identity: Identity | None = None
        self._read_at = 0.0

    async def identity(self) -> Identity:
        """The identity with the token of the file; that of before while the file cannot be read."""
        if self._identity is None or time.monotonic() - self._read_at > _FILE_SECONDS:
            try:
                token = self._path.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                if self._identity is None:
                    raise NoAccess(f"the token file {self._path} cannot be read: {error}") from None
                return self._identity
            self._identity = Identity(f"Bearer {token}", self._certificate, self._key)
            self._read_at = time.monotonic()
        return self._identity

    def refused(self) -> None:
        """Read the file again at the next request."""
        self._read_at = -_FILE_SECONDS


class _PluginStatus(msgspec.Struct, rename="camel"):
    token: str = ""
    expiration_timestamp: datetime | None = None
    client_certificate_data: str = ""
    client_key_data: str = ""


class _ExecCredential(msgspec.Struct):
    status: _PluginStatus | None = None


_credential_decoder = msgspec.json.Decoder(_ExecCredential)


@dataclass(frozen=True, slots=True)
class Plugin:
    """The program that gives credentials; `cluster` describes the cluster to it, where the kubeconfig says so."""

    command: Sequence[str]
    environment: Mapping[str, str]
    api_version: str
    cluster: Mapping[str, Any] | None = None
    hint: str = ""


class FromPlugin:
    """The identity that an exec plugin gives, read again when it expires or is refused.

    The plugin gets no terminal and no input, so it cannot prompt the user, and is ended after 20 s.
    """

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._identity: Identity | None = None
        self._expires = 0.0
        self._lock = asyncio.Lock()

    async def identity(self) -> Identity:
        """The identity; several requests wait for one call of the plugin."""
        async with self._lock:
            if self._identity is None or time.time() > self._expires - _EXPIRES_SOON_SECONDS:
                status = await self._run()
                self._expires = (
                    status.expiration_timestamp.timestamp() if status.expiration_timestamp else 1e12
                )
                self._identity = Identity(
                    f"Bearer {status.token}" if status.token else "",
                    status.client_certificate_data,
                    status.client_key_data,
                )
            return self._identity

    def refused(self) -> None:
        """Run the plugin again at the next request."""
        self._identity = None

    async def _run(self) -> _PluginStatus:
        plugin = self._plugin
        if plugin.api_version not in _KINDS:
            raise NoAccess(f"exec plugins of {plugin.api_version or 'no apiVersion'} are not supported")
        spec = {"interactive": False, **({"cluster": plugin.cluster} if plugin.cluster else {})}
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
        given = {"KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode(), **plugin.environment}
        name = plugin.command[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *plugin.command,
                env={**os.environ, **given},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            why = f"the exec plugin {name} cannot be started: {error.strerror}"
            raise NoAccess(why, plugin.hint.strip()) from None
        try:
            async with asyncio.timeout(_PLUGIN_SECONDS):
                output, errors = await process.communicate()
        except TimeoutError:
            raise NoAccess(f"the exec plugin {name} gave nothing within {_PLUGIN_SECONDS:.0f} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.returncode:
            last = (errors.decode("utf-8", "replace").strip().splitlines() or ["it wrote nothing"])[-1]
            raise NoAccess(f"the exec plugin {name} failed: {Redactor()(last)}")
        try:
            status = _credential_decoder.decode(output).status
        except msgspec.DecodeError as error:
            raise NoAccess(f"what the exec plugin {name} wrote is no ExecCredential: {error}") from None
        if status is None or not (status.token or status.client_certificate_data):
            raise NoAccess(f"the exec plugin {name} gave neither a token nor a certificate")
        return status
