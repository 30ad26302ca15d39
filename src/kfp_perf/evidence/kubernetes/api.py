"""The API of a cluster: single reads, and watches as streams of lines.

A watch is a response without an end, which asyncio's streams read with httptools: a pod of 14 KB costs 70 us,
decoded. With httpx and with lightkube it costs 200 us, and 10 MB of packages.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import httptools
import msgspec

from kfp_perf._version import __version__
from kfp_perf.client.pool import Addresses
from kfp_perf.client.proxy import open_tunnel
from kfp_perf.evidence.kubernetes.access import Identity

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Mapping

    from kfp_perf.evidence.kubernetes.access import Access

_Decoded = TypeVar("_Decoded")

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_PIECE_BYTES = 2**18
_BATCH_SECONDS = 0.1
_LARGE_BLOCK_BYTES = 2**17
_LARGEST_BYTES = 64 * 2**20
_DEFAULT_PORTS = {"http": 80, "https": 443}


class ApiFault(Exception):
    """A request to the API failed: why, the HTTP status (0: no answer), and after how long to repeat it."""

    def __init__(self, why: str, status: int = 0, retry_after_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class CutShort(ApiFault):
    """The connection ended before the answer did."""


class _Refusal(msgspec.Struct):
    """The answer of Kubernetes to what it refuses: an object of the kind Status."""

    code: int = 0
    reason: str = ""
    message: str = ""


_refusal_decoder = msgspec.json.Decoder(_Refusal)


class Answer:
    """A response that is being read: `status` and `fields` (names in lower case) after `begin`, then its body."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.Transport) -> None:
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self._reader = reader
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)
        self._blocks: list[bytes] = []
        self._complete = False
        self._delimited = False

    async def begin(self) -> None:
        """Read the head. Raises `ApiFault` for what is not HTTP, and OSError."""
        while not self.status:
            await self._read()

    async def block(self) -> bytes:
        """The next part of the body; empty at its end. Raises `ApiFault` where it is cut, and OSError."""
        while not self._blocks:
            if self._complete:
                return b""
            await self._read()
        block = self._blocks[0] if len(self._blocks) == 1 else b"".join(self._blocks)
        self._blocks = []
        return block

    async def pause(self, seconds: float) -> None:
        """Leave what comes to the kernel for so long."""
        self._transport.pause_reading()
        await asyncio.sleep(seconds)
        self._transport.resume_reading()

    async def _read(self) -> None:
        data = await self._reader.read(_PIECE_BYTES)
        if not data:
            if self.status and not self._delimited:
                self._complete = True
                return
            raise CutShort("the connection was cut")
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise ApiFault("what answered is not HTTP") from None

    # called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header field."""
        self.fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Store the status."""
        self.status = self._parser.get_status_code()
        self._delimited = b"content-length" in self.fields or b"transfer-encoding" in self.fields

    def on_body(self, block: bytes) -> None:
        """Store a part of the body."""
        self._blocks.append(block)

    def on_message_complete(self) -> None:
        """Note the end of the body."""
        self._complete = True


class KubernetesApi:
    """Reads from the API of one cluster, each time over a new connection.

    Every method raises `ApiFault` where there is no answer or no good one, and `NoAccess` where credentials or
    certificates cannot be used. A request that is refused as unauthorized is repeated once with new credentials.
    What a watch sends within `batch_seconds` is read at once, which halves the cost.
    """

    def __init__(self, access: Access, batch_seconds: float = _BATCH_SECONDS) -> None:
        self.access = access
        self._batch_seconds = batch_seconds
        parts = urlsplit(access.server)
        self._host = parts.hostname or ""
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._secure = parts.scheme == "https"
        self._path = quote(parts.path, safe="/%")
        name = f"[{self._host}]" if ":" in self._host else self._host
        self._authority = f"{name}:{self._port}"
        proxy = access.proxy
        if proxy is not None and not self._secure:
            self._path = f"http://{self._authority}{self._path}"
        self._addresses = Addresses(*((proxy.host, proxy.port) if proxy else (self._host, self._port)))
        self._tls: tuple[Identity, ssl.SSLContext | None] | None = None

    async def get(
        self, path: str, decoder: msgspec.json.Decoder[_Decoded], query: Mapping[str, str | int] | None = None
    ) -> _Decoded:
        """Read one document."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS), self._request(path, query or {}) as answer:
                return decoder.decode(await _whole(answer))
        except TimeoutError:
            raise ApiFault(f"no answer within {_ANSWER_SECONDS:.0f} s") from None
        except msgspec.DecodeError as error:
            raise ApiFault(f"the answer cannot be read: {error}") from None

    async def lines(
        self, path: str, query: Mapping[str, str | int], silence_seconds: float
    ) -> AsyncIterator[list[bytes]]:
        """Read the lines of a watch as they come, until the server ends it, it is cut, or silent for so long.

        Close the iterator where it is not read to its end.
        """
        async with self._request(path, query) as answer:
            rest = b""
            while True:
                try:
                    async with asyncio.timeout(silence_seconds):
                        block = await answer.block()
                except (OSError, CutShort):
                    return
                if not block:
                    return
                *lines, rest = (rest + block).split(b"\n")
                if len(rest) > _LARGEST_BYTES:
                    raise ApiFault("a line of the watch has no end")
                if lines:
                    yield lines
                # After a large block more is waiting: a pause each time would bound what can be read in a second.
                if len(block) < _LARGE_BLOCK_BYTES:
                    await answer.pause(self._batch_seconds)

    @contextlib.asynccontextmanager
    async def _request(self, path: str, query: Mapping[str, str | int]) -> AsyncIterator[Answer]:
        """Send a request, and give its answer if that is a good one."""
        try:
            for again in (True, False):
                identity = await self._identity()
                async with self._connected(identity) as (reader, writer):
                    writer.write(self._head(path, query, identity))
                    answer = Answer(reader, cast("asyncio.Transport", writer.transport))
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await answer.begin()
                    if answer.status == 200:
                        yield answer
                        return
                    if answer.status == 401 and again and self.access.credential is not None:
                        self.access.credential.refused()
                        continue
                    raise await _fault_of(answer, identity)
        except TimeoutError:
            raise ApiFault(f"no answer within {_ANSWER_SECONDS:.0f} s") from None
        except (OSError, UnicodeError) as error:
            raise ApiFault(_words(error)) from None

    @contextlib.asynccontextmanager
    async def _connected(
        self, identity: Identity
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        tls = self._context(identity)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    sock=await self._reach(),
                    limit=_PIECE_BYTES,
                    ssl=tls,
                    server_hostname=(self.access.server_name or self._host.rstrip(".")) if tls else None,
                )
        except TimeoutError:
            raise ApiFault(f"no connection within {_CONNECT_SECONDS:.0f} s") from None
        try:
            yield reader, writer
        finally:
            # Aborted, not shut down: the rest of a watch is of no use.
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _reach(self) -> socket.socket:
        connected = await self._addresses.connect()
        proxy = self.access.proxy
        if proxy is None or not self._secure:
            return connected
        try:
            await open_tunnel(asyncio.get_running_loop(), connected, proxy, self._authority)
        except BaseException:
            connected.close()
            raise
        return connected

    async def _identity(self) -> Identity:
        credential = self.access.credential
        return Identity() if credential is None else await credential.identity()

    def _context(self, identity: Identity) -> ssl.SSLContext | None:
        """The TLS context for an identity, made once: it takes 20 ms."""
        if self._tls is None or self._tls[0][1:] != identity[1:]:
            self._tls = identity, self.access.tls(identity.certificate, identity.key)
        return self._tls[1]

    def _head(self, path: str, query: Mapping[str, str | int], identity: Identity) -> bytes:
        target = f"{self._path}{path}" + (f"?{urlencode(query)}" if query else "")
        fields = {
            "Host": self._authority,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"kfp-perf/{__version__}",
            **self.access.headers,
        }
        if identity.authorization:
            fields["Authorization"] = identity.authorization
        proxy = self.access.proxy
        if proxy is not None and proxy.authorization and not self._secure:
            fields["Proxy-Authorization"] = proxy.authorization
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


async def _whole(answer: Answer) -> bytes:
    blocks, size = [], 0
    while block := await answer.block():
        blocks.append(block)
        size += len(block)
        if size > _LARGEST_BYTES:
            raise ApiFault(f"the answer is larger than {_LARGEST_BYTES >> 20} MB")
    return b"".join(blocks)


async def _fault_of(answer: Answer, identity: Identity) -> ApiFault:
    body = await _whole(answer)
    # A gateway may say in its answer what it was sent, and files of the result quote that.
    if token := identity.authorization.rpartition(" ")[2]:
        body = body.replace(token.encode("latin-1"), b"[hidden]")
    with contextlib.suppress(ValueError):
        after = float(answer.fields.get(b"retry-after", b""))
        return ApiFault(_why(answer.status, body), answer.status, min(max(after, 0.0), 60.0))
    return ApiFault(_why(answer.status, body), answer.status)


def _why(status: int, body: bytes) -> str:
    with contextlib.suppress(msgspec.DecodeError):
        if message := _refusal_decoder.decode(body).message:
            return f"{message} ({status})"
    return f"the answer is {status}"


def _words(error: OSError | UnicodeError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    # asyncio puts words of its own in place of the system's.
    number = error.errno if isinstance(error, OSError) else None
    return f"it cannot be reached: {os.strerror(number).lower() if number and number > 0 else error}"
