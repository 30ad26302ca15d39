"""One connection of HTTP/1.1 (RFC 9112): a request is written at a known moment, and its answer read to its end.

httptools parses; what is done here is the least that a measurement needs, since what a general HTTP client does
beside it (cookies, redirects, decompression, repetition) costs several times what it would measure.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, NamedTuple, cast

import httptools

if TYPE_CHECKING:
    from kfp_perf.client.attempt import Attempt

LARGEST_ANSWER_BYTES = 64 * 2**20
#: What is written in one go. A larger body goes in pieces, so that encrypting it keeps the event loop free.
PIECE_BYTES = 2**18

# Linux reports a peer that has closed its side under this name; elsewhere POLLHUP, always on, has to do.
_PEER_CLOSED = getattr(select, "POLLRDHUP", 0)


class AnswerTooLarge(Exception):
    """The answer is larger than any that KFP gives, and was not read to its end."""


class AnswerCut(Exception):
    """The connection ended in the middle of the answer's body."""


class NotHttp(Exception):
    """What came is not HTTP/1.1."""


class Reply(NamedTuple):
    """An answer's fields, by name in lower case, and its body."""

    fields: dict[bytes, bytes]
    content: bytes

    def field(self, name: str) -> str:
        """The value of a field; empty where there is none."""
        return self.fields.get(name.lower().encode(), b"").decode("latin-1")


class Connection(asyncio.Protocol):
    """A connection that is made; one exchange at a time.

    `reusable`: another request may follow the one under way. `idle_since` is the pool's. `lost` is done when it is
    closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self.lost = loop.create_future()
        self._loop = loop
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._attempt: Attempt
        self._reply: asyncio.Future[Reply] | None = None
        self._fields: dict[bytes, bytes] = {}
        self._blocks: list[bytes] = []
        self._received = 0
        self._room: asyncio.Future[None] | None = None

    async def exchange(self, attempt: Attempt, head: bytes, body: bytes, timeout_seconds: float) -> Reply:
        """Write a request and read its answer; fills in `sent`, `status`, `ended` and `received_bytes`.

        Raises TimeoutError, `AnswerTooLarge`, `AnswerCut`, `NotHttp`, and OSError where the connection was lost
        before the answer began; `attempt.sent` is 0.0 where nothing had been written. The connection is closed
        then.
        """
        if not self.usable(certain=False):
            self.reusable = False
            raise ConnectionResetError
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

    def usable(self, *, certain: bool) -> bool:
        """Whether a request may be written. `certain`: the kernel is asked, too, whether the server has closed.

        The event loop may not have heard of that yet. What is written then is lost, and nobody can say whether it
        was done.
        """
        if not self.reusable or self._transport.is_closing():
            return False
        if not certain:
            return True
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), _PEER_CLOSED)
        return not poll.poll(0)

    def close(self) -> None:
        """Close in good order; `lost` tells when that is done."""
        self.reusable = False
        self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self.reusable = False
        self._transport.abort()

    async def _write_pieces(self, body: memoryview, reply: asyncio.Future[Reply]) -> None:
        """Write a large body as fast as it leaves, until the answer is there: some servers refuse early."""
        for start in range(0, len(body), PIECE_BYTES):
            while self._room is not None:
                await self._room
            if reply.done():
                self.reusable = False
                return
            self._transport.write(body[start : start + PIECE_BYTES])
            await asyncio.sleep(0)

    def _settle(self, reply: Reply) -> None:
        if self._reply is not None and not self._reply.done():
            self._attempt.ended = self._attempt.now()
            self._attempt.received_bytes = len(reply.content)
            self._reply.set_result(reply)
            self._make_room()

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
            self._make_room()

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    # called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be told by the event loop that the connection is there."""
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        """Be told that what was written has not left yet."""
        if self._room is None:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Be told that it has."""
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take in what the server says."""
        if self._reply is None or self._reply.done():
            self.abort()  # nobody asked
            return
        self._received += len(data)
        if self._received > LARGEST_ANSWER_BYTES:
            self._fail(AnswerTooLarge())
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(NotHttp(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        """End an answer, or a request whose answer did not come."""
        if self._ends_with_connection():
            self._settle(Reply(self._fields, b"".join(self._blocks)))
        elif self._reply is not None and self._attempt.status:
            self._fail(AnswerCut())
        else:
            self._fail(exc if isinstance(exc, OSError) else ConnectionResetError())
        self.reusable = False
        self.lost.set_result(None)

    def _ends_with_connection(self) -> bool:
        """Whether nothing but the end of the connection tells where the body ends (RFC 9112, section 6.3)."""
        told = b"content-length" in self._fields or b"transfer-encoding" in self._fields
        return self._reply is not None and bool(self._attempt.status) and not told

    # called by the parser

    def on_message_begin(self) -> None:
        """Forget the message before."""
        if self._reply is None or self._reply.done():
            self.reusable = False  # a second answer to one request
        self._fields = {}
        self._blocks = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a field, before or after the body."""
        self._fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Take in the status."""
        status = self._parser.get_status_code()
        if status >= 200:  # others are said before the answer
            self._attempt.status = status

    def on_body(self, block: bytes) -> None:
        """Take in some of the body."""
        self._blocks.append(block)

    def on_message_complete(self) -> None:
        """Hand the answer over, if it is one."""
        if self._attempt.status:
            blocks = self._blocks
            self.reusable = self.reusable and self._parser.should_keep_alive()
            self._settle(Reply(self._fields, blocks[0] if len(blocks) == 1 else b"".join(blocks)))
