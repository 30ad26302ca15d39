"""Connections of one event loop to one server: made when needed, kept for a while, never more than allowed."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from aiohappyeyeballs import start_connection

from kfp_perf.client.connection import Connection

if TYPE_CHECKING:
    import ssl

# A connection that was idle for longer is not used: shorter than what servers and proxies keep theirs for, so that
# it is us who close them.
KEEPALIVE_SECONDS = 15.0
DNS_CACHE_SECONDS = 60.0
# RFC 8305, section 5: how long an address may take before the next is tried as well.
_NEXT_ADDRESS_SECONDS = 0.25
_CLOSING_SECONDS = 1.0


class NotConnected(Exception):
    """No connection to `host` and `port`; the cause is an OSError, a TLS error, or a TimeoutError."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port


class Pool:
    """At most `limit` connections; who finds all of them taken waits its turn.

    `tls` is None for plain HTTP. Belongs to the event loop that runs when it is made.
    """

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, limit: int, connect_timeout_seconds: float
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._connect_timeout_seconds = connect_timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._room = limit
        self._idle: deque[Connection] = deque()  # the one used last is at the end, and is taken first
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._made: set[Connection] = set()
        self._resolution: asyncio.Future[list[Any]] | None = None
        self._resolve_again = 0.0
        self._turn = 0
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, *, certain: bool) -> Connection | None:
        """A connection that is free, or None; give it back with `release`. `certain`: see `Connection.usable`."""
        while self._idle:
            connection = self._idle.pop()
            is_fresh = self._loop.time() - connection.idle_since <= KEEPALIVE_SECONDS
            if is_fresh and connection.usable(certain=certain):
                return connection
            connection.close()
            self._pass_on(None)
        return None

    async def wait(self, timeout_seconds: float, *, certain: bool) -> Connection:
        """A connection that is made, or becomes free, within the time; give it back with `release`.

        Raises `NotConnected`, and TimeoutError where none became free.
        """
        deadline = self._loop.time() + timeout_seconds
        if not self._room:
            connection = await self._next_free(deadline)
            if connection is not None:
                if connection.usable(certain=certain):
                    return connection
                connection.abort()
        else:
            self._room -= 1
        try:
            return await self._connect(deadline)
        except BaseException:
            self._pass_on(None)
            raise

    def release(self, connection: Connection) -> None:
        """Give a connection back."""
        if connection.usable(certain=False):
            self._pass_on(connection)
        else:
            connection.close()
            self._pass_on(None)

    async def aclose(self) -> None:
        """Close all connections, and wait until they are."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle.clear()
        for connection in self._made:
            connection.close()
        if self._made:
            # A peer that does not answer the end of TLS is not waited for.
            await asyncio.wait([made.lost for made in self._made], timeout=_CLOSING_SECONDS)
        for connection in self._made:
            connection.abort()

    async def _next_free(self, deadline: float) -> Connection | None:
        """The connection that is released next, or None: there is room for one to be made."""
        free: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(free)
        try:
            async with asyncio.timeout_at(deadline):
                return await free
        except BaseException:
            if free.done() and not free.cancelled():
                self._pass_on(free.result())
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        """Give a connection, or the room of one, to who waits longest; else keep it."""
        while self._waiting:
            free = self._waiting.popleft()
            if not free.done():
                free.set_result(connection)
                return
        if connection is None:
            self._room += 1
            return
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(KEEPALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close what was not used for long; it is not taken any more, so that it need not be punctual."""
        self._sweeper = None
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since >= KEEPALIVE_SECONDS:
            self._idle.popleft().close()
            self._room += 1
        if self._idle:
            self._sweeper = self._loop.call_later(KEEPALIVE_SECONDS, self._sweep)

    async def _connect(self, deadline: float) -> Connection:
        loop = self._loop
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + self._connect_timeout_seconds)):
                found = await start_connection(
                    await self._addresses(), happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, loop=loop
                )
                # Nagle's algorithm would hold small requests back for some 40 ms.
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _, connection = await loop.create_connection(
                    lambda: Connection(loop),
                    sock=found,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls is not None else None,
                )
        # An impossible name is a UnicodeError, and some failures of uvloop's are RuntimeErrors.
        except (OSError, UnicodeError, RuntimeError) as error:
            raise NotConnected(self._host, self._port) from error
        self._made.add(connection)
        connection.lost.add_done_callback(lambda _: self._made.discard(connection))
        return connection

    async def _addresses(self) -> list[Any]:
        """The server's addresses, each time beginning with another; all who ask at once share one look-up."""
        resolution = self._resolution
        if resolution is None or (resolution.done() and self._loop.time() >= self._resolve_again):
            resolution = self._resolution = asyncio.ensure_future(self._resolve())
            resolution.add_done_callback(lambda done: done.cancelled() or done.exception())
        addresses = await asyncio.shield(resolution)
        self._turn = (self._turn + 1) % len(addresses)
        return addresses[self._turn :] + addresses[: self._turn]

    async def _resolve(self) -> list[Any]:
        self._resolve_again = 0.0
        try:
            # An address needs no look-up, which would be done in another thread.
            addresses = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except socket.gaierror:
            addresses = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        self._resolve_again = self._loop.time() + DNS_CACHE_SECONDS
        return addresses
