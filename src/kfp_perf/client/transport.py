"""HTTP to one server: request heads, a connection pool for each event loop, and the cost of requests here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from kfp_perf._version import __version__
from kfp_perf.client.auth import tls_context
from kfp_perf.client.pool import Pool
from kfp_perf.client.proxy import proxy_for
from kfp_perf.hosts import ascii_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.client.connection import AttemptState, Reply
    from kfp_perf.config import TestConfig

FIXED_FIELDS = {
    "Accept": "application/json",
    # Compression in a proxy would be measured with the API server, and decompression would cost CPU here.
    "Accept-Encoding": "identity",
    "User-Agent": f"kfp-perf/{__version__}",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What may stand in a path as it is (RFC 3986, section 3.3), and the percent sign of what is encoded already.
_PATH_SAFE = "/%:@!$&'()*+,;=~"


class ConnectionCounters:
    """The cost of calls on this side; counters that another thread may read at any time.

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

    def fields(self) -> dict[str, int | float]:
        """The fields of `ScenarioCounters` that are counted here."""
        return {
            "connections_limit": self.limit,
            "connections_requested": self.attempts,
            "connections_waited": self.waited,
            "connections_waited_seconds": self.waited_seconds,
            "most_requests_at_once": self.most_requests,
            "decode_seconds": self.decode_seconds,
        }

    def began(self, attempt: AttemptState) -> None:
        """Count an attempt that needs a connection."""
        self.attempts += 1
        self.requests += 1
        if self.requests > self.most_requests:
            self.most_requests = self.requests
        if self.requests > self.limit:
            attempt.queued_at = attempt.now()

    def ended(self, attempt: AttemptState) -> None:
        """Count the wait of an attempt that needs its connection no more."""
        self.requests -= 1
        if attempt.queued_at:
            self.waited += 1
            self.waited_seconds += (attempt.sent or attempt.now()) - attempt.queued_at


class Transport:
    """Sends requests; each event loop gets connections of its own at its first request."""

    def __init__(self, config: TestConfig) -> None:
        self.connection_counters = ConnectionCounters(config.max_connections)
        self._timeout_seconds = config.request_timeout_seconds
        self._connect_timeout_seconds = config.connect_timeout_seconds
        parts = urlsplit(config.KFP_url)
        self._host = ascii_host(parts.hostname or "")
        self._port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        self._tls = tls_context(config) if parts.scheme == "https" else None
        self._base_path = quote(parts.path, safe=_PATH_SAFE)
        # The zone of an IPv6 address is only of this machine, so it is not sent.
        name = self._host.partition("%")[0]
        name = f"[{name}]" if ":" in name else name
        if self._port != _DEFAULT_PORTS[parts.scheme]:
            name = f"{name}:{self._port}"
        self.proxy = proxy_for(config)
        own_fields = dict(FIXED_FIELDS)
        if self.proxy is not None and self._tls is None:
            self._base_path = f"http://{name}{self._base_path}"
            if self.proxy.authorization:
                own_fields["Proxy-Authorization"] = self.proxy.authorization
        self._fixed = f" HTTP/1.1\r\nHost: {name}\r\n{_lines(own_fields)}"
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}

    async def exchange(
        self, attempt: AttemptState, method: str, path: str, fields: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Send one request once, and return the answer. `path` is encoded, and follows that of the base URL.

        Raises `NotConnected` and what `Connection.exchange` does; `attempt.sent` shows whether anything had been
        written by then.
        """
        head = f"{method} {self._base_path}{path}{self._fixed}{_lines(fields)}"
        if body is not None or method == "POST":
            head = f"{head}Content-Length: {len(body or b'')}\r\n"
        pool = self._pools.get(asyncio.get_running_loop()) or self._open()
        counters = self.connection_counters
        counters.began(attempt)
        try:
            timeout_seconds = self._timeout_seconds
            connection = pool.take()
            if connection is None:
                loop = asyncio.get_running_loop()
                began = loop.time()
                connection = await pool.wait(timeout_seconds)
                timeout_seconds -= loop.time() - began
            try:
                return await connection.exchange(
                    attempt, f"{head}\r\n".encode("latin-1"), body or b"", timeout_seconds
                )
            finally:
                pool.release(connection)
        finally:
            counters.ended(attempt)

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and forget those of loops that are closed."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        for loop in [loop for loop in list(self._pools) if loop.is_closed()]:
            self._pools.pop(loop, None)
        if pool is not None:
            await pool.aclose()

    def _open(self) -> Pool:
        pool = Pool(
            self._host,
            self._port,
            self._tls,
            self.connection_counters.limit,
            self._connect_timeout_seconds,
            self.proxy,
        )
        self._pools[asyncio.get_running_loop()] = pool
        return pool


def _lines(fields: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
