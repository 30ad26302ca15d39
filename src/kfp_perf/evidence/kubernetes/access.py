"""The way to a cluster's API, and what a request shows to it."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.client.proxy import Proxy


class NoAccess(Exception):
    """There is no way to the API of a cluster: why, and what to do about it."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class Identity(NamedTuple):
    """The value of the field Authorization, and a client's certificate and key as PEM; each may be empty."""

    authorization: str = ""
    certificate: str = ""
    key: str = ""


class Credential(Protocol):
    """Gives the identity to show. Raises `NoAccess` where there is none."""

    async def identity(self) -> Identity:
        """The identity for a request that is sent now."""
        ...

    def refused(self) -> None:
        """Forget the identity that was given last: the server has refused it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The way to the API of one cluster.

    `title` names the cluster for the user. `authorities` are the certificates to trust, as PEM; empty: those of
    the system. `server_name` is the name that the server's certificate must hold, where it is not the URL's.
    `headers` are sent with every request.
    """

    title: str
    server: str
    authorities: str = ""
    verified: bool = True
    server_name: str = ""
    credential: Credential | None = None
    proxy: Proxy | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def tls(self, certificate: str = "", key: str = "") -> ssl.SSLContext | None:
        """Make the TLS context, with a client's certificate and key as PEM; None for a server of plain HTTP.

        Raises `NoAccess` where these cannot be used.
        """
        if urlsplit(self.server).scheme != "https":
            return None
        try:
            context = ssl.create_default_context(cadata=self.authorities or None)
            # Python 3.13 and newer require extensions that many clusters' authorities do not set.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if not self.verified:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if certificate:
                with _files(certificate, key or certificate) as (certificate_file, key_file):
                    # The callback keeps OpenSSL from asking for a password on the terminal.
                    context.load_cert_chain(certificate_file, key_file, password=lambda: b"")
        except (ssl.SSLError, ValueError, OSError) as error:
            raise NoAccess(f"the certificates of {self.title} cannot be used: {error}") from None
        context.set_alpn_protocols(["http/1.1"])
        return context


@contextlib.contextmanager
def _files(*texts: str) -> Iterator[list[Path]]:
    """Hold texts in files that only this user can read: `ssl` takes certificates of clients from files alone."""
    with tempfile.TemporaryDirectory(prefix="kfp-perf-") as folder:
        paths = [Path(folder, f"{place}.pem") for place in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.touch(0o600)
            path.write_text(text, "ascii")
        yield paths
