"""The live page: a separate program that reads the feed from its standard input and serves it to browsers.

It listens on 127.0.0.1 by default, and answers only below a path with a random token, to requests that name this
address: other users of the machine, and pages of other sites in the same browser, get nothing. It continues after
the test while a browser shows it, so that the end can be seen and the report be opened.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import secrets
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.live.history import History
from kfp_perf.live.snapshot import FeedMessage
from kfp_perf.live.view import parts_of
from kfp_perf.reports.charts.markup import element, joined
from kfp_perf.reports.webpage import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from markupsafe import Markup

    from kfp_perf.live.snapshot import Finish, Snapshot

#: Browsers let pages in the background ask but once a minute.
LINGER_SECONDS = 75.0
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
_HTML = "text/html; charset=utf-8"


@dataclass(slots=True)
class State:
    """The latest state of the test. Written by the reader of the feed, read by requests."""

    snapshot: Snapshot | None = None
    history: History = field(default_factory=History)
    finish: Finish | None = None
    fed: bool = True
    version: int = 0
    asked_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    _drawn: tuple[int, dict[str, Markup]] | None = None

    def take(self, message: FeedMessage) -> None:
        """Take a message in."""
        with self.lock:
            if message.snapshot is not None:
                self.snapshot = message.snapshot
                self.history.add(message.snapshot)
            self.finish = message.finish or self.finish
            self.version += message.log is None

    def end(self) -> None:
        """Mark the feed as closed."""
        with self.lock:
            self.fed = False
            self.version += 1

    def parts(self) -> tuple[int, dict[str, Markup]]:
        """The page's parts and their version; drawn once for all browsers."""
        with self.lock:
            if self._drawn is None or self._drawn[0] != self.version:
                self._drawn = (self.version, parts_of(self.snapshot, self.history, self.finish, fed=self.fed))
            return self._drawn

    def report(self) -> bytes | None:
        """The report, if there is one."""
        path = self.finish.report if self.finish is not None else ""
        try:
            return Path(path).read_bytes() if path else None
        except OSError:
            return None


class PageServer(ThreadingHTTPServer):
    """Serves a state on a port, 0 for a free one.

    On a loopback address only requests that name it are answered: a page of another site whose name resolves to
    this machine gets nothing. The path holds a random token.
    """

    daemon_threads = True

    def __init__(
        self,
        state: State,
        clock: Callable[[], float] = time.monotonic,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.state = state
        self.clock = clock
        self.token = secrets.token_urlsafe(16)
        self.host = f"[{host}]" if ":" in host else host
        local = {self.host, "localhost"}
        # On other addresses the host's names are unknown here; the token protects the page as well.
        self.hosts = {f"{name}:{self.server_port}" for name in local} if _is_loopback(host) else None
        if host in {"0.0.0.0", "::"}:  # noqa: S104  the user asked for all interfaces
            self.host = socket.gethostname()

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{self.host}:{self.server_port}/{self.token}/"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def do_GET(self) -> None:
        """Answer a browser."""
        path, _, query = self.path.partition("?")
        prefix = f"/{self.server.token}/"
        hosts = self.server.hosts
        is_meant = hosts is None or self.headers.get("Host") in hosts
        if not is_meant or not path.startswith(prefix):
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"")
            return
        state = self.server.state
        state.asked_at = self.server.clock()
        match path.removeprefix(prefix):
            case "":
                self._answer(HTTPStatus.OK, _HTML, whole_page(state).encode())
            case "page.js":
                script = files(__package__).joinpath("page.js").read_bytes()
                self._answer(HTTPStatus.OK, "text/javascript", script)
            case "state":
                self._state(query)
            case "report.html" if (report := state.report()) is not None:
                self._answer(HTTPStatus.OK, _HTML, report)
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"")

    def _state(self, query: str) -> None:
        version, parts = self.server.state.parts()
        if query == f"seen={version}":
            self._answer(HTTPStatus.NO_CONTENT, "", b"")
            return
        body = msgspec.json.encode(
            {"version": version, "parts": {id_: str(part) for id_, part in parts.items()}}
        )
        self._answer(HTTPStatus.OK, "application/json", body)

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", f"{_POLICY}; frame-ancestors 'none'"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: the terminal belongs to the test."""


def whole_page(state: State) -> str:
    """The page with the current state, complete as soon as it is opened or reloaded."""
    _, parts = state.parts()
    name = state.snapshot.name if state.snapshot is not None else "kfp-perf"
    places = ("tiles", "timeline", "scenarios", "thresholds", "errors", "charts")
    away = element(
        "p",
        "There are no new figures: the test's process is gone, or it was over and nobody looked for a while.",
        id="away",
        class_="warning",
        role="status",
        hidden="",
    )
    body = joined(
        [
            element(
                "header",
                element("p", "kfp-perf live", class_="kind"),
                element("h1", name, id="name"),
                element("div", parts.get("state", ""), id="state", aria_live="polite"),
                away,
            ),
            element(
                "main",
                element("div", parts.get("tiles", ""), id="tiles"),
                element("section", *(element("div", parts.get(id_, ""), id=id_) for id_ in places[1:])),
            ),
        ]
    )
    return page(f"{name} – kfp-perf live", body, element("script", "", src="page.js"), policy=_POLICY)


_decoder = msgspec.json.Decoder(FeedMessage)


def read_feed(lines: Iterable[bytes], state: State) -> None:
    """Read the feed until it ends."""
    for line in lines:
        try:
            state.take(_decoder.decode(line))
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue  # a line that was cut off when the test was killed
    state.end()


def linger(server: PageServer, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until there was no request for this long."""
    ended = server.clock()
    while server.clock() < max(ended, server.state.asked_at) + seconds:
        sleep(min(1.0, seconds / 4))


def main() -> None:
    """Serve, print the address on a line, read the feed, and continue while a browser shows the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--linger", type=float, default=LINGER_SECONDS)
    given = parser.parse_args()
    os.nice(5)  # the load has priority
    state = State()
    server = PageServer(state, host=given.host, port=given.port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(server.address + "\n")
    sys.stdout.flush()
    # The caller of the test may wait for the end of its output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    read_feed(sys.stdin.buffer, state)
    linger(server, given.linger)
    server.shutdown()


if __name__ == "__main__":
    main()
