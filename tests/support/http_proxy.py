"""A small HTTP proxy: CONNECT, and requests in absolute form; every host is the same server on this machine."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


class HttpProxy(socketserver.ThreadingTCPServer):
    """Forwards to one port of 127.0.0.1, for any requested host.

    `authorization` is what clients must show; `refusal` is a status that every request gets; `seen` holds the
    first line of each head, `shown` the Proxy-Authorization that came with it, `passed` what tunnels carried from
    the client.
    """

    daemon_threads = False

    def __init__(self, upstream: int, *, authorization: str = "", refusal: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.authorization = authorization
        self.refusal = refusal
        self.seen: list[str] = []
        self.shown: list[str] = []
        self.passed = b""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Wait until all clients have closed their connections, and end."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(socketserver.StreamRequestHandler):
    server: HttpProxy

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self._exchange():
                pass

    def _exchange(self) -> bool:
        proxy = self.server
        first = self.rfile.readline().decode("latin-1").strip()
        if not first:
            return False
        lines = []
        while line := self.rfile.readline().decode("latin-1").strip():
            lines.append(line)
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        shown = fields.get("proxy-authorization", "")
        proxy.seen.append(first)
        proxy.shown.append(shown)
        if proxy.refusal or (proxy.authorization and shown != proxy.authorization):
            status = proxy.refusal or "407 Proxy Authentication Required"
            self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        method, target, _ = first.split(" ")
        with socket.create_connection(("127.0.0.1", proxy.upstream)) as upstream:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=self._copy, args=(upstream, self.connection))
                back.start()
                proxy.passed += self._copy(self.connection, upstream)
                back.join()
                return False
            parts = urlsplit(target)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            kept = [line for line in lines if not line.startswith("Proxy-")]
            head = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "", ""])
            upstream.sendall(head.encode("latin-1") + self.rfile.read(int(fields.get("content-length", 0))))
            with upstream.makefile("rb") as answer:
                length = 0
                while (line := answer.readline().decode("latin-1")).strip():
                    self.wfile.write(line.encode("latin-1"))
                    if line.lower().startswith("content-length: "):
                        length = int(line.partition(": ")[2])
                self.wfile.write(b"\r\n" + answer.read(length))
        return True

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> bytes:
        copied = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                copied += data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        return copied


@contextlib.contextmanager
def http_proxy(upstream: int, *, authorization: str = "", refusal: str = "") -> Iterator[HttpProxy]:
    """Serve one in threads; at its end it waits for its clients to close their connections."""
    proxy = HttpProxy(upstream, authorization=authorization, refusal=refusal)
    try:
        yield proxy
    finally:
        proxy.stop()
