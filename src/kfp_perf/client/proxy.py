"""An HTTP proxy between this machine and the server: whether there is one, and a tunnel through it.

Plain HTTP goes to the proxy in absolute form (RFC 9112, section 3.2.2); TLS goes through a tunnel that CONNECT
opens (RFC 9110, section 9.3.6), so the proxy sees neither requests nor credentials.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from kfp_perf.errors import InputError, Problem
from kfp_perf.hosts import ascii_host, parse_host

if TYPE_CHECKING:
    import asyncio
    import socket

    from pydantic import SecretStr

    from kfp_perf.config import TestConfig

_LARGEST_HEAD_BYTES = 65_536
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})([^\r\n]*)")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: where it is, what it is shown (`authorization`, may be empty), and the variable that names it."""

    host: str
    port: int
    variable: str
    authorization: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ProxyRefused(OSError):
    """The proxy did not open a tunnel: `status` is that of its answer, 0 where what came is not HTTP."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def proxy_for(config: TestConfig) -> Proxy | None:
    """Return the proxy that requests to the target go through, or None. Raises `InputError` as `proxy_to` does."""
    return proxy_to(config.KFP_url, config)


def proxy_to(url: str, config: TestConfig) -> Proxy | None:
    """Return the proxy that requests to a URL go through, or None.

    HTTP_PROXY is for URLs of http, HTTPS_PROXY for those of https. This machine is reached directly, and so is
    what NO_PROXY names. Raises `InputError` for a proxy that cannot be used.
    """
    parts = urlsplit(url)
    variable = f"{parts.scheme.upper()}_PROXY"
    secret = config.HTTPS_PROXY if parts.scheme == "https" else config.HTTP_PROXY
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if secret is None or _is_local(host) or is_excepted(host, port, config.NO_PROXY):
        return None
    return parse_proxy(variable, secret, f"Or add {host} to NO_PROXY for a direct connection.")


def parse_proxy(variable: str, secret: SecretStr, remedy: str = "") -> Proxy:
    """Return the proxy that the value of a variable names. Raises `InputError` where it cannot be used."""
    # Parsed apart from the rest, so that no message repeats a password.
    scheme, _, rest = secret.get_secret_value().strip().rpartition("://")
    credentials, _, text = rest.rpartition("@")
    try:
        if scheme.lower() not in {"", "http"}:
            raise ValueError(
                f"names a proxy of the kind {scheme!r}, only http is supported: write http://host:port"
            )
        where = parse_host(text)
    except ValueError as error:
        raise InputError(Problem(variable, str(error), remedy)) from None
    authorization = ""
    if credentials:
        authorization = "Basic " + base64.b64encode(unquote(credentials).encode()).decode()
    return Proxy(ascii_host(where.name), where.port or 80, variable, authorization)


def is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Return whether NO_PROXY names a host: itself, a domain above it, a network that holds it, or `*`.

    Entries are separated by commas or blanks, and may end with a port.
    """
    host = host.rstrip(".").lower()
    address = _address(host)
    return any(_names(entry, host, address, port) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _names(
    entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int
) -> bool:
    if entry == "*":
        return True
    if found := re.fullmatch(r"(\[[^\]]*\]|[^:]*):(\d+)", entry):
        if int(found[2]) != port:
            return False
        entry = found[1]
    entry = entry.strip("[]")
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


async def open_tunnel(
    loop: asyncio.AbstractEventLoop, connected: socket.socket, proxy: Proxy, target: str
) -> None:
    """Have the proxy connect a socket to `target` (host:port). Raises OSError, which `ProxyRefused` is."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    await loop.sock_sendall(connected, "\r\n".join([*lines, "", ""]).encode("latin-1"))
    head = b""
    # Nothing follows the head: in TLS the client speaks first.
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(connected, 4096)
        if not data or len(head) > _LARGEST_HEAD_BYTES:
            break
        head += data
    found = _STATUS.match(head)
    if found is None:
        raise ProxyRefused(0, "what answered is not an HTTP proxy" if head else "it closed the connection")
    if not 200 <= int(found[1]) < 300:
        reason = found[2].decode("latin-1").strip()
        raise ProxyRefused(int(found[1]), f"HTTP {int(found[1])} {reason}".strip())
