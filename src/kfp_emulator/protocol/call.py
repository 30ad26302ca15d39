"""One request as handlers get it, and the usual answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from kfp_emulator.protocol.errors import GATEWAY_HEADERS, Answer, Code, GatewayRefusal
from kfp_emulator.protocol.paging import ListOptions, read_options
from kfp_emulator.protocol.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_emulator.protocol.listable import Listable
    from kfp_emulator.protocol.messages import Message

encode = msgspec.json.encode

EMPTY = Answer(200, b"{}", GATEWAY_HEADERS)
"""What every DELETE and every `:verb` answers."""


@dataclass(slots=True)
class Call:
    """A request: its operation, parameters, headers and body.

    Query parameters are read as grpc-gateway reads them: either spelling, unknown ones ignored, and a value
    that does not fit, or one given twice, refused.
    """

    operation: str
    path: dict[str, str]
    query_string: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    _query: dict[str, list[str]] | None = field(default=None)

    def header(self, name: bytes) -> list[str]:
        """Return all values of a header (its name in lower case)."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    def text(self, name: str) -> str:
        """Return a string parameter, empty where it is absent."""
        values = self._values(name)
        if len(values) > 1:
            listed = ", ".join(values)
            raise GatewayRefusal(Code.INVALID_ARGUMENT, f'too many values for field "{name}": {listed}')
        return values[0] if values else ""

    def int32(self, name: str) -> int:
        """Return an integer parameter, 0 where it is absent."""
        if not self._values(name):
            return 0
        text = self.text(name)
        digits = text[1:] if text[:1] in {"+", "-"} else text
        if not (digits.isascii() and digits.isdigit()):
            raise _unparsed(name, "ParseInt", text, "invalid syntax")
        number = int(text) if len(digits) < 20 else 1 << 40
        if not -(1 << 31) <= number < 1 << 31:
            raise _unparsed(name, "ParseInt", text, "value out of range")
        return number

    def boolean(self, name: str) -> bool:
        """Return a boolean parameter in Go's spellings, false where it is absent."""
        if not self._values(name):
            return False
        text = self.text(name)
        if text in {"1", "t", "T", "TRUE", "true", "True"}:
            return True
        if text in {"0", "f", "F", "FALSE", "false", "False"}:
            return False
        raise _unparsed(name, "ParseBool", text, "invalid syntax")

    def _values(self, name: str) -> list[str]:
        if self._query is None:
            self._query = {}
            pairs = parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True, errors="replace")
            for key, value in pairs:
                self._query.setdefault(key, []).append(value)
        if not self._query:
            return []
        head, *tail = name.split("_")
        camel = head + "".join(part.title() for part in tail)
        return self._query.get(name) or (self._query.get(camel, []) if tail else [])

    def message(self, message: Message) -> dict[str, Any]:
        """Decode the body as a message."""
        return decode(message, self.body)

    def list_parameters(self) -> str:
        """Return the parameters of a list as some of KFP's errors repeat them."""
        token, size = self.text("page_token"), self.int32("page_size")
        order, chosen = self.text("sort_by"), self.text("filter")
        return f"pageToken: {token}, pageSize: {size}, sortBy: {order}, filter: {chosen}"

    def list_options(self, listable: Listable, *, taggable: bool = False) -> ListOptions:
        """Read page_token, page_size, sort_by and filter."""
        return read_options(
            listable,
            page_token=self.text("page_token"),
            page_size=self.int32("page_size"),
            sort_by=self.text("sort_by"),
            filter_spec=self.text("filter"),
            taggable=taggable,
        )


def _unparsed(name: str, function: str, text: str, reason: str) -> GatewayRefusal:
    quoted = encode(text).decode()
    return GatewayRefusal(
        Code.INVALID_ARGUMENT, f'parsing field "{name}": strconv.{function}: parsing {quoted}: {reason}'
    )


def present(**fields: Any) -> dict[str, Any]:
    """Keep what protojson would write: unset, zero, false and empty fields are left out."""
    return {name: value for name, value in fields.items() if value}


def reply(document: object) -> Answer:
    """Answer 200 with a message."""
    return Answer(200, encode(document), GATEWAY_HEADERS)


def reply_list(key: str, bodies: Iterable[bytes], total_size: int, next_page_token: str) -> Answer:
    """Answer 200 with a page of messages that are already encoded."""
    parts = []
    joined = b",".join(bodies)
    if joined:
        parts.append(b'"%s":[%s]' % (key.encode(), joined))
    if total_size:
        parts.append(b'"total_size":%d' % total_size)
    if next_page_token:
        parts.append(b'"next_page_token":' + encode(next_page_token))
    return Answer(200, b"{" + b",".join(parts) + b"}", GATEWAY_HEADERS)
