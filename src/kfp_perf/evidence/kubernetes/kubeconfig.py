"""A kubeconfig: clusters, users and contexts.

The fields: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/. Several files are merged as kubectl
merges them: the first that names an entry wins, and paths are relative to the file that they stand in.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from pydantic import SecretStr

from kfp_perf.client.proxy import parse_proxy
from kfp_perf.errors import InputError
from kfp_perf.evidence.kubernetes.access import Access, Identity, NoAccess
from kfp_perf.evidence.kubernetes.credentials import Fixed, FromPlugin, Plugin, TokenFile, fixed_token
from kfp_perf.hosts import parse_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kfp_perf.client.proxy import Proxy
    from kfp_perf.evidence.kubernetes.access import Credential

_Entry = TypeVar("_Entry")


class _Fields(msgspec.Struct, rename="kebab", kw_only=True):
    """A part of a kubeconfig; what is null or missing is empty."""


class _Cluster(_Fields):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class _NameValue(msgspec.Struct):
    name: str
    value: str = ""


class _Exec(msgspec.Struct, rename="camel", kw_only=True):
    command: str
    api_version: str = ""
    args: list[str] = []
    env: list[_NameValue] = []
    install_hint: str = ""
    interactive_mode: str = ""
    provide_cluster_info: bool = False


class _User(_Fields):
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    username: str = ""
    password: str = ""
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    exec: _Exec | None = None
    auth_provider: dict[str, Any] | None = None
    impersonated: str = msgspec.field(default="", name="as")


class _Context(_Fields):
    cluster: str = ""
    user: str = ""


_cluster_decoder = msgspec.json.Decoder(_Cluster)
_user_decoder = msgspec.json.Decoder(_User)
_context_decoder = msgspec.json.Decoder(_Context)


class Kubeconfig:
    """The entries of some files together; `exists` is whether there was one."""

    def __init__(self) -> None:
        self.exists = False
        self.current_context = ""
        self._entries: dict[str, dict[str, tuple[Any, Path]]] = {}

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Self:
        """Read files; those that do not exist are skipped. Raises `NoAccess` for one that is no kubeconfig."""
        # Imported here: it takes 30 ms, and most tests have no kubeconfig.
        import yaml

        found = cls()
        for path in paths:
            try:
                document = yaml.safe_load(path.read_text("utf-8")) or {}
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise NoAccess(f"the kubeconfig {path} cannot be read: {error}") from None
            except yaml.YAMLError as error:
                raise NoAccess(f"the kubeconfig {path} cannot be read: {_fault_in(error)}") from None
            if not isinstance(document, dict):
                raise NoAccess(f"{path} is no kubeconfig")
            found._add(document, path)
        return found

    def _add(self, document: dict[str, Any], path: Path) -> None:
        self.exists = True
        self.current_context = self.current_context or str(document.get("current-context") or "")
        for kind in ("clusters", "users", "contexts"):
            known = self._entries.setdefault(kind, {})
            listed = document.get(kind)
            for entry in listed if isinstance(listed, list) else ():
                if isinstance(entry, dict):
                    known.setdefault(str(entry.get("name")), (entry.get(kind[:-1]), path))

    def access(self, context: str | None, proxy: Callable[[str], Proxy | None]) -> Access:
        """The access that a context gives; None: the current one. `proxy` finds the proxy to a URL.

        Raises `NoAccess` for what is missing or cannot be used.
        """
        name = context or self.current_context
        chosen, _ = self._entry("contexts", name, _context_decoder)
        cluster, place = self._entry("clusters", chosen.cluster, _cluster_decoder)
        if not cluster.server.startswith(("https://", "http://")):
            raise NoAccess(f"the cluster {chosen.cluster} of the kubeconfig has no server")
        try:
            parse_host(cluster.server)
        except ValueError as error:
            raise NoAccess(f"the server of the cluster {chosen.cluster} in {place}: {error}") from None
        user, user_place = (
            self._entry("users", chosen.user, _user_decoder) if chosen.user else (_User(), place)
        )
        authorities = _pem(cluster.certificate_authority_data, cluster.certificate_authority, place)
        return Access(
            title=f"context {name} ({cluster.server})",
            server=cluster.server.rstrip("/"),
            authorities=authorities,
            verified=not cluster.insecure_skip_tls_verify,
            server_name=cluster.tls_server_name,
            credential=_credential(user, user_place, cluster, authorities),
            proxy=_proxy_of(cluster, proxy),
            headers={"Impersonate-User": user.impersonated} if user.impersonated else {},
        )

    def _entry(self, kind: str, name: str, decoder: msgspec.json.Decoder[_Entry]) -> tuple[_Entry, Path]:
        known = self._entries.get(kind, {})
        if name not in known:
            one = kind[:-1]
            names = ", ".join(sorted(known)) or "none"
            raise NoAccess(
                f"the kubeconfig has no {one} {name}",
                f"It has {names}: name one with KFP_PERF_KUBERNETES_CONTEXT.",
            )
        plain, path = known[name]
        given = (
            {key: value for key, value in plain.items() if value is not None}
            if isinstance(plain, dict)
            else {}
        )
        if isinstance(plugin := given.get("exec"), dict):
            given["exec"] = {key: value for key, value in plugin.items() if value is not None}
        try:
            return decoder.decode(msgspec.json.encode(given)), path
        except (TypeError, msgspec.DecodeError) as error:
            raise NoAccess(f"the {kind[:-1]} {name} in {path} cannot be used: {error}") from None


def _fault_in(error: Any) -> str:
    """What is wrong, and in which line. The error's own text quotes the line, which may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" in line {mark.line + 1}"
    return f"{getattr(error, 'problem', None) or type(error).__name__}{where}"


def _credential(user: _User, path: Path, cluster: _Cluster, authorities: str) -> Credential | None:
    certificate = _pem(user.client_certificate_data, user.client_certificate, path)
    key = _pem(user.client_key_data, user.client_key, path)
    if user.exec is not None:
        return FromPlugin(_plugin(user.exec, path, cluster, authorities))
    if user.token_file:
        return TokenFile(path.parent / user.token_file, certificate, key)
    if user.token:
        return fixed_token(user.token, certificate, key)
    if user.username:
        pair = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
        return Fixed(Identity(f"Basic {pair}", certificate, key))
    if user.auth_provider is not None and not certificate:
        raise NoAccess(
            "auth providers of kubeconfigs are not supported: Kubernetes has replaced them by exec plugins"
        )
    return Fixed(Identity("", certificate, key)) if certificate else None


def _plugin(given: _Exec, path: Path, cluster: _Cluster, authorities: str) -> Plugin:
    if given.interactive_mode == "Always":
        raise NoAccess(
            f"the exec plugin {given.command} needs a terminal", "Use a context that does without one."
        )
    # A command with a slash in it is relative to the kubeconfig; one without is looked up in PATH.
    command = str(path.parent / given.command) if "/" in given.command else given.command
    described = {
        "server": cluster.server,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        **({"tls-server-name": cluster.tls_server_name} if cluster.tls_server_name else {}),
        **(
            {"certificate-authority-data": base64.b64encode(authorities.encode()).decode()}
            if authorities
            else {}
        ),
    }
    return Plugin(
        [command, *given.args],
        {one.name: one.value for one in given.env},
        given.api_version,
        described if given.provide_cluster_info else None,
        given.install_hint,
    )


def _pem(data: str, file: str, path: Path) -> str:
    """Certificates or a key as text: what stands in the kubeconfig wins over the file that it names."""
    try:
        if data:
            return base64.b64decode(data).decode("ascii")
        return (path.parent / file).read_text("ascii") if file else ""
    except (OSError, ValueError, binascii.Error) as error:
        raise NoAccess(f"a certificate or key that {path} names cannot be read: {error}") from None


def _proxy_of(cluster: _Cluster, proxy: Callable[[str], Proxy | None]) -> Proxy | None:
    if not cluster.proxy_url:
        return proxy(cluster.server)
    try:
        return parse_proxy("proxy-url", SecretStr(cluster.proxy_url))
    except InputError as error:
        raise NoAccess(str(error)) from None
