"""The JSON of the v2beta1 API: how protojson reads messages, and how times are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.protocol.errors import Code, GatewayRefusal
from kfp_emulator.protocol.messages import json_name

if TYPE_CHECKING:
    from kfp_emulator.protocol.messages import Field, Message

MICROSECONDS = 1_000_000
ZERO_GO_TIME = "0001-01-01T00:00:00Z"
"""What an unset time.Time of Go reads: the end of a task that has not ended."""


@lru_cache(maxsize=4096)  # a run shows the same few seconds twenty times
def rfc3339(seconds: int) -> str:
    """Write whole seconds since the epoch as KFP does: `2026-01-02T03:04:05Z`."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat() + "Z"


@dataclass(frozen=True, slots=True)
class OutwardTime:
    """The one place where true time becomes what the outside sees: the server's clock runs `offset` ahead."""

    offset_microseconds: int = 0

    def seconds(self, true_microseconds: int | None) -> int:
        """Truncate a true time to the server's whole seconds; a time that has not come yet is 0 (1970)."""
        if true_microseconds is None:
            return 0
        return (true_microseconds + self.offset_microseconds) // MICROSECONDS

    def microseconds(self, true_microseconds: int) -> int:
        """Return what the server's own clock reads at a true time."""
        return true_microseconds + self.offset_microseconds


class ProtoError(ValueError):
    """A document is not the JSON form of a message; the text is protojson's."""


def decode(message: Message, raw: bytes) -> dict[str, Any]:
    """Read a request body as protojson does, under snake_case names; absent fields stay absent.

    Raises:
        GatewayRefusal: with protojson's text (400, code 3), since the gateway decodes bodies itself.

    """
    if not raw or raw.isspace():
        return {}
    try:
        return decode_message(message, raw)
    except ProtoError as error:
        raise GatewayRefusal(Code.INVALID_ARGUMENT, str(error)) from None


def decode_message(message: Message, raw: bytes) -> dict[str, Any]:
    """Read a JSON document as a message.

    Raises:
        ProtoError: with the text that protojson gives for it.

    """
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtoError(f"proto: syntax error (line 1:1): {_syntax_reason(raw, error)}") from None
    except RecursionError:
        raise ProtoError("proto: exceeded max recursion depth") from None
    return _Reader(raw).message(message, document)


def _syntax_reason(raw: bytes, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError) or "utf-8" in str(error).lower():
        return "invalid UTF-8 in string"
    token = raw.split(None, 1)[0][:32].decode("utf-8", "replace")
    return f"unexpected token {token}"


class _Reader:
    """Turns parsed JSON into a message's fields; the raw text is only read again to say where a fault is."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def message(self, message: Message, document: object) -> dict[str, Any]:
        if not isinstance(document, dict):
            raise ProtoError(f"proto: syntax error (line 1:1): unexpected token {_token(document)}")
        fields: dict[str, Any] = {}
        groups: set[str] = set()
        for key, value in document.items():
            found = message.field(key)
            if found is None:
                raise ProtoError(f'proto: {self._position(key)}: unknown field "{key}"')
            name, field = found
            if value is None and field.kind != "value":
                continue
            if name in fields:
                raise ProtoError(f'proto: {self._position(key)}: duplicate field "{key}"')
            if field.group:
                if field.group in groups:
                    raise ProtoError(
                        f'proto: {self._position(key)}: error parsing "{key}", oneof {message.name}.{field.group} '
                        "is already set"
                    )
                groups.add(field.group)
            fields[name] = self._field(name, field, value, key)
        return fields

    def _field(self, name: str, field: Field, value: object, key: str) -> Any:
        if field.repeated:
            if not isinstance(value, list):
                raise ProtoError(
                    f"proto: syntax error {self._position(key)}: unexpected token {_token(value)}"
                )
            return [self._single(name, field, item, key) for item in value]
        if field.mapped:
            if not isinstance(value, dict):
                raise ProtoError(
                    f"proto: syntax error {self._position(key)}: unexpected token {_token(value)}"
                )
            return {entry: self._single(name, field, item, key) for entry, item in value.items()}
        return self._single(name, field, value, key)

    def _single(self, name: str, field: Field, value: object, key: str) -> Any:
        kind = field.kind
        if kind == "message":
            assert field.message is not None  # noqa: S101  the tables above say so
            if not isinstance(value, dict):
                raise ProtoError(
                    f"proto: syntax error {self._position(key)}: unexpected token {_token(value)}"
                )
            return self.message(field.message, value)
        if kind == "value" or (kind == "struct" and isinstance(value, dict)):
            return value
        if kind == "struct":
            raise ProtoError(f"proto: syntax error {self._position(key)}: unexpected token {_token(value)}")
        read = _READERS[kind](field, value)
        if read is None:
            where = self._position(key)
            if kind == "timestamp":
                raise ProtoError(f"proto: {where}: invalid google.protobuf.Timestamp value {_token(value)}")
            raise ProtoError(
                f"proto: {where}: invalid value for {kind} field {json_name(name)}: {_token(value)}"
            )
        return read

    def _position(self, key: str) -> str:
        offset = self._raw.find(msgspec.json.encode(key))
        before = self._raw[: max(offset, 0)]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        return f"(line {line}:{column})"


def _token(value: object) -> str:
    if isinstance(value, dict):
        return "{"
    if isinstance(value, list):
        return "["
    return msgspec.json.encode(value).decode()


def _read_string(_field: Field, value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read_bool(_field: Field, value: object) -> bool | None:
    return value if isinstance(value, bool) else None


_INTEGER = re.compile(r"-?\d{1,20}\Z", re.ASCII)
_BITS = {"int32": 31, "int64": 63}


def _read_integer(field: Field, value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _INTEGER.match(value):
        number = int(value)
    elif isinstance(value, int):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    else:
        return None
    limit = 1 << _BITS[field.kind]
    return number if -limit <= number < limit else None


def _read_enum(field: Field, value: object) -> str | None:
    if isinstance(value, str):
        return value if value and value in field.values else None
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 31) <= value < 1 << 31:
        return None
    known = 0 <= value < len(field.values) and field.values[value]
    return known or str(value)


_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999 in UTC: all that a protobuf timestamp holds."""
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def _read_timestamp(_field: Field, value: object) -> int | None:
    """Read RFC 3339 as whole seconds since the epoch: KFP looks at no more than those."""
    match = _RFC3339.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1] + ("+00:00" if match[2] == "Z" else match[2]))
    except ValueError:
        return None
    seconds = int(moment.timestamp() // 1)
    return seconds if _FIRST_SECOND <= seconds <= _LAST_SECOND else None


_READERS = {
    "string": _read_string,
    "bool": _read_bool,
    "int32": _read_integer,
    "int64": _read_integer,
    "enum": _read_enum,
    "timestamp": _read_timestamp,
}
