"""One HTTP request over a connection of its own, from the running event loop."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from replay.requests import Request


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in the form of the recordings: text that is not JSON is {"<text>": ...}."""

    status: int
    headers: Mapping[str, str]
    body: Any


class _Received:
    """What `http.client` needs of a socket: all that was received."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


async def send(url: str, request: Request) -> Answer:
    """Send a request, and read the answer to its end."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 24)
    try:
        writer.write(_head(request, parts.netloc) + (request.body or b""))
        await writer.drain()
        data = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    response = http.client.HTTPResponse(cast("socket.socket", _Received(data)), method=request.method)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, _decoded(response.read().decode()))


def _head(request: Request, host: str) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body is not None:
        lines.append(f"Content-Length: {len(request.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _decoded(text: str) -> Any:
    if text.startswith("# "):  # the text format of Prometheus: the recordings hold the names
        return {"names": re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)}
    try:
        return json.loads(text)
    except ValueError:
        return {"<text>": text}


__all__ = ["Answer", "send"]
