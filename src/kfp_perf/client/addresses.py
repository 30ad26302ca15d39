"""The addresses of a server, and connecting to one of them."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from typing import Any

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
