"""Finding the cluster: by its URL, by a context of a kubeconfig, or the one that this pod belongs to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_perf.client.proxy import proxy_to
from kfp_perf.errors import InputError
from kfp_perf.evidence.kubernetes.access import Access, NoAccess
from kfp_perf.evidence.kubernetes.credentials import TokenFile, fixed_token
from kfp_perf.evidence.kubernetes.kubeconfig import Kubeconfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.client.proxy import Proxy
    from kfp_perf.config import TestConfig

#: Where Kubernetes puts the files of a pod's service account,
#: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Where kubectl looks for a kubeconfig that KUBECONFIG does not name.
USUAL_KUBECONFIG = Path("~/.kube/config")


def find_access(
    config: TestConfig, environment: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
) -> Access:
    """Find the cluster that the settings name: a URL, or else a context of the kubeconfig, or else this pod's own.

    Like kubectl it reads the kubeconfig that KUBECONFIG names, or else ~/.kube/config. Raises `NoAccess` where
    there is none, or it cannot be used.
    """
    if (url := config.kubernetes_url) is not None:
        token = config.kubernetes_token
        return Access(
            title=url,
            server=url.rstrip("/"),
            verified=not config.LOCAL,
            credential=None if token is None else fixed_token(token.get_secret_value()),
            proxy=_proxy(config, url),
        )
    named = config.KUBECONFIG
    paths = [Path(part).expanduser() for part in (named or "").split(os.pathsep) if part]
    found = Kubeconfig.read(paths or [USUAL_KUBECONFIG.expanduser()])
    if found.current_context or config.kubernetes_context:
        return found.access(config.kubernetes_context, lambda url: _proxy(config, url))
    if not named and environment.get("KUBERNETES_SERVICE_HOST") and (service_account / "token").exists():
        return _own_cluster(environment, service_account)
    if found.exists:
        where = named or USUAL_KUBECONFIG
        raise NoAccess(
            f"the kubeconfig {where} has no current context", "Name one with KFP_PERF_KUBERNETES_CONTEXT."
        )
    why = (
        f"the kubeconfig {named} does not exist"
        if named
        else "there is no kubeconfig, and this is no pod of a cluster"
    )
    raise NoAccess(why, "Name one with KUBECONFIG, or the API with KFP_PERF_KUBERNETES_URL.")


def _own_cluster(environment: Mapping[str, str], service_account: Path) -> Access:
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
