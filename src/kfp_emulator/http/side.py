"""A port of the emulator beside that of the API server: it stays open through the API server's restarts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.server import ServerState

from kfp_emulator.http.server import listen, url_of

if TYPE_CHECKING:
    import socket
    import ssl

    from kfp_emulator.http.listener import Listener


class SidePort:
    """Serves an ASGI application on a bound socket, which it closes; with `tls` by TLS."""

    def __init__(self, app: Any, bound: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self._app = app
        self._bound = bound
        self._tls = tls
        self._state = ServerState()
        self._listener: Listener | None = None
        self.url = url_of(bound, "http" if tls is None else "https")

    def start(self) -> None:
        """Accept connections."""
        self._listener = listen(self._app, self._bound, self._state, self._tls)

    async def stop(self) -> None:
        """Close the port and all its connections."""
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._state.connections):
            connection.transport.close()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
