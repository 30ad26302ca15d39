"""The controllers' metrics as an ASGI application, on a port of its own: Argo's at /metrics, KFP's beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_emulator.http.injection import TRANSPORT, Disconnected, begin_injection, reset
from kfp_emulator.http.kubernetes_app import send_answer
from kfp_emulator.kubernetes.controller_metrics import SCHEDULE_CONTROLLER, WORKFLOW_CONTROLLER
from kfp_emulator.protocol.errors import Answer, plain_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from kfp_emulator.server.state import Backend

WORKFLOW_PATH = "/metrics"
SCHEDULE_PATH = "/scheduledworkflow/metrics"
_HEADER = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8; escaping=underscores")


class ControllerMetricsApp:
    """The ASGI application of one installation's controllers."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        metrics = backend.kubernetes.metrics
        self._pages = {
            WORKFLOW_PATH: (WORKFLOW_CONTROLLER, metrics.workflow_controller),
            SCHEDULE_PATH: (SCHEDULE_CONTROLLER, metrics.schedule_controller),
        }

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        page = self._pages.get(scope["path"])
        if page is None:
            await send_answer(send, plain_answer(404, "404 page not found"), None)
            return
        component, write = page
        transport = scope.get(TRANSPORT)
        if self._backend.kubernetes.components.life(component).since is None and transport is not None:
            reset(transport)  # its process is down
            return
        try:
            injection = await begin_injection(self._backend, scope, component, "controller_metrics")
            answer = injection.refusal() if injection else None
            if answer is None:
                answer = Answer(200, write().encode(), (_HEADER,))
            if injection is not None:
                answer = await injection.after(answer)
            await send_answer(send, answer, injection)
        except Disconnected:
            return
