"""The way to a cluster's API: a URL, a context of a kubeconfig, or the service account of this pod."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kfp_perf.client.proxy import proxy_to
from kfp_perf.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.client.proxy import Proxy
    from kfp_perf.config import TestConfig
    from kfp_perf.evidence.kubernetes.credentials import Credential

#: Where Kubernetes puts the files of a pod's service account,
#: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Where kubectl looks for a kubeconfig that KUBECONFIG does not name.
USUAL_KUBECONFIG = Path("~/.kube/config")


class NoAccess(Exception):
    """There is no way to the API of a cluster: why, and what to do about it."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


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


def find_access(
    config: TestConfig, environment: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
) -> Access:
    """Find the cluster that the settings name: a URL, or else a context of the kubeconfig, or else this pod's own.

    Like kubectl it reads the kubeconfig that KUBECONFIG names, or else ~/.kube/config. Raises `NoAccess` where
    there is none, or it cannot be used.
    """
    # Imported here: most tests have no kubeconfig to read.
    from kfp_perf.evidence.kubernetes.credentials import Token
    from kfp_perf.evidence.kubernetes.kubeconfig import Kubeconfig

    if (url := config.kubernetes_url) is not None:
        token = config.kubernetes_token
        return Access(
            title=url,
            server=url.rstrip("/"),
            verified=not config.LOCAL,
            credential=None if token is None else Token(token.get_secret_value()),
            proxy=_proxy(config, url),
        )
    named = config.KUBECONFIG
    paths = [Path(part).expanduser() for part in (named or "").split(os.pathsep) if part]
    found = Kubeconfig.read(paths or [USUAL_KUBECONFIG.expanduser()])
    if found.current_context or config.kubernetes_context:
        return found.access(config.kubernetes_context, lambda url: _proxy(config, url))
    if environment.get("KUBERNETES_SERVICE_HOST") and (service_account / "token").exists():
        return _own_cluster(environment, service_account)
    if named:
        raise NoAccess(
            f"the kubeconfig {named} has no current context" if found.exists else f"{named} does not exist",
            "Name one with KFP_PERF_KUBERNETES_CONTEXT.",
        )
    raise NoAccess(
        "there is no kubeconfig, and this is no pod of a cluster",
        "Name one with KUBECONFIG, or the API with KFP_PERF_KUBERNETES_URL",
    )


def _own_cluster(environment: Mapping[str, str], service_account: Path) -> Access:
    from kfp_perf.evidence.kubernetes.credentials import TokenFile

    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT", "443")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    try:
        authorities = (service_account / "ca.crt").read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise NoAccess(f"the service account's ca.crt cannot be read: {error}") from None
    return Access(
        title=f"the cluster of this pod ({server})",
        server=server,
        authorities=authorities,
        credential=TokenFile(service_account / "token"),
    )


def _proxy(config: TestConfig, url: str) -> Proxy | None:
    try:
        return proxy_to(url, config)
    except InputError as error:
        raise NoAccess(str(error)) from None
