"""HTTP over aiohttp: one session for each event loop, and the exact moment at which a request leaves."""

from __future__ import annotations

import asyncio
import io
import select
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp

from kfp_perf._version import __version__
from kfp_perf.client.auth import tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from aiohttp.client import ClientTimeout
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace
    from yarl import URL

    from kfp_perf.config import TestConfig

# Shorter than what servers and proxies keep idle connections for, so that it is us who close them.
KEEPALIVE_SECONDS = 15.0
DNS_CACHE_SECONDS = 60
# Pages of 200 runs are some 600 KB; a smaller buffer would pause reading again and again.
READ_BUFFER_BYTES = 2**20
LARGEST_ANSWER_BYTES = 64 * 2**20
LARGEST_PLAIN_BODY_BYTES = 2**19

FIXED_HEADERS = {
    "Accept": "application/json",
    # A proxy that compresses would be measured with the API server, and unpacking would cost us time.
    "Accept-Encoding": "identity",
    "User-Agent": f"kfp-perf/{__version__}",
}

_MOST_STALE_CONNECTIONS = 64
# Linux reports a peer that has closed its side under this name; elsewhere POLLHUP, always on, has to do.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)


class Burden:
    """What making calls costs this side; counters that another thread may read at any time.

    `requests`: attempts under way now, each of which has a connection, or waits for one. `most_requests`: the
    most there were. `limit`: how many connections there may be. `waited`: attempts that found all of them taken,
    and waited for `waited_seconds`. `decode_seconds`: time spent on turning answers into objects.
    """

    __slots__ = (
        "attempts",
        "decode_seconds",
        "limit",
        "most_requests",
        "requests",
        "waited",
        "waited_seconds",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.attempts = 0
        self.requests = 0
        self.most_requests = 0
        self.waited = 0
        self.waited_seconds = 0.0
        self.decode_seconds = 0.0

    def began(self, attempt: Attempt) -> None:
        """Take in an attempt that asks for a connection."""
        self.attempts += 1
        self.requests += 1
        if self.requests > self.most_requests:
            self.most_requests = self.requests
        if self.requests > self.limit:
            attempt.queued_at = attempt.now()

    def ended(self, attempt: Attempt) -> None:
        """Take in that an attempt needs its connection no more."""
        self.requests -= 1
        if attempt.queued_at:
            self.waited += 1
            self.waited_seconds += (attempt.sent or attempt.now()) - attempt.queued_at


class AnswerTooLarge(Exception):
    """The answer is larger than any that KFP gives, and was not read to its end."""


class Attempt:
    """One attempt of a call, filled in as it goes.

    `due`, `sent` and `ended` are as in `Sample`; `status` and `received_bytes` are the answer's;
    `retry_after` is the text of its Retry-After header; `queued_at` says since when all connections were taken
    (0.0: there was one). `held` is how long the load itself kept it back after it was due.
    """

    __slots__ = (
        "due",
        "ended",
        "held",
        "now",
        "number",
        "queued_at",
        "received_bytes",
        "retry_after",
        "sent",
        "status",
    )

    def __init__(self, number: int, due: float, now: Callable[[], float]) -> None:
        self.number = number
        self.due = due
        self.sent = 0.0
        self.ended = 0.0
        self.status = 0
        self.received_bytes = 0
        self.retry_after: str | None = None
        self.now = now
        self.queued_at = 0.0
        self.held = 0.0

    def mark_sent(self, connection: Connection) -> None:
        """Note the time, just before the headers are written; not where the connection is closing already."""
        transport = connection.transport
        if not self.sent and transport is not None and not transport.is_closing():
            self.sent = self.now()


# How the attempt reaches the request object that aiohttp makes for it. aiohttp's own tracing would do as well,
# at 10 us a request; this costs 1 us.
_attempt: ContextVar[Attempt] = ContextVar("attempt")


class _Request(aiohttp.ClientRequest):
    """A request that notes when its headers are written.

    aiohttp writes the headers of a request without a body in `send`, else together with the body's first bytes.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if not self.body:
            _attempt.get().mark_sent(conn)
        return await super().send(conn)

    async def write_bytes(self, writer: Any, conn: Connection, *rest: Any) -> None:
        _attempt.get().mark_sent(conn)
        await super().write_bytes(writer, conn, *rest)


class _Connector(aiohttp.TCPConnector):
    """Connections that are looked at before something that must not be done twice is written to them.

    A server may have closed an idle connection without the event loop having heard of it yet. What is written
    then is lost, and one cannot know whether it was done; so the kernel, which knows at once, is asked first.
    """

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if req.method != "POST":
            return connection
        for _ in range(_MOST_STALE_CONNECTIONS):
            if not _closed_by_peer(connection):
                return connection
            connection.close()
            connection = await super().connect(req, traces, timeout)
        connection.close()
        raise aiohttp.ServerDisconnectedError


def _closed_by_peer(connection: Connection) -> bool:
    transport = connection.transport
    if transport is None:
        return True
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), _PEER_CLOSED)
    return bool(poll.poll(0))


class Transport:
    """Sends requests; each event loop gets a session of its own at its first request."""

    def __init__(self, config: TestConfig) -> None:
        self.burden = Burden(config.max_connections)
        self._timeout_seconds = config.request_timeout_seconds
        self._connect_timeout = aiohttp.ClientTimeout(sock_connect=config.connect_timeout_seconds)
        is_tls = config.KFP_url.startswith("https:")
        self._tls: ssl.SSLContext | bool = tls_context(config) if is_tls else True
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    async def exchange(
        self, attempt: Attempt, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Mapping[str, str], bytes]:
        """Send one request once, and return the answer's headers and its whole body.

        Raises what aiohttp raises, TimeoutError, OSError, and `AnswerTooLarge`; `attempt.sent` says whether
        anything had been written by then.
        """
        session = self._sessions.get(asyncio.get_running_loop()) or self._open()
        _attempt.set(attempt)
        # aiohttp writes plain bytes in one go; large ones in pieces keep the event loop free.
        data = io.BytesIO(body) if body is not None and len(body) > LARGEST_PLAIN_BODY_BYTES else body
        burden = self.burden
        burden.began(attempt)
        try:
            # The same as aiohttp's total time-out, at a fifth of its cost.
            async with asyncio.timeout(self._timeout_seconds):
                response = await session.request(
                    method, url, headers=headers, data=data, allow_redirects=False
                )
                try:
                    attempt.status = response.status
                    content = await _read(response.content)
                except BaseException:
                    response.close()
                    raise
        finally:
            burden.ended(attempt)
        attempt.received_bytes = len(content)
        return response.headers, content

    async def aclose(self) -> None:
        """Close the session of the running event loop, and forget those of loops that are closed."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        self._sessions = {loop: kept for loop, kept in self._sessions.items() if not loop.is_closed()}
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=_Connector(
                limit=self.burden.limit,
                ttl_dns_cache=DNS_CACHE_SECONDS,
                keepalive_timeout=KEEPALIVE_SECONDS,
                ssl=self._tls,
            ),
            headers=FIXED_HEADERS,
            timeout=self._connect_timeout,
            request_class=_Request,
            # Cookies of load balancers would tie all of the load to one server.
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=READ_BUFFER_BYTES,
        )
        # aiohttp would repeat a GET on a connection that turned out to be stale, and not say so: the repetition
        # would hide in a latency. Ours are counted. (Its own test client switches this off in the same way.)
        session._retry_connection = False
        self._sessions[asyncio.get_running_loop()] = session
        return session


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Read an answer's body to its end. Raises `AnswerTooLarge`."""
    block = await content.readany()
    if content.at_eof():
        return block
    blocks = [block]
    size = len(block)
    while block := await content.readany():
        blocks.append(block)
        size += len(block)
        if size > LARGEST_ANSWER_BYTES:
            raise AnswerTooLarge
    return b"".join(blocks)
