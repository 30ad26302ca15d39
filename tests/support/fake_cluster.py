"""A Kubernetes API whose objects a test changes, and which can be made to misbehave; on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable


@dataclass
class Asked:
    """A request: its path, its query, and its fields by name in lower case."""

    path: str
    query: dict[str, str]
    fields: dict[str, str]
    writer: asyncio.StreamWriter = field(repr=False)

    async def answer(self, document: object, status: int = 200, **fields: str) -> None:
        """Answer with a document, or with bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"{head}{lines}\r\n".encode() + body)
        await self.writer.drain()

    async def begin(self) -> None:
        """Begin the answer of a watch."""
        self.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        """Send a chunk."""
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def end(self) -> None:
        """End the answer of a watch as a server does whose time-out has passed."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


def refusal(status: int, message: str) -> dict[str, Any]:
    """The document with which Kubernetes refuses a request."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status}


class FakeCluster:
    """Serves with `handle`; `url` is its address while the context is open, `asked` what came."""

    def __init__(self, handle: Callable[[Asked], Awaitable[None]], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._handle = handle
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._serving.add(this)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.split("\r\n")
        parts = urlsplit(line.split(" ")[1])
        fields = dict(one.split(": ", 1) for one in lines if one)
        request = Asked(
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in fields.items()},
            writer,
        )
        self.asked.append(request)
        gone = asyncio.ensure_future(reader.read())
        answered = asyncio.ensure_future(self._handle(request))
        try:
            await asyncio.wait([gone, answered], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (gone, answered):
                task.cancel()
            await asyncio.gather(gone, answered, return_exceptions=True)


class ObjectStore:
    """Objects with list and watch as Kubernetes serves them: versions, pages, bookmarks, a history that ends."""

    def __init__(self, *, page: int = 1000) -> None:
        self.version = 1
        self.oldest = 1
        self.lists = 0
        self.watches = 0
        self.open = 0
        self._page = page
        self._objects: dict[str, dict[str, Any]] = {}
        self._lists: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        self._history: list[tuple[int, str, dict[str, Any]]] = []
        self._news = asyncio.Event()
        self._cut = asyncio.Event()

    def put(self, uid: str, document: dict[str, Any]) -> None:
        """Add or change an object."""
        what = "MODIFIED" if uid in self._objects else "ADDED"
        self._objects[uid] = self._record(what, uid, document)

    def delete(self, uid: str) -> None:
        """Delete an object."""
        self._record("DELETED", uid, self._objects.pop(uid))

    def compact(self) -> None:
        """Forget the history: a watch from an older version is refused with 410."""
        self.oldest = self.version
        self._history.clear()

    def cut(self) -> None:
        """Cut all watches."""
        self._cut.set()
        self._cut = asyncio.Event()

    def _record(self, what: str, uid: str, document: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**document.get("metadata", {}), "uid": uid, "resourceVersion": str(self.version)}
        stored = {**document, "metadata": metadata}
        self._history.append((self.version, what, stored))
        self._news.set()
        self._news = asyncio.Event()
        return stored

    async def handle(self, asked: Asked) -> None:
        """Serve a list or a watch."""
        if asked.query.get("watch") == "true":
            await self._watch(asked)
        else:
            await self._list(asked)

    async def _list(self, asked: Asked) -> None:
        self.lists += 1
        # All pages are of the state at which the first was read; a token is the place in it.
        of, _, place = asked.query.get("continue", "").partition("-")
        version, found = self._lists.get(of) or (self.version, list(self._objects.values()))
        start = int(place or 0)
        stop = start + min(int(asked.query.get("limit", "1000")), self._page)
        metadata = {"resourceVersion": str(version)}
        if stop < len(found):
            self._lists[str(version)] = version, found
            metadata["continue"] = f"{version}-{stop}"
        await asked.answer({"kind": "PodList", "metadata": metadata, "items": found[start:stop]})

    async def _watch(self, asked: Asked) -> None:
        self.watches += 1
        since, cut = int(asked.query["resourceVersion"]), self._cut
        if since < self.oldest:
            await asked.begin()
            await self._say(
                asked, "ERROR", refusal(410, f"too old resource version: {since} ({self.oldest})")
            )
            await asked.end()
            return
        await asked.begin()
        self.open += 1
        try:
            while not cut.is_set():
                news, version, history = self._news, self.version, list(self._history)
                for changed_at, what, document in history:
                    if changed_at > since:
                        await self._say(asked, what, document)
                since = version
                if asked.query.get("allowWatchBookmarks") == "true":
                    await self._say(asked, "BOOKMARK", {"metadata": {"resourceVersion": str(since)}})
                waits = [asyncio.ensure_future(event.wait()) for event in (news, cut)]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for one in waits:
                        one.cancel()
        finally:
            self.open -= 1

    async def _say(self, asked: Asked, what: str, document: dict[str, Any]) -> None:
        await asked.send(json.dumps({"type": what, "object": document}).encode() + b"\n")
