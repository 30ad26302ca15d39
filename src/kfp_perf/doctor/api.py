"""Checks of the KFP API at the target: path, health, version, credentials, permissions, clock, metrics."""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import msgspec

from kfp_perf.client import ListQuery, RestClient
from kfp_perf.client.auth import Credentials
from kfp_perf.client.connection import AttemptState
from kfp_perf.client.failures import OF_TRANSPORT
from kfp_perf.client.transport import Transport
from kfp_perf.doctor.finding import Finding, Status
from kfp_perf.errors import ApiAnswerError, ApiError, ApiStatusError
from kfp_perf.observe.times import ClockOffset
from kfp_perf.pacing import RealClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from kfp_perf.client.connection import Reply
    from kfp_perf.client.messages import Healthz
    from kfp_perf.config import TestConfig

Answer = TypeVar("Answer")

#: Where gateways serve the API: at the root, and Kubeflow's.
PREFIXES = ("", "/pipeline")
#: A larger offset of the clock is a warning.
MUCH_SECONDS = 5.0
_DATES = 8
#: How long after a 5xx a quick check asks again.
_ASK_AGAIN_SECONDS = 0.3
_BETWEEN_DATES_SECONDS = 0.13
_HEALTHZ = "/apis/v2beta1/healthz"
_ASK_FOR_LOGIN = frozenset({301, 302, 303, 307, 308, 401, 407})


class Api:
    """The checks of the API, in their order. A check is left out if one that it needs has failed.

    `writes`: an experiment is created and deleted, to check the permission.
    """

    def __init__(self, config: TestConfig, namespaces: Iterable[str], *, quick: bool, writes: bool) -> None:
        self._config = config.model_copy(update={"retries": 0})
        self._namespaces = tuple(namespaces)
        self._quick = quick
        self._writes = writes and not quick
        self._credentials = Credentials(config)
        self._health: Healthz | None = None
        self._offset = ClockOffset()

    async def findings(self) -> AsyncIterator[Finding]:
        """Make the checks."""
        async with _client(self._config) as client:
            async for finding in self._reach(client):
                yield finding
            if self._health is None:
                return
            yield self._server(self._health)
            allowed = await self._list(client)
            for finding in allowed:
                yield finding
            if self._quick:
                return
            if allowed[-1].status is Status.OK:
                yield await self._create(client)
        yield await self._clock()
        yield await self._metrics()

    async def _reach(self, client: RestClient) -> AsyncIterator[Finding]:
        """Check the path and the health."""
        began = time.perf_counter()
        try:
            health = await self._ask(client.healthz)
        except ApiError as error:
            answered = error.status in _ASK_FOR_LOGIN or error.status == 403 or error.status >= 500
            if isinstance(error, ApiStatusError | ApiAnswerError) and not answered:
                yield await self._other_path(error)
                return
            if isinstance(error, ApiStatusError):
                yield Finding("path", Status.OK, f"{client.url}{_HEALTHZ} is served")
            check = "login" if error.status in _ASK_FOR_LOGIN or error.status == 403 else "healthz"
            yield _failed(check, error)
            return
        if not health.is_kfp:
            remedy = "Does API_HOST, with its port and path, point to the KFP API server?"
            detail = f"what answers at {client.url} is not a KFP API server"
            yield Finding("healthz", Status.FAILED, detail, remedy)
            return
        milliseconds = 1e3 * (time.perf_counter() - began)
        yield Finding("path", Status.OK, f"{client.url}{_HEALTHZ} is KFP's")
        yield Finding("healthz", Status.OK, f"answered in {milliseconds:.1f} ms")
        self._health = health

    async def _ask(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Make a request; before a test once more after a 5xx, since the test itself would go on."""
        try:
            return await call()
        except ApiError as error:
            if not self._quick or error.status < 500:
                raise
        await asyncio.sleep(_ASK_AGAIN_SECONDS)
        return await call()

    async def _other_path(self, error: ApiError) -> Finding:
        """Return what failed, with the path under which the API is served, if it is another one."""
        parts = urlsplit(self._config.KFP_url)
        root = f"{parts.scheme}://{parts.netloc}"
        for prefix in PREFIXES:
            if prefix == parts.path:
                continue
            elsewhere = self._config.model_copy(update={"KFP_API_HOST": f"{root}{prefix}"})
            async with _client(elsewhere) as client:
                try:
                    found = (await client.healthz()).is_kfp
                except ApiError:
                    continue
            if found:
                remedy = f"It is served under another path: API_HOST={root}{prefix}"
                return Finding("path", Status.FAILED, _failed("path", error).detail, remedy)
        return _failed("path", error)

    def _server(self, health: Healthz) -> Finding:
        """Check the version and the mode."""
        many = health.multi_user is True
        version = health.tag_name or health.commit_sha or "unknown version"
        detail = f"KFP {version}, {'multi-user' if many else 'single-user'}"
        if health.commit_sha.startswith("kfp-perf-emulator"):
            detail += ", an emulator"
        if many and not self._config.IS_KUBEFLOW_MODE:
            remedy = "Set isKubeflowMode=true (--kubeflow), and NAMESPACE to one of yours."
            return Finding("server", Status.FAILED, f"{detail}, and isKubeflowMode is false", remedy)
        if health.multi_user is False and self._config.IS_KUBEFLOW_MODE:
            remedy = "Leave isKubeflowMode (--kubeflow) out: namespaces have no effect."
            return Finding("server", Status.WARNING, f"{detail}, and isKubeflowMode is true", remedy)
        return Finding("server", Status.OK, detail)

    @property
    def _used_namespaces(self) -> tuple[str, ...]:
        if self._health is not None and self._health.multi_user is True:
            return self._namespaces or (self._config.NAMESPACE,)
        return ("",)

    async def _list(self, client: RestClient) -> list[Finding]:
        """Check the login and the right to list."""
        given = "accepted" if self._credentials.given or self._config.KFP_USER else "none needed"
        for namespace in self._used_namespaces:
            try:
                query = ListQuery(page_size=1, namespace=namespace)
                await self._ask(functools.partial(client.list_experiments, query))
            except ApiError as error:
                if error.status in _ASK_FOR_LOGIN:
                    return [_failed("login", error)]
                where = f"experiments of {namespace}" if namespace else "experiments"
                failed = _failed("list", error)
                return [
                    Finding("login", Status.OK, f"credentials: {given}"),
                    msgspec.structs.replace(failed, detail=f"{where}: {failed.detail}"),
                ]
        names = ", ".join(filter(None, self._used_namespaces))
        return [
            Finding("login", Status.OK, f"credentials: {given}"),
            Finding("list", Status.OK, f"experiments of {names}" if names else "experiments"),
        ]

    async def _create(self, client: RestClient) -> Finding:
        """Check the right to create, by an experiment that is deleted at once."""
        if not self._writes:
            return Finding("create", Status.SKIPPED, "nothing is to be written")
        namespace = self._used_namespaces[0]
        name = f"kfp-perf-doctor-{secrets.token_hex(4)}"
        where = f" in {namespace}" if namespace else ""
        sent = time.time()
        try:
            made = await client.create_experiment(name, namespace=namespace)
        except ApiError as error:
            failed = _failed("create", error)
            left = f" An experiment {name} may have been created." if error.outcome_unknown else ""
            return Finding(
                "create", Status.FAILED, f"an experiment{where}: {failed.detail}{left}", failed.remedy
            )
        if made.created_at is not None:
            self._offset.bracket(made.created_at, sent, time.time())
        try:
            await client.delete_experiment(made.experiment_id)
        except ApiError as error:
            detail = f"the experiment {name}{where} was created and cannot be deleted: {error.message}"
            return Finding(
                "create",
                Status.WARNING,
                detail,
                "Delete it by hand, and get the permission to delete before a test.",
            )
        return Finding("create", Status.OK, f"an experiment{where} was created and deleted")

    async def _clock(self) -> Finding:
        """Measure how far the server's clock is ahead, from whole seconds in responses (see `ClockOffset`)."""
        source = "the Date of answers"
        dates = ClockOffset()
        transport = Transport(self._config)
        try:
            for _ in range(_DATES):
                sent = time.time()
                reply = await self._get(transport, _HEALTHZ)
                date = _seconds(reply.field("Date"))
                if date is not None:
                    dates.bracket(date, sent, time.time())
                await asyncio.sleep(_BETWEEN_DATES_SECONDS)
        except OF_TRANSPORT:
            pass
        finally:
            await transport.aclose()
        now = time.time()
        by_creation, by_dates = self._offset.at(now), dates.at(now)
        known = by_creation and by_dates and by_creation.intersect(by_dates)
        if known is None:
            # A proxy may write the Date by another clock.
            known, source = (by_creation, "a creation") if by_creation else (by_dates, source)
        if known is None:
            remedy = "Phases and queues are shown with the uncertainty that this leaves."
            return Finding(
                "clock", Status.WARNING, "the server's clock is not known: no answer names it", remedy
            )
        ahead = "ahead" if known.middle >= 0 else "behind"
        how_far = f"{abs(known.middle):.2f} s {ahead}, to within {known.half_width:.2f} s"
        detail = f"the server's is {how_far}, by {source}"
        if min(abs(known.low), abs(known.high)) > MUCH_SECONDS and known.low * known.high > 0:
            return Finding(
                "clock", Status.WARNING, detail, "Set one of the clocks: is NTP running on both sides?"
            )
        return Finding("clock", Status.OK, detail)

    async def _metrics(self) -> Finding:
        """Check whether the API server's own metrics can be read."""
        transport = Transport(self._config)
        remedy = "Reports lack the server's own figures; a port-forward to svc/ml-pipeline reaches them."
        try:
            reply = await self._get(transport, "/metrics")
        except OF_TRANSPORT:
            return Finding("evidence", Status.WARNING, "the API server's /metrics is not reached", remedy)
        finally:
            await transport.aclose()
        families = reply.content.count(b"# TYPE ")
        if not families:
            return Finding("evidence", Status.WARNING, "the API server's /metrics is not served here", remedy)
        return Finding("evidence", Status.OK, f"the API server's /metrics: {families} families")

    async def _get(self, transport: Transport, path: str) -> Reply:
        attempt = AttemptState(time.time)
        headers = {**self._credentials.headers(), "Accept": "*/*"}
        return await transport.exchange(attempt, "GET", path, headers, None)


@asynccontextmanager
async def _client(config: TestConfig) -> AsyncIterator[RestClient]:
    client = RestClient(config, RealClock(), correlation="kfp-perf-doctor")
    try:
        yield client
    finally:
        await client.aclose()


def _failed(check: str, error: ApiError) -> Finding:
    if error.kind == "timeout":
        detail = "the connection is accepted and no response comes within the time limit of a check"
        remedy = "Is the ml-pipeline pod ready, or does a proxy in front of it wait for it?"
        return Finding(check, Status.FAILED, detail, remedy, error.kind)
    if error.kind == "reset" and not error.hint:
        remedy = "Is this the port of the API, and not one of https? Does a port-forward to it still run?"
        return Finding(check, Status.FAILED, error.message, remedy, error.kind, operation=error.operation)
    status = f"HTTP {error.status}: " if error.status else ""
    detail = f"{status}{error.message}"
    return Finding(
        check,
        Status.FAILED,
        detail,
        error.hint,
        error.kind,
        operation=error.operation,
        http_status=error.status,
    )


def _seconds(date: str) -> float | None:
    """Seconds since the epoch of an HTTP date (RFC 9110, section 5.6.7)."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
