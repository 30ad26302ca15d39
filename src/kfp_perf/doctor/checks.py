"""All checks of a target, one after the other, and the quick ones before a test."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from kfp_perf.doctor.api import Api
from kfp_perf.doctor.finding import Finding, Status
from kfp_perf.doctor.network import Network
from kfp_perf.errors import TargetError
from kfp_perf.pacing import run_in_own_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from kfp_perf.config import TestConfig

#: The checks in their order.
CHECKS = {
    "name": "the name resolves",
    "tcp": "a TCP connection",
    "tls": "TLS and the certificate",
    "path": "the API's path",
    "healthz": "the server's health",
    "server": "its version and mode",
    "login": "the credentials",
    "list": "the right to list",
    "create": "the right to create",
    "clock": "the clock's offset",
    "evidence": "the server's own metrics",
}
QUICK_SECONDS = 2.0
_SLOW = frozenset({"timeout", "connect_timeout"})
#: The longest wait of one check of `examine`.
CHECK_SECONDS = 5.0


async def examine(
    config: TestConfig, namespaces: Iterable[str] = (), *, quick: bool = False, writes: bool = True
) -> AsyncGenerator[Finding, None]:
    """Yield what each check finds, in the order of CHECKS; those after a failure that they need are left out.

    `quick` are those that change and measure nothing; `writes` lets an experiment be created and deleted.
    Raises `InputError` for credentials, certificates and proxies that cannot be used.
    """
    config = config.model_copy(
        update={
            "connect_timeout_seconds": min(config.connect_timeout_seconds, CHECK_SECONDS),
            "request_timeout_seconds": min(config.request_timeout_seconds, CHECK_SECONDS),
        }
    )
    api = Api(config, namespaces, quick=quick, writes=writes)
    network = Network(config)
    try:
        async for finding in network.findings():
            yield finding
            if finding.status is Status.FAILED:
                return
    finally:
        network.close()
    async for finding in api.findings():
        yield finding


def check_quickly(config: TestConfig, namespaces: Iterable[str] = ()) -> bool:
    """Make the quick checks, in at most `QUICK_SECONDS`; return whether all were made by then.

    What is not known by then is left to the test. Raises `TargetError` where a check fails.
    """
    return run_in_own_loop(_check_quickly(config, namespaces))


async def _check_quickly(config: TestConfig, namespaces: Iterable[str]) -> bool:
    try:
        async with asyncio.timeout(QUICK_SECONDS), aclosing(examine(config, namespaces, quick=True)) as found:
            async for finding in found:
                if finding.status is not Status.FAILED:
                    continue
                if finding.kind in _SLOW:
                    return False
                # A remedy may end with a command, so what follows is on a line of its own.
                hint = f"{finding.remedy}\n    `kfp-perf doctor` makes more checks.".strip()
                raise TargetError(_sentence(finding, config.KFP_url), hint)
    except TimeoutError:
        return False
    return True


def _sentence(finding: Finding, url: str) -> str:
    """What a failed check says of the target."""
    what, status = CHECKS[finding.check], finding.http_status
    detail = finding.detail.replace(f"HTTP {status}: ", "", 1)
    answered = f"answered HTTP {status} to" if status else "did not answer"
    if finding.check == "list":
        # The server's health was good before.
        return f"The KFP API server at {url} {answered} {finding.operation}: {detail}"
    if finding.check in {"healthz", "login"} and status:
        return f"The server at {url} {answered} {finding.operation} ({what}): {detail}"
    if finding.check == "server":
        return f"The KFP API server at {url} cannot be tested with these settings: {detail}"
    return f"No KFP API server at {url}: {what}: {detail}"
