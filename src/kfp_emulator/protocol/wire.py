"""The JSON of the v2beta1 API: how protojson reads messages, and how times are written."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.protocol.errors import Code, GatewayRefusal
from kfp_emulator.protocol.go_json import GoSyntaxError, LocatedObject, parse_located, value_end
from kfp_emulator.protocol.messages import PACKAGE, json_name

if TYPE_CHECKING:
    from kfp_emulator.protocol.go_json import Entry, Located
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
    """The one place where true time becomes what clients see: the server's clock runs `offset` ahead."""

    offset_microseconds: int = 0

    def seconds(self, true_microseconds: int | None) -> int:
        """Truncate a true time to the server's whole seconds; a time that has not come yet is 0 (1970)."""
        if true_microseconds is None:
            return 0
        return (true_microseconds + self.offset_microseconds) // MICROSECONDS

    def microseconds(self, true_microseconds: int) -> int:
        """Return what the server's own clock reads at a true time."""
        return true_microseconds + self.offset_microseconds


PROTO = "proto:\u00a0"
"""How this build of protojson begins its errors. Whether a space or a no-break space follows depends on the binary
(internal/errors of google.golang.org/protobuf); KFP 2.17.0 was recorded with the latter."""


class ProtoError(ValueError):
    """A document is not the JSON form of a message; the text is protojson's."""


class _Misfit(Exception):
    """A value does not fit its message: the path to it from the inside out, and protojson's text without a place.

    `at_key` is whether the place is the key's. `{token}` in the text stands for the token there.
    """

    def __init__(self, text: str, *, at_key: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.at_key = at_key
        self.path: list[str | int] = []

    def within(self, step: str | int) -> _Misfit:
        self.path.append(step)
        return self


_UNEXPECTED = "syntax error {place}: unexpected token {token}"


def decode(message: Message, raw: bytes) -> dict[str, Any]:
    """Read a request body as the gateway does, under snake_case names; absent fields stay absent.

    Raises:
        GatewayRefusal: 400, with the text of encoding/json or of protojson, since the gateway decodes bodies.

    """
    if not raw or raw.isspace():
        return {}
    try:
        return decode_message(message, raw)
    except ProtoError as error:
        refused = str(error)
    try:
        first = raw[: value_end(raw)]  # what follows the first value of a body is never read
    except GoSyntaxError as error:
        refused = str(error)
    else:
        if len(first) < len(raw.rstrip()):
            return decode(message, first)
    raise GatewayRefusal(Code.INVALID_ARGUMENT, refused)


def decode_message(message: Message, raw: bytes) -> dict[str, Any]:
    """Read a JSON document as a message.

    Raises:
        ProtoError: with the text that protojson gives for it.

    """
    try:
        document = msgspec.json.decode(raw)
        if not has_duplicate_keys(raw, document):
            return _message(message, document)
        misfit = None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtoError(PROTO + _syntax_reason(raw, error)) from None
    except RecursionError:
        raise ProtoError(f"{PROTO}exceeded max recursion depth") from None
    except _Misfit as found:
        misfit = found
    try:
        text = raw.decode()
        located = parse_located(text)
    except (ValueError, RecursionError):
        raise ProtoError(f"{PROTO}exceeded max recursion depth") from None
    duplicate = _duplicate(message, located)
    if duplicate is not None:
        entry, kind = duplicate
        place = _place(text, entry.offset)
        raise ProtoError(f"{PROTO}{place}: duplicate {kind} {entry.token}")
    if misfit is None:
        raise AssertionError("a text without duplicates is not read again")
    offset, token = _find(located, misfit)
    raise ProtoError(PROTO + misfit.text.replace("{place}", _place(text, offset)).replace("{token}", token))


def _place(text: str, offset: int) -> str:
    before = text[:offset]
    return f"(line {before.count(chr(10)) + 1}:{offset - (before.rfind(chr(10)) + 1) + 1})"


def _find(located: Located, misfit: _Misfit) -> tuple[int, str]:
    """Return where a misfit is, and the token there."""
    steps = misfit.path[::-1]
    for index, step in enumerate(steps):
        value = located.value
        if isinstance(value, LocatedObject):
            entry = next(entry for entry in value.entries if entry.key == step)
            if misfit.at_key and index == len(steps) - 1:
                return entry.offset, entry.token
            located = entry.value
        else:
            located = value[step]
    return located.offset, located.token


def _duplicate(message: Message | None, located: Located) -> tuple[Entry, str] | None:
    """Return the first key that is given twice in its object, and what protojson calls it."""
    value = located.value
    if isinstance(value, list):
        inside = (_duplicate(message, each) for each in value)
        return next((found for found in inside if found is not None), None)
    if not isinstance(value, LocatedObject):
        return None
    seen: set[str] = set()
    for entry in value.entries:
        known = None if message is None else message.field(entry.key)
        name = entry.key if known is None else known[0]
        if name in seen:
            return entry, "map key" if message is None else "field"
        seen.add(name)
        inner = _duplicate(None if known is None or known[1].mapped else known[1].message, entry.value)
        if inner is not None:
            return inner
    return None


_KEY = re.compile(rb'"[ \t\r\n]*:')


def has_duplicate_keys(raw: bytes, document: object) -> bool:
    """Whether any object of a JSON text has a key twice, which the decoded `document` does not show.

    As many keys in the text as in the document mean that none is twice. What looks like a key within a string is in
    both, but where the text spells a quote as an escape of its own; then, and where the numbers differ, each object
    is looked at.
    """
    if b"\\u" not in raw and len(_KEY.findall(raw)) == len(_KEY.findall(msgspec.json.encode(document))):
        return False
    doubled = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal doubled
        doubled = doubled or len({key for key, _ in pairs}) < len(pairs)

    json.loads(raw, object_pairs_hook=note)
    return doubled


_FIRST_TOKEN = re.compile(r"[-+._a-zA-Z0-9]{1,32}|.", re.DOTALL)


def _syntax_reason(raw: bytes, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError) or "utf-8" in str(error).lower():
        return "syntax error (line 1:1): invalid UTF-8 in string"
    text = raw.decode("utf-8", "replace").lstrip()
    try:
        value_end(raw)
    except GoSyntaxError as fault:
        if "EOF" in str(fault):
            return "unexpected EOF"
    token = _FIRST_TOKEN.match(text)
    return f"syntax error (line 1:1): invalid value {token.group() if token else ''}"


def _message(message: Message, document: object) -> dict[str, Any]:
    """Turn parsed JSON into a message's fields."""
    if not isinstance(document, dict):
        raise _Misfit(_UNEXPECTED)
    fields: dict[str, Any] = {}
    groups: set[str] = set()
    for key, value in document.items():
        found = message.field(key)
        if found is None:
            raise _Misfit("{place}: unknown field {token}", at_key=True).within(key)
        name, field = found
        if value is None and field.kind != "value":
            continue
        if name in fields:
            raise _Misfit("{place}: duplicate field {token}", at_key=True).within(key)
        if field.group:
            if field.group in groups:
                oneof = f"{PACKAGE}.{message.name}.{field.group}"
                text = f"{{place}}: error parsing {{token}}, oneof {oneof} is already set"
                raise _Misfit(text, at_key=True).within(key)
            groups.add(field.group)
        try:
            fields[name] = _field(name, field, value)
        except _Misfit as misfit:
            raise misfit.within(key) from None
    return fields


def _field(name: str, field: Field, value: object) -> Any:
    if field.repeated:
        if not isinstance(value, list):
            raise _Misfit(_UNEXPECTED)
        return [_element(name, field, item, index) for index, item in enumerate(value)]
    if field.mapped:
        if not isinstance(value, dict):
            raise _Misfit(_UNEXPECTED)
        return {entry: _element(name, field, item, entry) for entry, item in value.items()}
    return _single(name, field, value)


def _element(name: str, field: Field, value: object, step: str | int) -> Any:
    try:
        return _single(name, field, value)
    except _Misfit as misfit:
        raise misfit.within(step) from None


def _single(name: str, field: Field, value: object) -> Any:
    kind = field.kind
    if kind == "message":
        assert field.message is not None  # noqa: S101  the tables say so
        return _message(field.message, value)
    if kind == "value" or (kind == "struct" and isinstance(value, dict)):
        return value
    if kind == "struct":
        raise _Misfit(_UNEXPECTED)
    read = _READERS[kind](field, value)
    if read is None:
        if isinstance(value, (dict, list)):
            raise _Misfit(_UNEXPECTED)
        if kind == "timestamp":
            raise _Misfit("{place}: invalid google.protobuf.Timestamp value {token}")
        raise _Misfit(f"{{place}}: invalid value for {kind} field {json_name(name)}: {{token}}")
    return read


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
