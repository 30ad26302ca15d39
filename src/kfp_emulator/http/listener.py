"""Accepting connections as fast as they come."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

BACKLOG = 4096
_PAUSE_SECONDS = 0.1

_log = logging.getLogger("kfp_emulator")


class Listener:
    """Serves every connection to a bound, non-blocking socket with a protocol of its own, until closed.

    With `tls` each begins with a TLS handshake.

    At each turn of the running loop all connections that wait are accepted. uvloop's own server accepts one a turn
    (as libuv does since 1.45): where turns are long, under load, new connections would wait for seconds while
    old ones are served, as no real API server lets them.
    """

    def __init__(
        self,
        bound: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = bound
        self._tls = tls
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._closed = False
        bound.listen(BACKLOG)
        self._listen()

    def close(self) -> None:
        """Accept no more connections; those accepted stay open."""
        self._closed = True
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _listen(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of file descriptors, or of memory: the connection waits, and so do we.
                _log.warning("cannot accept a connection: %s", error)
                self._loop.remove_reader(self._socket)
                self._loop.call_later(_PAUSE_SECONDS, self._listen)
                return
            connection.setblocking(False)
            opening = self._loop.create_task(
                self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._tls)
            )
            self._opening.add(opening)
            opening.add_done_callback(self._opened)

    def _opened(self, opening: asyncio.Task[Any]) -> None:
        self._opening.discard(opening)
        if not opening.cancelled() and (error := opening.exception()) is not None:
            _log.debug("a connection was gone before it was served: %s", error)
