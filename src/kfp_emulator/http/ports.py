"""The ports of the emulator beside that of the API server, and the URLs that its ready line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_emulator.http.kubernetes_app import KubernetesApp
from kfp_emulator.http.metrics_app import SCHEDULE_PATH, WORKFLOW_PATH, ControllerMetricsApp
from kfp_emulator.http.side import SidePort

if TYPE_CHECKING:
    import socket
    import ssl

    from kfp_emulator.server.state import Backend


class SidePorts:
    """The further ports of one emulator; a socket that is None is a port that there is not.

    Args:
        backend: what is served.
        kubernetes: the socket of the Kubernetes API.
        metrics: the socket of the controllers' metrics.
        tls: with which the metrics are served, None without.

    """

    def __init__(
        self,
        backend: Backend,
        kubernetes: socket.socket | None,
        metrics: socket.socket | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._ports: list[SidePort] = []
        self.urls: dict[str, str] = {}
        """What is where: `kubernetes_url`, `controller_metrics_url`, `schedule_metrics_url`."""
        if kubernetes is not None:
            port = SidePort(KubernetesApp(backend), kubernetes)
            self._ports.append(port)
            self.urls["kubernetes_url"] = port.url
        if metrics is not None:
            port = SidePort(ControllerMetricsApp(backend), metrics, tls)
            self._ports.append(port)
            self.urls["controller_metrics_url"] = port.url + WORKFLOW_PATH
            self.urls["schedule_metrics_url"] = port.url + SCHEDULE_PATH

    def start(self) -> None:
        """Accept connections."""
        for port in self._ports:
            port.start()

    async def stop(self) -> None:
        """Close all of them."""
        for port in self._ports:
            await port.stop()
