"""The first check: whether the target is a KFP API server that accepts the credentials."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kfp_perf.client.protocol import ListQuery
from kfp_perf.errors import ApiError, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.client.messages import Healthz
    from kfp_perf.client.protocol import KfpClient

log = logging.getLogger(__name__)

_KEPT_OUT = frozenset({401, 403})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def check_target(client: KfpClient, namespaces: Iterable[str] = ("",)) -> Healthz:
    """Check the target's health, and the access to these namespaces ("" for a single-user server).

    Raises `TargetError` with the reason and a remedy.
    """
    if client.proxy is not None:
        log.info(
            "Requests to %s go through the proxy %s (%s), which is measured with it",
            client.url,
            client.proxy.address,
            client.proxy.variable,
        )
    try:
        answer = await client.healthz()
    except ApiError as error:
        hint = error.hint
        if error.kind == "refused" and client.proxy is None:
            hint = nothing_listens(client.url)
        raise TargetError(f"No KFP API server at {client.url}: {error.message}", hint) from None
    if not answer.is_kfp:
        raise TargetError(
            f"What answers at {client.url} is not a KFP API server.",
            "Does API_HOST, with its port and path, point to the KFP API server?",
        )
    namespaces = list(namespaces)
    if answer.multi_user is False and any(namespaces):
        log.warning(
            "isKubeflowMode is set, and the KFP API server at %s has a single user: it ignores namespaces. "
            "Leave isKubeflowMode (--kubeflow) out.",
            client.url,
        )
    for namespace in namespaces:
        try:
            await client.list_experiments(ListQuery(page_size=1, namespace=namespace))
        except ApiError as error:
            # Other failures are measured by the test.
            if error.status in _KEPT_OUT:
                raise TargetError(f"{client.url} refuses access: {error.message}", error.hint) from None
    return answer


def is_loopback(url: str) -> bool:
    """Whether a URL has a loopback address."""
    return urlsplit(url).hostname in _LOOPBACK


def nothing_listens(url: str) -> str:
    """Return what to do where a connection is refused."""
    if is_loopback(url):
        return (
            "Nothing listens there. Forward the port: "
            "kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888; "
            "`kfp-perf run smoke.json --emulator` works without a cluster"
        )
    return "Nothing listens there: are API_HOST and API_PORT right, and is the ml-pipeline service up?"
