"""Endpoints with Prometheus metrics: the API server's own, and any others that the settings name.

Credentials are sent to the API server only. Other endpoints get none, so their certificates are not verified:
Argo's controller serves its metrics with one that it has signed itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from kfp_perf.client.auth import Credentials
from kfp_perf.client.connection import AttemptState
from kfp_perf.client.failures import OF_TRANSPORT, describe_body, from_exception, shorten
from kfp_perf.client.transport import Transport
from kfp_perf.errors import KfpPerfError
from kfp_perf.evidence.exposition import NotMetrics
from kfp_perf.evidence.profiles import PROFILES, profile_of
from kfp_perf.evidence.profiles import SERVER as SERVER_PROFILE
from kfp_perf.evidence.scrape import SCRAPES_SUFFIX, Changes, ScrapeLine, ScrapeReader
from kfp_perf.evidence.source import Source, SourceFinding

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.client.connection import Reply
    from kfp_perf.config import TestConfig
    from kfp_perf.evidence.source import Sink

_LONGEST_SCRAPE_SECONDS = 4.0
_LAST_SCRAPE_SECONDS = 1.5
#: A scrape that costs more than a hundredth of the interval makes the interval longer.
_MOST_CPU_SHARE = 0.01

_DEFAULT_PORTS = {"http": 80, "https": 443}
# What may stand in a path and a query as it is (RFC 3986), and the percent sign of what is encoded already.
_SAFE = "/%:@!$&'()*+,;=~?"


class Unusable(Exception):
    """An endpoint gave no metrics; the text is the reason, `remedy` what to do about it."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


class Endpoint:
    """One endpoint, scraped over a new connection each time, so that replicas behind one name take turns."""

    def __init__(self, name: str, config: TestConfig, now: Callable[[], float] = time.time) -> None:
        self.name = name
        self.is_server = name == SERVER_PROFILE.name
        self.url = f"{config.KFP_url}/metrics" if self.is_server else config.metrics_urls[name]
        self.reader: ScrapeReader | None = None
        self._now = now
        self._credentials: Credentials | None = None
        self._path = "/metrics"
        if self.is_server:
            self._credentials = Credentials(config)
        else:
            parts = urlsplit(self.url)
            query = f"?{parts.query}" if parts.query else ""
            self._path = quote((parts.path or "/metrics") + query, safe=_SAFE)
            # The port is named, or that of the API would be taken.
            port = "" if parts.port else f":{_DEFAULT_PORTS[parts.scheme]}"
            host = f"{parts.scheme}://{parts.netloc}{port}"
            config = config.model_copy(update={"KFP_API_HOST": host, "LOCAL": True, **_NO_CREDENTIALS})
        self._transport = Transport(config)

    async def scrape(self, seconds: float = _LONGEST_SCRAPE_SECONDS) -> ScrapeLine:
        """Return all that one answer holds. Raises `Unusable` after `seconds` at the latest."""
        attempt = AttemptState(self._now)
        reply = await self._ask(attempt, seconds)
        body = reply.content
        if self._credentials is not None:
            body = self._credentials.hide(body)  # what is said of an answer may quote it
        if attempt.status != 200:
            raise Unusable(
                f"the answer is {attempt.status}: {describe_body(body) or 'empty'}",
                _HINTS.get(attempt.status, "") if self.is_server else "",
            )
        try:
            line = self._reader_of(body).read(body, attempt.ended)
        except NotMetrics as error:
            raise Unusable(f"the answer holds no metrics: {error}") from None
        line.seconds = attempt.ended - attempt.sent
        with contextlib.suppress(TypeError, ValueError):
            line.server_at = parsedate_to_datetime(reply.field("date")).timestamp()
        return line

    def _reader_of(self, body: bytes) -> ScrapeReader:
        """The reader of this endpoint. Raises `NotMetrics` for a body that no profile has a metric of."""
        profile = profile_of(body)
        if profile is None:
            raise NotMetrics(f"it is {describe_body(body) or 'empty'}")
        if self.reader is None:
            self.reader = ScrapeReader(PROFILES.get(self.name, profile))
        return self.reader

    async def _ask(self, attempt: AttemptState, seconds: float) -> Reply:
        headers = {"Connection": "close", **(self._credentials.headers() if self._credentials else {})}
        try:
            async with asyncio.timeout(seconds):
                return await self._transport.exchange(attempt, "GET", self._path, headers, None)
        except TimeoutError:
            raise Unusable(f"no whole answer within {seconds:g} s") from None
        except OF_TRANSPORT as error:
            failure = from_exception("Metrics", error, sent=attempt.sent > 0.0)
            raise Unusable(failure.message, failure.hint) from None
        finally:
            await self._transport.aclose()


_NO_CREDENTIALS = {
    **dict.fromkeys(("KFP_TOKEN", "KFP_TOKEN_FILE", "KFP_TOKEN_COMMAND", "KFP_COOKIE")),
    **dict.fromkeys(("KFP_USER", "KFP_CA_CERT", "KFP_CLIENT_CERT", "KFP_CLIENT_KEY")),
}


_HINTS = {
    401: "It needs other credentials than the API.",
    403: "These credentials lack the right.",
    404: "A gateway in front of the API server may not pass /metrics on: give API_HOST the server itself.",
}


async def look(config: TestConfig, part: str) -> SourceFinding:
    """Scrape an endpoint once."""
    try:
        endpoint = Endpoint(part, config)
    except KfpPerfError as error:
        return SourceFinding(missing=str(error))
    try:
        await endpoint.scrape()
    except Unusable as error:
        return SourceFinding(missing=f"{endpoint.url}: {error}", remedy=error.remedy)
    return SourceFinding(found=_where(endpoint))


def _where(endpoint: Endpoint) -> str:
    profile = endpoint.reader.profile if endpoint.reader else None
    if (
        profile is None
        or endpoint.name in PROFILES
        or profile.name not in {"controller", "scheduledworkflow"}
    ):
        return endpoint.url
    return f"{endpoint.url}, the {profile.title}: named {profile.name}, it would be read in full"


async def _collect_all(config: TestConfig, sink: Sink, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        for state in sink.states:
            endpoint = Endpoint(state.name, config, sink.now)
            group.create_task(_collect(endpoint, config.evidence_interval_seconds, sink, stop))


async def _collect(endpoint: Endpoint, interval: float, sink: Sink, stop: asyncio.Event) -> None:
    """Scrape an endpoint at intervals until `stop` is set, and once more then."""
    changes, live = Changes(), _Live()
    stopped = asyncio.create_task(stop.wait())
    is_last = False
    while not is_last:
        is_last = stopped.done()
        began, cpu = time.monotonic(), time.process_time()
        seconds = min(_LAST_SCRAPE_SECONDS if is_last else _LONGEST_SCRAPE_SECONDS, interval)
        line, failure = await _scraped(endpoint, sink, seconds)
        if not sink.append(endpoint.name, f"{endpoint.name}{SCRAPES_SUFFIX}", changes.of(line)):
            changes.forget(line)
        _report(endpoint, failure, sink)
        if text := live.text(line):
            sink.live(endpoint.name, text)
        cost = (time.process_time() - cpu) / _MOST_CPU_SHARE
        if not is_last:
            rest = max(interval, cost) - (time.monotonic() - began)
            await asyncio.wait([stopped], timeout=max(0.0, rest))


async def _scraped(endpoint: Endpoint, sink: Sink, seconds: float) -> tuple[ScrapeLine, Unusable | None]:
    try:
        return await endpoint.scrape(seconds), None
    except Unusable as error:
        return ScrapeLine(at=sink.now(), missed=shorten(str(error))), error


def _report(endpoint: Endpoint, failure: Unusable | None, sink: Sink) -> None:
    if failure is not None:
        sink.missing(endpoint.name, f"{endpoint.url}: {failure}", failure.remedy)
        return
    sink.found(endpoint.name, _where(endpoint))
    if endpoint.reader is not None and endpoint.reader.dubious:
        sink.failed(endpoint.name, endpoint.reader.dubious)


class _Live:
    """A few words on each scrape, for the displays."""

    def __init__(self) -> None:
        self._before: ScrapeLine | None = None

    def text(self, line: ScrapeLine) -> str:
        before = self._before
        if line.missed:
            return "" if before is None else "does not answer"
        self._before = line
        parts = []
        if before is not None and before.began == line.began and line.at > before.at:
            used = line.counters.get("cpu", 0.0) - before.counters.get("cpu", 0.0)
            parts.append(f"{max(0.0, used) / (line.at - before.at):.2f} cores")
        if memory := line.gauges.get("memory"):
            parts.append(f"{memory / 2**20:,.0f} MiB")
        if "depth/workflow_queue" in line.gauges:
            parts.append(f"workflows queued {line.gauges['depth/workflow_queue']:,.0f}")
        if "busy_workers/workflow_queue" in line.gauges:
            parts.append(f"workers busy {line.gauges['busy_workers/workflow_queue']:,.0f}")
        return ", ".join(parts)


SERVER = Source(
    "server",
    SERVER_PROFILE.title,
    lambda config: [(SERVER_PROFILE.name, SERVER_PROFILE.title)],
    look,
    _collect_all,
    2**20,
)
ENDPOINTS = Source(
    "endpoints",
    "metrics of other endpoints",
    lambda config: [
        (name, profile.title if (profile := PROFILES.get(name)) else f"metrics of {name}")
        for name in config.metrics_urls
    ],
    look,
    _collect_all,
    2**20,
)
