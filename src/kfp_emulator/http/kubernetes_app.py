"""The Kubernetes API as an ASGI application, on a port of its own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from kfp_emulator.http.app import read_body
from kfp_emulator.http.injection import TRANSPORT, Disconnected, begin_injection, reset
from kfp_emulator.kubernetes.api import Document, KubernetesApi, Request
from kfp_emulator.kubernetes.failures import Refusal
from kfp_emulator.kubernetes.watches import Watch
from kfp_emulator.protocol.errors import JSON_HEADER, TEXT_HEADER, Answer, GatewayRefusal
from kfp_emulator.server.faults import CutWatch, ExpireWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping

    from kfp_emulator.http.injection import Injection
    from kfp_emulator.server.faults import RequestEffect
    from kfp_emulator.server.state import Backend

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger("kfp_emulator")
_DEFECT = Refusal(500, "InternalError", "the emulator failed: see its log")


class KubernetesApp:
    """The ASGI application of one installation."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._api = KubernetesApi(backend.kubernetes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            await self._serve(scope, receive, send)
        except Disconnected:
            return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope)
        injection = await begin_injection(self._backend, scope, self._api.operation(request), "kubernetes")
        answer: Answer | Watch | AsyncIterator[bytes] | None = injection.refusal() if injection else None
        if answer is None:
            answer = await self._answer(request, receive)
        if injection is not None:
            answer = await injection.after(answer)
        if isinstance(answer, Answer):
            await send_answer(send, answer, injection)
        elif isinstance(answer, Watch):
            await self._watch(scope, receive, send, answer, injection.effects if injection else ())
        else:
            await _stream(receive, send, answer)

    async def _answer(self, request: Request, receive: Receive) -> Answer | Watch | AsyncIterator[bytes]:
        try:
            if request.method != "GET":
                request = _with_body(request, await read_body(receive))
            found = self._api.answer(request)
        except Refusal as refusal:
            return _refused(refusal)
        except GatewayRefusal as refusal:
            return _refused(Refusal(413, "RequestEntityTooLarge", refusal.message))
        except Exception:  # noqa: BLE001  a defect here must not break the connection
            _log.exception("%s failed: this is a fault of the emulator", request.path)
            return _refused(_DEFECT)
        if not isinstance(found, Document):
            return found
        if found.text:
            return Answer(found.status, str(found.document).encode(), (TEXT_HEADER,))
        return Answer(found.status, msgspec.json.encode(found.document), (JSON_HEADER,))

    async def _watch(
        self, scope: Scope, receive: Receive, send: Send, watch: Watch, effects: Iterable[RequestEffect]
    ) -> None:
        """Send a watch until it ends, its client goes, or a fault ends it."""
        loop = asyncio.get_running_loop()
        transport = scope.get(TRANSPORT)
        timers = []
        for effect in effects:
            if isinstance(effect, ExpireWatch):
                timers.append(loop.call_later(effect.seconds, watch.expire))
            elif isinstance(effect, CutWatch):
                timers.append(loop.call_later(effect.seconds, _cut, watch, transport, effect))
        try:
            await _stream(receive, send, watch.lines(), watch.close)
        finally:
            for timer in timers:
                timer.cancel()


def _cut(watch: Watch, transport: asyncio.Transport | None, effect: CutWatch) -> None:
    watch.close()
    if effect.reset and transport is not None:
        reset(transport)


def _request(scope: Scope) -> Request:
    headers = dict(scope["headers"])
    query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    return Request(
        scope["method"], scope["path"], query, headers.get(b"authorization", b"").decode("latin-1")
    )


def _with_body(request: Request, body: bytes) -> Request:
    return Request(request.method, request.path, request.query, request.authorization, body)


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.code, msgspec.json.encode(refusal.document), (JSON_HEADER,))


async def send_answer(send: Send, answer: Answer, injection: Injection | None) -> None:
    """Send an answer, or as much of it as a fault lets through."""
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if injection is not None and injection.cuts_body:
        await injection.send_part(send, answer.body)
        return
    await send({"type": "http.response.body", "body": answer.body})


async def _stream(
    receive: Receive, send: Send, parts: AsyncIterator[bytes], gone: Callable[[], None] | None = None
) -> None:
    """Send parts until there are no more, or the client has gone; `gone` is called then, so that waiting ends."""
    disconnected = asyncio.Event()

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected.set()
        if gone is not None:
            gone()

    listening = asyncio.get_running_loop().create_task(listen())
    try:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON_HEADER]})
        # A watch shows its headers before anything has changed.
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for part in parts:
            if disconnected.is_set():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        listening.cancel()
