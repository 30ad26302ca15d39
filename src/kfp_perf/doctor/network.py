"""Checks below HTTP: the name, a TCP connection, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kfp_perf.client.auth import tls_context
from kfp_perf.client.failures import from_exception
from kfp_perf.client.pool import NotConnected
from kfp_perf.client.proxy import Proxy, open_tunnel, proxy_for
from kfp_perf.client.target import nothing_listens
from kfp_perf.doctor.finding import Finding, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kfp_perf.config import TestConfig

#: A certificate that expires sooner is a warning.
SOON_SECONDS = 7 * 86_400.0


class Network:
    """Checks of the network, in their order; each needs the one before. `close` ends the last connection."""

    def __init__(self, config: TestConfig) -> None:
        parts = urlsplit(config.KFP_url)
        self.url = config.KFP_url
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.is_tls = parts.scheme == "https"
        self.proxy: Proxy | None = proxy_for(config)
        self._config = config
        self._addresses: list[Any] = []
        self._socket: socket.socket | None = None

    async def findings(self) -> AsyncIterator[Finding]:
        """Make the checks until one fails."""
        for check in (self._name, self._tcp, self._tls):
            finding = await check()
            yield finding
            if finding.status is Status.FAILED:
                return

    def close(self) -> None:
        """Close what is open."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _name(self) -> Finding:
        host, port = (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)
        try:
            async with asyncio.timeout(self._config.connect_timeout_seconds):
                self._addresses = await _look_up(host, port)
        except TimeoutError:
            detail = f"the name {host} is not resolved within the time limit"
            remedy = "Do the name servers of this machine respond?"
            return Finding("name", Status.FAILED, detail, remedy, "connect_timeout")
        except (OSError, UnicodeError) as error:
            return self._failed("name", error)
        addresses = ", ".join(dict.fromkeys(str(found[4][0]) for found in self._addresses))
        detail = f"{host} is {addresses}" if addresses != host else f"{host} is an address"
        if self.proxy is not None:
            detail = f"requests go through the proxy of {self.proxy.variable}: {detail}"
        return Finding("name", Status.OK, detail)

    async def _tcp(self) -> Finding:
        loop = asyncio.get_running_loop()
        failure: Exception = OSError()
        for family, kind, protocol, _, address in self._addresses:
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setblocking(False)
            began = time.perf_counter()
            try:
                async with asyncio.timeout(self._config.connect_timeout_seconds / len(self._addresses)):
                    await loop.sock_connect(self._socket, address)
            except OSError as error:
                self.close()
                failure = error
                continue
            milliseconds = 1e3 * (time.perf_counter() - began)
            return Finding(
                "tcp", Status.OK, f"{address[0]} port {address[1]} answers in {milliseconds:.1f} ms"
            )
        return self._failed("tcp", failure)

    async def _tls(self) -> Finding:
        connected, self._socket = self._socket, None
        if not self.is_tls or connected is None:
            if connected is not None:
                connected.close()
            detail = "the target is plain http"
            config = self._config
            if config.KFP_TOKEN or config.KFP_TOKEN_FILE or config.KFP_TOKEN_COMMAND or config.KFP_COOKIE:
                detail += ": credentials are sent unencrypted"
            return Finding("tls", Status.OK, detail)
        loop = asyncio.get_running_loop()
        context = tls_context(self._config)
        try:
            async with asyncio.timeout(self._config.connect_timeout_seconds):
                if self.proxy is not None:
                    await open_tunnel(loop, connected, self.proxy, f"{self.host}:{self.port}")
                _, writer = await asyncio.open_connection(
                    sock=connected, ssl=context, server_hostname=self.host.rstrip(".")
                )
        except OSError as error:
            connected.close()
            return self._failed("tls", error)
        try:
            return self._certificate(writer.get_extra_info("ssl_object"), time.time())
        finally:
            writer.transport.abort()

    def _certificate(self, connection: ssl.SSLObject, now: float) -> Finding:
        version = connection.version()
        if self._config.LOCAL:
            detail = f"{version}, certificate not verified, since local is true"
            return Finding("tls", Status.WARNING, detail, "Leave local out, and give KFP_CA_CERT.")
        certificate = connection.getpeercert() or {}
        ends = str(certificate.get("notAfter", ""))
        remaining = ssl.cert_time_to_seconds(ends) - now if ends else SOON_SECONDS
        detail = f"{version}, certificate trusted, valid until {ends}"
        if remaining < SOON_SECONDS:
            return Finding("tls", Status.WARNING, detail, "Have it renewed before a long test.")
        return Finding("tls", Status.OK, detail)

    def _failed(self, check: str, cause: Exception) -> Finding:
        unreached = NotConnected(
            self.host, self.port, None if isinstance(cause, ssl.SSLError) else self.proxy
        )
        unreached.__cause__ = cause
        error = from_exception("", unreached, sent=False)
        hint = error.hint
        if error.kind == "connect_timeout":
            hint = "Is the address right, and is the port open in firewalls?"
        if error.kind == "refused" and self.proxy is None:
            hint = nothing_listens(self.url)
        return Finding(check, Status.FAILED, error.message, hint, error.kind)


def _look_up(host: str, port: int) -> asyncio.Future[list[Any]]:
    """Look a name up in a daemon thread: the end of an event loop, and of Python, waits for all other threads."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Any]] = loop.create_future()

    def look_up() -> None:
        done: Callable[[], None]
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            done = partial(_settle, found.set_exception, found, error)
        else:
            done = partial(_settle, found.set_result, found, addresses)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(done)

    threading.Thread(target=look_up, name="look-up", daemon=True).start()
    return found


def _settle(settle: Callable[[Any], None], future: asyncio.Future[list[Any]], value: Any) -> None:
    if not future.done():
        settle(value)
