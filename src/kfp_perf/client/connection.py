"""One connection of HTTP/1.1 (RFC 9112): writes a request at a known time, and reads its response to the end.

httptools parses. Only what a measurement needs is done here: the other work of a general HTTP client (cookies,
redirects, decompression, retries) would cost several times as much CPU.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, NamedTuple, cast

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_ANSWER_BYTES = 64 * 2**20
#: How much of a response is kept to recognize its protocol, if it is not HTTP.
OPENING_BYTES = 32
#: The most that is written at once: encrypting a larger body would block the event loop.
PIECE_BYTES = 2**18

# Linux reports a closed peer under this name; other systems only by POLLHUP, which is always reported.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)


class AnswerTooLarge(Exception):
    """The response is larger than any of KFP's, and was not read to its end."""


class AnswerCut(Exception):
    """The connection ended before the end of the response's body."""


class NotHttp(Exception):
    """The response is not HTTP/1.1: `reason` is the parser's, `opening` are the first bytes."""

    def __init__(self, reason: str, opening: bytes) -> None:
        super().__init__(reason)
        self.reason = reason
        self.opening = opening


class Reply(NamedTuple):
    """A response: header fields by name in lower case, and the body."""

    fields: dict[bytes, bytes]
    content: bytes

    def field(self, name: str) -> str:
        """Return the value of a field; empty if there is none."""
        return self.fields.get(name.lower().encode(), b"").decode("latin-1")


class AttemptState:
    """One attempt while it is under way.

    `sent`, `ended`, `status` and `received_bytes` are as in `Attempt`; `retry_after` is the text of the answer's
    Retry-After header; `queued_at` is since when it waited for a connection (0.0: it did not).
    """

    __slots__ = ("ended", "now", "queued_at", "received_bytes", "retry_after", "sent", "status")

    def __init__(self, now: Callable[[], float]) -> None:
        self.sent = 0.0
        self.ended = 0.0
        self.status = 0
        self.received_bytes = 0
        self.retry_after = ""
        self.now = now
        self.queued_at = 0.0


class Connection(asyncio.Protocol):
    """An open connection, for one exchange at a time.

    `idle_since` is the pool's. `lost` is done when it is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since = 0.0
        self.lost = loop.create_future()
        self._loop = loop
        self._transport: asyncio.Transport
        self._spent = False
        self._silence = select.poll()
        self._parser = httptools.HttpResponseParser(self)
        self._attempt: AttemptState
        self._reply: asyncio.Future[Reply] | None = None
        self._fields: dict[bytes, bytes] = {}
        self._blocks: list[bytes] = []
        self._received = 0
        self._opening = b""
        self._room: asyncio.Future[None] | None = None

    async def exchange(
        self, attempt: AttemptState, head: bytes, body: bytes, timeout_seconds: float
    ) -> Reply:
        """Write a request and read its answer; fills in `sent`, `status`, `ended` and `received_bytes`.

        Raises TimeoutError, `AnswerTooLarge`, `AnswerCut`, `NotHttp`, and OSError where the connection was lost
        before the answer began; `attempt.sent` is 0.0 where nothing had been written. The connection is closed
        then.
        """
        if not self.reusable:
            raise ConnectionResetError
        if timeout_seconds <= 0:
            raise TimeoutError
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._reply = reply
        self._attempt = attempt
        self._received = 0
        timer = self._loop.call_later(timeout_seconds, self._fail, TimeoutError())
        attempt.sent = attempt.now()
        try:
            if len(body) <= PIECE_BYTES:
                self._transport.write(head + body)
            else:
                self._transport.write(head)
                await self._write_pieces(memoryview(body), reply)
            return await reply
        except BaseException:
            reply.cancel()
            self.abort()
            raise
        finally:
            timer.cancel()
            self._reply = None

    @property
    def reusable(self) -> bool:
        """Whether a request may follow the one before."""
        return not (self._spent or self._transport.is_closing())

    def is_silent(self) -> bool:
        """Whether the server has neither closed an idle connection nor sent anything, by the state of its socket.

        The event loop may not have noticed yet. What is written after the close is lost, and whether it was done is
        unknown; what was sent before is no answer to what is written now.
        """
        return not self._silence.poll(0)

    def abort(self) -> None:
        """Close at once, whatever is under way; `lost` is set when that is done."""
        self._spent = True
        self._transport.abort()

    async def _write_pieces(self, body: memoryview, reply: asyncio.Future[Reply]) -> None:
        """Write a large body in pieces, and stop when the response is there: some servers refuse early."""
        for start in range(0, len(body), PIECE_BYTES):
            while self._room is not None:
                await self._room
            if reply.done():
                self._spent = True
                return
            self._transport.write(body[start : start + PIECE_BYTES])
            await asyncio.sleep(0)

    def _settle(self) -> None:
        """Complete the exchange with what was read, if one is under way."""
        if self._reply is not None and not self._reply.done():
            content = self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks)
            self._attempt.ended = self._attempt.now()
            self._attempt.received_bytes = len(content)
            self._reply.set_result(Reply(self._fields, content))
            self._make_room()

    def _fail(self, error: Exception) -> None:
        self._spent = True
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
            self._make_room()

    def _finish(self, error: Exception | None) -> None:
        """Complete or fail the exchange under way: no more data will come."""
        self._spent = True
        if self._reply is None or self._reply.done():
            return
        if not self._attempt.status:
            self._fail(error if isinstance(error, OSError) else ConnectionResetError())
        elif error is None and self._ends_with_connection():
            self._settle()
        else:
            self._fail(AnswerCut())

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)
        # Under TLS a server may send data at any time, such as session tickets.
        events = _PEER_CLOSED if transport.get_extra_info("sslcontext") else _PEER_CLOSED | select.POLLIN
        self._silence.register(transport.get_extra_info("socket").fileno(), events)

    def pause_writing(self) -> None:
        """Stop writing: the send buffer is full."""
        if self._room is None:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Parse data of the server."""
        if self._reply is None or self._reply.done():
            self.abort()  # no request is under way
            return
        if not self._received:
            self._opening = data[:OPENING_BYTES]
        self._received += len(data)
        if self._received > LARGEST_ANSWER_BYTES:
            self._fail(AnswerTooLarge())
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(NotHttp(str(error), self._opening))

    def eof_received(self) -> None:
        """End the exchange under way, even if some of the request is unsent."""
        self._finish(None)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange under way."""
        self._finish(exc)
        self.lost.set_result(None)

    def _ends_with_connection(self) -> bool:
        """Whether the body ends with the connection (RFC 9112, section 6.3)."""
        is_chunked = self._fields.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
        return not is_chunked and b"content-length" not in self._fields

    # called by the parser

    def on_message_begin(self) -> None:
        """Start a new message; a completed one that waits for its reader keeps its own values."""
        self._fields = {}
        self._blocks = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header field; trailer fields are ignored."""
        if not self._attempt.status:
            self._fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Store the status."""
        status = self._parser.get_status_code()
        if self._reply is None or self._reply.done():
            self._spent = True  # a second answer to one request
        elif status >= 200:  # informational responses come before the final one
            self._attempt.status = status
        elif status < 100:
            self._fail(NotHttp(f"{status} is no status", self._opening))

    def on_body(self, block: bytes) -> None:
        """Store a part of the body."""
        self._blocks.append(block)

    def on_message_complete(self) -> None:
        """Complete the exchange, unless the response was informational."""
        if not self._attempt.status:
            return
        # After an early response some of the request may be unsent.
        if not self._parser.should_keep_alive() or self._transport.get_write_buffer_size():
            self._spent = True
        self._settle()
