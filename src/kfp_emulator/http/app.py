"""The server as an ASGI application: find the operation, apply faults, answer, count.

A router of our own and answers built by hand: Starlette's cost more than a whole GetRun.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime
from email.utils import format_datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kfp_emulator.http.injection import Disconnected, begin_injection
from kfp_emulator.http.router import Moved, NotFound, Router
from kfp_emulator.http.routes import API_ROUTES, ROUTES
from kfp_emulator.protocol.call import Call
from kfp_emulator.protocol.errors import (
    Answer,
    ApiFault,
    Code,
    GatewayRefusal,
    fault_answer,
    plain_answer,
    refusal_answer,
)
from kfp_emulator.server.read_times import read_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping

    from kfp_emulator.http.injection import Injection
    from kfp_emulator.http.router import Route
    from kfp_emulator.server.faults import Target
    from kfp_emulator.server.state import Backend

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 40 << 20
"""More than the largest package that is accepted; beyond it the answer is 413, and the rest is read away."""
BUFFERED_BYTES = 2048
"""Go's net/http announces the length of an answer that fits its buffer; a longer one is sent in chunks."""
CODE_NAMES = {
    Code.UNKNOWN: "Unknown",
    Code.INVALID_ARGUMENT: "InvalidArgument",
    Code.DEADLINE_EXCEEDED: "DeadlineExceeded",
    Code.NOT_FOUND: "NotFound",
    Code.ALREADY_EXISTS: "AlreadyExists",
    Code.PERMISSION_DENIED: "PermissionDenied",
    Code.RESOURCE_EXHAUSTED: "ResourceExhausted",
    Code.FAILED_PRECONDITION: "FailedPrecondition",
    Code.ABORTED: "Aborted",
    Code.UNIMPLEMENTED: "Unimplemented",
    Code.INTERNAL: "Internal",
    Code.UNAVAILABLE: "Unavailable",
    Code.UNAUTHENTICATED: "Unauthenticated",
}

_CODE_NAMES_OF_UPLOADS = {400: "InvalidArgument", 409: "AlreadyExists", 500: "Internal"}

_log = logging.getLogger("kfp_emulator")
_TARGETS: dict[str, Target] = {**{route.operation: "api" for route in API_ROUTES}, "Metrics": "metrics"}
"""What faults may meet: the API, and the page of metrics; never the emulator's own API."""


class App:
    """The ASGI application of one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._router = Router(ROUTES)
        self._metrics = backend.metrics
        self._faults = backend.faults
        self._store = backend.store
        self._date_second = 0
        self._date = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        injection = None
        try:
            try:
                route, parameters = self._router.find(scope["method"], scope["path"])
                if self._faults.on_requests and route.operation in _TARGETS:
                    target = _TARGETS[route.operation]
                    injection = await begin_injection(self._backend, scope, route.operation, target)
                answer = injection.refusal() if injection else None
                if answer is None:
                    body = await read_body(receive) if scope["method"] != "GET" else b""
                    answer = await self._handle(route, parameters, scope, body)
            except GatewayRefusal as refusal:
                answer = refusal_answer(refusal)
            except Moved as moved:
                answer = _moved(moved.location, scope["query_string"])
            except NotFound:
                answer = plain_answer(404, "404 page not found")
            if injection is not None:
                answer = await injection.after(answer)
            if isinstance(answer, Answer):
                await self._send(send, answer, scope["method"], injection)
            else:
                await self._stream(send, answer)
        except Disconnected:
            return

    async def _handle(self, route: Route, parameters: dict[str, str], scope: Scope, body: bytes) -> Any:
        operation = route.operation
        call = Call(operation, parameters, scope["query_string"], scope["headers"], body)
        self._metrics.started(operation)
        start = perf_counter()
        code = "OK"
        try:
            answer = await route.handler(self._backend, call)
            if self._backend.read_times and isinstance(answer, Answer):
                await asyncio.sleep(read_seconds(self._backend, call, answer.body))
        except ApiFault as fault:
            code = CODE_NAMES[fault.code]
            return fault_answer(fault, with_error_field=self._backend.identity.error_field)
        except GatewayRefusal:
            code = "InvalidArgument"
            raise
        except (sqlite3.Error, UnicodeEncodeError) as error:
            # What SQLite cannot store (a lone surrogate, a full disk) is an internal error of a real server, too.
            code = "Internal"
            _log.warning("%s: %s", operation, error)
            return fault_answer(
                ApiFault(Code.INTERNAL, "Internal Server Error", f"InternalServerError: {error}")
            )
        except Exception:  # noqa: BLE001  a defect here must not break the connection
            code = "Unknown"
            _log.exception("%s failed: this is a fault of the emulator", operation)
            return fault_answer(
                ApiFault(Code.UNKNOWN, "Internal Server Error", "the emulator failed: see its log")
            )
        else:
            if isinstance(answer, Answer) and answer.status >= 400:  # uploads write their faults themselves
                code = _CODE_NAMES_OF_UPLOADS.get(answer.status, "Unknown")
            return answer
        finally:
            self._metrics.handled(operation, code, perf_counter() - start)

    async def _send(self, send: Send, answer: Answer, method: str, injection: Injection | None) -> None:
        # What was answered must survive the process, so everything written is committed before.
        self._store.commit()
        body = answer.body
        headers = [*answer.headers, (b"date", self._now())]
        if len(body) <= BUFFERED_BYTES or method == "HEAD":
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if injection is not None and injection.cuts_body:
            await injection.send_part(send, body)
            return
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _stream(self, send: Send, lines: AsyncIterator[bytes]) -> None:
        self._store.commit()
        headers = [(b"content-type", b"application/x-ndjson"), (b"date", self._now())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for line in lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _now(self) -> bytes:
        """Write the server's own clock for the Date header; only the same second's text is used again."""
        second = self._backend.seconds()
        if second != self._date_second:
            self._date_second = second
            self._date = format_datetime(datetime.fromtimestamp(second, UTC), usegmt=True).encode()
        return self._date


def _moved(path: str, query: bytes) -> Answer:
    location = quote(path, safe="/:@!$&'()*+,;=~") + ("?" + query.decode("latin-1") if query else "")
    return Answer(301, b"", ((b"location", location.encode("latin-1")),))


async def read_body(receive: Receive) -> bytes:
    """Return the body of a request.

    Raises:
        Disconnected: the client has gone.
        GatewayRefusal: 413, it is longer than MAX_BODY_BYTES.

    """
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise Disconnected
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise GatewayRefusal(Code.RESOURCE_EXHAUSTED, "http: request body too large", 413)
    return b"".join(parts)
