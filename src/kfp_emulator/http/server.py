"""The running server: its socket, its connections, its clock, and what happens when it restarts."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from kfp_emulator.http.app import App
from kfp_emulator.http.injection import TRANSPORT, reset
from kfp_emulator.http.listener import Listener
from kfp_emulator.server import lifecycle

if TYPE_CHECKING:
    import ssl

    from kfp_emulator.server.state import Backend

KEEP_ALIVE_SECONDS = 180
"""Longer than any poll: uvicorn's own 5 s make slow pollers race against the closing of their connection."""

LONGEST_PARSED_TARGET = 65_535
_log = logging.getLogger("kfp_emulator")


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, with the connection in the scope of each request, for faults that break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        """Split a long target here: the parser of targets counts in 16 bits."""
        if len(self.url) <= LONGEST_PARSED_TARGET:
            super().on_headers_complete()
            return
        self.url, _, query = self.url.partition(b"?")
        super().on_headers_complete()
        self.scope["query_string"] = query


def open_socket(host: str, port: int) -> socket.socket:
    """Bind a listening address; port 0 lets the system choose.

    Raises:
        OSError: the address is in use, or none of this machine.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(bound: socket.socket, scheme: str = "http") -> str:
    """Return the URL of a bound address."""
    return _url(scheme, bound.getsockname())


def _url(scheme: str, address: tuple[Any, ...]) -> str:
    host, port = address[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def listen(
    app: Any,
    bound: socket.socket,
    state: ServerState | None = None,
    tls: ssl.SSLContext | None = None,
) -> Listener:
    """Serve an ASGI application on a bound socket, in the running loop; `state` holds the connections."""
    config = Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    # uvicorn calls it an error when a connection is broken under an answer: here, faults and restarts do that.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    shared = ServerState() if state is None else state
    return Listener(bound, lambda: _Protocol(config=config, server_state=shared, app_state={}), tls)


class Server:
    """One listening server over one backend.

    Args:
        backend: what is served.
        listener: a bound socket, which the server closes.

    """

    def __init__(self, backend: Backend, listener: socket.socket) -> None:
        self._backend = backend
        self._listener = listener
        self._address: tuple[Any, ...] = listener.getsockname()
        self._state = ServerState()
        self._app = App(backend)
        self._server: Listener | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._stopped = False
        backend.restart = self.restart

    @property
    def url(self) -> str:
        """Where the server listens."""
        return _url("http", self._address)

    async def start(self) -> None:
        """Accept connections."""
        self._server = listen(self._app, self._listener, self._state)

    async def stop(self) -> None:
        """Close the listener, all connections and the store."""
        self._stopped = True
        if self._restarting is not None:
            self._restarting.cancel()
        self._close(broken=False)
        tasks = [task for task in self._state.tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._backend.close()

    def restart(self, outage_seconds: float, *, forget: bool) -> None:
        """Drop every connection, refuse new ones for a while, and come back with fresh counters.

        The cluster continues: it is on other machines. What it reports during the outage arrives after
        it. With `forget` the database is lost, and with it all that the cluster did.
        """
        if self._restarting is not None and not self._restarting.done():
            return
        self._close(broken=True)
        current = asyncio.current_task()
        for task in self._state.tasks:
            if task is not current:
                task.cancel()
        lifecycle.went_down(self._backend, forget=forget)
        self._restarting = asyncio.get_running_loop().create_task(self._come_back(outage_seconds))

    async def _come_back(self, outage_seconds: float) -> None:
        await asyncio.sleep(outage_seconds)
        try:
            self._listener = open_socket(self._address[0], self._address[1])
        except OSError as error:
            _log.error("cannot listen again after the restart: %s", error)
            return
        await self.start()
        lifecycle.came_up(self._backend)

    def _close(self, *, broken: bool) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._state.connections):
            transport = connection.transport
            if broken:
                reset(transport)
            else:
                transport.close()
