"""Parsing of the host of a server, as a user writes it: a name, an address, or a URL."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BROKEN_SCHEME = re.compile(r"(https?):/?(?!/)(.*)", re.DOTALL | re.IGNORECASE)
_BRACKETED = re.compile(r"\[(?P<address>[^\]]*)\](?P<rest>.*)", re.DOTALL)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LONGEST_NAME = 253

EXAMPLE = "https://kubeflow.example.com/pipeline"


@dataclass(frozen=True, slots=True)
class Host:
    """A host that was checked.

    `scheme` is http, https or empty; `name` is in lower case and without brackets; `port` is None where none was
    written; `path` is empty, or begins with a slash and does not end with one.
    """

    scheme: str
    name: str
    port: int | None
    path: str

    @property
    def authority(self) -> str:
        """Name and port as they stand in a URL."""
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


def parse_host(text: str) -> Host:
    """Parse the text of a user. Raises ValueError with what is wrong and what to write."""
    text = text.strip()
    if not text.isprintable() or any(character.isspace() for character in text) or "\\" in text:
        raise ValueError(f"must be a host name or a URL such as {EXAMPLE}, without blanks and backslashes")
    # Checked first, since the other messages quote the text, which must not hold a password.
    if "@" in re.split(r"[/?#]", re.sub(r"^[A-Za-z+.-]*:/*", "", text))[0]:
        raise ValueError("must not hold credentials: give them in KFP_TOKEN, KFP_TOKEN_FILE or KFP_COOKIE")
    scheme, rest = _split_scheme(text)
    for mark, part in (("?", "query"), ("#", "fragment")):
        if mark in rest:
            kept = f"{scheme}://{rest}" if scheme else rest
            raise ValueError(f"must not have a {part}: write {kept[: kept.index(mark)].rstrip('/')}")
    authority, slash, path = rest.partition("/")
    name, port = _split_port(authority)
    path = f"{slash}{path}".rstrip("/")
    if "/apis/v" in path:
        raise ValueError(f"must not hold the path of the API: write {text[: text.index('/apis/v')]}")
    return Host(scheme, name, port, path)


def _split_scheme(text: str) -> tuple[str, str]:
    """Return the scheme in lower case, or an empty text, and what follows it."""
    if found := _SCHEME.fullmatch(text):
        scheme, rest = found[1].lower(), found[2]
        if scheme not in {"http", "https"}:
            raise ValueError("must be a host name, or a URL that begins with http:// or https://")
    elif found := _BROKEN_SCHEME.fullmatch(text):
        raise ValueError(f"has an incomplete scheme: write {found[1].lower()}://{found[2] or 'host'}")
    else:
        scheme, rest = "", text
    if rest.startswith("/"):
        bare = rest.lstrip("/")
        wanted = f"{scheme}://{bare or 'host'}" if scheme else bare or "a host name"
        raise ValueError(f"has a slash too many: write {wanted}")
    return scheme, rest


def _split_port(authority: str) -> tuple[str, int | None]:
    """Return a checked name and a checked port, from `name`, `name:port`, `[address]` or `[address]:port`."""
    if found := _BRACKETED.fullmatch(authority):
        if not _is_ipv6(found["address"]):
            raise ValueError("must hold an IPv6 address in its brackets, such as [::1]")
        name, colon, port = found["address"], found["rest"][:1], found["rest"][1:]
        if colon not in {"", ":"}:
            raise ValueError(f"must have a colon before the port: write [{name}]:{found['rest']}")
    elif _is_ipv6(authority):
        raise ValueError(f"must have an IPv6 address in brackets: write [{authority}]")
    else:
        name, colon, port = authority.partition(":")
    shown = authority.removesuffix(":")
    if not name:
        raise ValueError(f"has no host: write localhost{authority}, or a URL such as {EXAMPLE}")
    if colon and not port:
        raise ValueError(f"has a colon and no port after it: write {shown}, or {shown}:8888")
    number = int(port) if re.fullmatch(r"[0-9]{1,5}", port) else 0
    if colon and not 1 <= number <= 65535:
        raise ValueError(f"the port in it must be a number from 1 to 65535, not {port!r}")
    if ":" not in name:
        _check_name(name)
    return name.lower(), number if colon else None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _check_name(name: str) -> None:
    """Raise ValueError for a name that DNS cannot hold."""
    try:
        ascii_name = ascii_host(name)
    except UnicodeError:
        ascii_name = ""
    labels = ascii_name.removesuffix(".").split(".")
    if len(ascii_name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(
            f"{name!r} cannot be a host name: one has letters, digits, hyphens and dots, at most 63 between dots"
        )


def ascii_host(name: str) -> str:
    """Return a host name as DNS and HTTP spell it (IDNA). Raises UnicodeError where there is no such spelling."""
    return name if name.isascii() else name.encode("idna").decode()


def titled(name: str, url: str) -> str:
    """The address of a target for people: `staging (https://kfp.example.com)`, without a name the URL alone."""
    return f"{name} ({url})" if name else url
