"""Faults applied to one request: delays, error answers, and broken connections."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

from kfp_emulator.http.false_values import falsify
from kfp_emulator.pipelines.ir import BROKEN_YAML
from kfp_emulator.protocol.errors import (
    GATEWAY_HEADERS,
    HTTP_STATUS,
    JSON_HEADER,
    Answer,
    ApiFault,
    Code,
    fault_answer,
)
from kfp_emulator.server.faults import (
    BrokenYaml,
    FalseValues,
    Garbage,
    Latency,
    Reset,
    Restart,
    Stall,
    Status,
    Truncate,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, MutableMapping

    from kfp_emulator.server.faults import RequestEffect, Target
    from kfp_emulator.server.state import Backend

TRANSPORT = "kfp_emulator.transport"
"""The key under which the server puts the connection's transport into the scope."""

_HTML = (
    "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1>"
    "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_CODES = {status: Code(code) for code, status in reversed(HTTP_STATUS.items())}
_RESET = struct.pack("ii", 1, 0)


class Disconnected(Exception):
    """The connection is gone: there is nothing left to answer."""


class Injection:
    """The faults of one request, in the order of their rules."""

    def __init__(
        self,
        backend: Backend,
        effects: list[tuple[RequestEffect, random.Random]],
        scope: MutableMapping[str, Any],
    ) -> None:
        self._backend = backend
        self._effects = effects
        self.effects = tuple(effect for effect, _ in effects)
        self._transport: asyncio.Transport | None = scope.get(TRANSPORT)
        self._cut: Stall | Truncate | None = next(
            (effect for effect, _ in effects if isinstance(effect, (Stall, Truncate))), None
        )

    @property
    def cuts_body(self) -> bool:
        """Whether the answer's body will not arrive whole."""
        return self._cut is not None

    async def before(self) -> None:
        """Do what comes before the work.

        Raises:
            Disconnected: the connection was broken.

        """
        for effect, rng in self._effects:
            if isinstance(effect, Latency) and effect.when == "before":
                await asyncio.sleep(effect.delay.draw(rng))
            elif isinstance(effect, Reset) and effect.when == "before":
                self._reset()
            elif isinstance(effect, Restart):
                self._backend.restart(effect.outage_seconds, forget=effect.forget)
                self._reset()

    def refusal(self) -> Answer | None:
        """Return the answer that stands in for the work, if there is one."""
        return next(
            (
                _status_answer(effect)
                for effect, _ in self._effects
                if isinstance(effect, Status) and effect.when == "before"
            ),
            None,
        )

    async def after(self, answer: Any) -> Any:
        """Do what comes after the work, and return the answer that is sent.

        Raises:
            Disconnected: the connection was broken.

        """
        self._backend.store.commit()
        for effect, rng in self._effects:
            if isinstance(effect, Latency) and effect.when == "after":
                await asyncio.sleep(effect.delay.draw(rng))
            elif isinstance(effect, Reset) and effect.when == "after":
                self._reset()
            elif isinstance(effect, Status) and effect.when == "after":
                answer = _status_answer(effect)
            elif isinstance(effect, BrokenYaml) and isinstance(answer, Answer):
                if answer.status == 400 and BROKEN_YAML.encode() in answer.body:
                    await asyncio.Event().wait()
            elif isinstance(effect, Garbage):
                own = ((b"content-type", effect.content_type.encode("latin-1", "replace")),)
                headers = own if effect.content_type else GATEWAY_HEADERS
                answer = Answer(200, effect.text.encode(), headers)
            elif isinstance(effect, FalseValues) and isinstance(answer, Answer):
                body = falsify(answer.body.decode(), effect, rng)
                answer = Answer(answer.status, body.encode(), answer.headers)
        return answer

    async def send_part(self, send: Callable[[dict[str, Any]], Awaitable[None]], body: bytes) -> None:
        """Send a part of the body, and then stall or close."""
        cut = self._cut
        share = cut.share if isinstance(cut, Truncate) else 0.5
        part = body[: int(len(body) * share)]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        if isinstance(cut, Stall):
            if cut.seconds is None:
                await asyncio.Event().wait()
            await asyncio.sleep(cut.seconds or 0.0)
            await send({"type": "http.response.body", "body": body[len(part) :]})
        elif self._transport is not None:
            self._transport.close()
        raise Disconnected

    def _reset(self) -> None:
        if self._transport is not None:
            reset(self._transport)
        raise Disconnected


async def begin_injection(
    backend: Backend, scope: MutableMapping[str, Any], operation: str, target: Target
) -> Injection | None:
    """Return the faults of a request, after what comes before its work; None where there are none.

    Raises:
        Disconnected: the connection was broken.

    """
    if not backend.faults.on_requests:
        return None
    effects = backend.faults.for_request(operation, scope["path"], backend.clock.now(), target)
    if not effects:
        return None
    injection = Injection(backend, effects, scope)
    await injection.before()
    return injection


def reset(transport: asyncio.Transport) -> None:
    """Break a connection with a RST, as a process that dies does."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def _status_answer(effect: Status) -> Answer:
    reason = effect.message or _REASONS.get(effect.status, "Error")
    if effect.body == "kfp":
        code = _CODES.get(effect.status, Code.UNKNOWN)
        shaped = fault_answer(ApiFault(code, reason, reason))
        answer = Answer(effect.status, shaped.body, shaped.headers)
    elif effect.body == "html":
        text = _HTML.format(status=effect.status, reason=reason)
        answer = Answer(effect.status, text.encode(), ((b"content-type", b"text/html"),))
    else:
        answer = Answer(effect.status, b"", (JSON_HEADER,))
    if effect.retry_after:
        return answer.with_headers((b"retry-after", effect.retry_after.encode("latin-1", "replace")))
    return answer


_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Time-out",
}
