"""Connections of one event loop to one server: made when needed, kept for a while, never more than allowed."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

from kfp_perf.client.connection import Connection
from kfp_perf.client.proxy import open_tunnel

if TYPE_CHECKING:
    from kfp_perf.client.proxy import Proxy

#: How long the result of a look-up is used.
DNS_CACHE_SECONDS = 60.0
#: How long to wait for an address before the next one is tried.
NEXT_ADDRESS_SECONDS = 1.0


class Addresses:
    """The addresses of a host; belongs to the event loop that runs when it is made.

    Connections use the addresses in turn, so that all servers behind a name get the same load. An address that
    fails is skipped until the next look-up.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._resolution: asyncio.Future[deque[Any]] | None = None
        self._stale_at = 0.0

    async def connect(self) -> socket.socket:
        """Open a connection. Raises OSError, and UnicodeError for an invalid name."""
        known = await self._known()
        known.rotate(-1)
        candidates = list(known)
        failures: list[OSError] = []
        for candidate in candidates:
            is_last = candidate is candidates[-1]
            try:
                return await self._open(candidate, None if is_last else NEXT_ADDRESS_SECONDS)
            except OSError as failure:
                failures.append(failure)
                if len(known) > 1 and candidate in known:
                    known.remove(candidate)
        self._stale_at = 0.0  # the server may have moved
        # A refusal is more helpful than an unreachable kind of address, such as IPv6.
        raise min(failures, key=lambda failure: failure.errno != errno.ECONNREFUSED)

    async def _open(self, candidate: Any, timeout_seconds: float | None) -> socket.socket:
        family, kind, protocol, _, address = candidate
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            # Nagle's algorithm would hold small requests back for some 40 ms.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(timeout_seconds):
                await self._loop.sock_connect(opened, address)
        except BaseException:
            opened.close()
            raise
        return opened

    async def _known(self) -> deque[Any]:
        """Return the known addresses; concurrent callers share one look-up."""
        resolution = self._resolution
        if resolution is None or (resolution.done() and self._loop.time() >= self._stale_at):
            resolution = self._resolution = asyncio.ensure_future(self._resolve())
            resolution.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(resolution)

    async def _resolve(self) -> deque[Any]:
        self._stale_at = 0.0
        try:
            # An address needs no look-up, which would be done in another thread.
            found = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        except socket.gaierror:
            found = await self._look_up()
        self._stale_at = self._loop.time() + DNS_CACHE_SECONDS
        return deque(found)

    async def _look_up(self) -> list[Any]:
        try:
            return await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as failure:
            # Without descriptors the resolver can read neither /etc/hosts nor an answer, and reports anything.
            if missing := _error_of_a_new_descriptor():
                raise missing from failure
            raise


def _error_of_a_new_descriptor() -> OSError | None:
    """Return the error of opening one more descriptor; None where it can be opened."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error
    return None


# Connections that were idle for longer are not used. Proxies and load balancers close theirs after 60 s or more; a
# server that closes earlier is noticed by `Connection.is_silent`.
KEEPALIVE_SECONDS = 55.0


class NotConnected(Exception):
    """No connection to `host` and `port`.

    The cause is an OSError, such as errors of TLS and TimeoutError, or the UnicodeError of an invalid name.
    `proxy` is the proxy that refused or was not reached, if any.
    """

    def __init__(self, host: str, port: int, proxy: Proxy | None = None) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port
        self.proxy = proxy


class Pool:
    """At most `limit` connections; requests beyond that wait, in their order.

    `tls` is None for plain HTTP. Connections are made to the proxy where there is one, and with TLS through it.
    Belongs to the event loop that runs when it is made.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        limit: int,
        connect_timeout_seconds: float,
        proxy: Proxy | None = None,
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
        self._proxy = proxy
        self._addresses = Addresses(proxy.host, proxy.port) if proxy else Addresses(host, port)
        self._is_closed = False
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self) -> Connection | None:
        """Return an idle connection, or None. The caller must `release` it."""
        while self._idle:
            connection = self._idle.pop()
            is_fresh = self._loop.time() - connection.idle_since <= KEEPALIVE_SECONDS
            if is_fresh and connection.reusable and connection.is_silent():
                return connection
            self._drop(connection)
        return None

    async def wait(self, timeout_seconds: float) -> Connection:
        """Return a connection that is opened or becomes idle within the time. The caller must `release` it.

        Raises `NotConnected`, TimeoutError where none became free, and ConnectionAbortedError where the pool was
        closed meanwhile.
        """
        deadline = self._loop.time() + timeout_seconds
        if not self._room:
            connection = await self._next_free(deadline)
            if connection is not None:
                if connection.reusable and connection.is_silent():
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
        """Return a connection to the pool."""
        if connection.reusable:
            self._pass_on(connection)
        else:
            self._drop(connection)

    async def aclose(self) -> None:
        """Close all connections, and wait until they are."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for free in self._waiting:
            if not free.done():
                free.set_exception(ConnectionAbortedError())
        self._idle.clear()
        made = list(self._made)
        for connection in made:
            connection.abort()
        await asyncio.gather(*(connection.lost for connection in made))

    def _drop(self, connection: Connection) -> None:
        # Aborted, not shut down: a server that does not complete the shutdown would keep the socket open.
        connection.abort()
        self._pass_on(None)

    async def _next_free(self, deadline: float) -> Connection | None:
        """Return the connection that is released next, or None if another one may be opened."""
        free: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(free)
        try:
            async with asyncio.timeout_at(deadline):
                return await free
        except BaseException:
            if free.done() and not free.cancelled() and free.exception() is None:
                self._pass_on(free.result())
            raise

    def _pass_on(self, connection: Connection | None) -> None:
        """Hand a connection, or the permission to open one, to the request that waits longest; else keep it."""
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
        """Close connections that were idle for too long. `take` does not use them, so this may run late."""
        self._sweeper = None
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since >= KEEPALIVE_SECONDS:
            self._drop(self._idle.popleft())
        if self._idle:
            self._sweeper = self._loop.call_later(KEEPALIVE_SECONDS, self._sweep)

    async def _connect(self, deadline: float) -> Connection:
        loop = self._loop
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + self._connect_timeout_seconds)):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop),
                    sock=await self._reach(),
                    ssl=self._tls,
                    # Certificates hold names without the final dot.
                    server_hostname=self._host.rstrip(".") if self._tls is not None else None,
                )
        except (OSError, UnicodeError) as error:
            # TLS is with the server, though it goes through the proxy.
            proxy = None if isinstance(error, ssl.SSLError) else self._proxy
            raise NotConnected(self._host, self._port, proxy) from error
        self._made.add(connection)
        connection.lost.add_done_callback(lambda _: self._made.discard(connection))
        if self._is_closed:
            connection.abort()
        return connection

    async def _reach(self) -> socket.socket:
        """Connect a socket to the server, or to the proxy: with TLS through it."""
        connected = await self._addresses.connect()
        if self._proxy is None or self._tls is None:
            return connected
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            await open_tunnel(self._loop, connected, self._proxy, f"{host}:{self._port}")
        except BaseException:
            connected.close()
            raise
        return connected
