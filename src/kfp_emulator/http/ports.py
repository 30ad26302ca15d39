"""The ports of the emulator beside that of the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.http.kubernetes_app import KubernetesApp
from kfp_emulator.http.side import SidePort

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from kfp_emulator.server.state import Backend


def side_ports(backend: Backend, sockets: Mapping[str, socket.socket]) -> dict[str, SidePort]:
    """Return the servers of the sockets, by the names that the ready line gives their URLs."""
    ports = {}
    if "kubernetes_url" in sockets and backend.kubernetes is not None:
        app = KubernetesApp(backend, backend.kubernetes)
        ports["kubernetes_url"] = SidePort(app, sockets["kubernetes_url"])
    return ports


__all__ = ["side_ports"]
