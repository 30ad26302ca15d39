"""Where a JSON text is wrong, in the words of Go's encoding/json, and a parser that keeps positions.

The server reads bodies with encoding/json first (which finds the end of the value and syntax errors), then with
protojson. Both walk a text only to say what is wrong with it; texts that are right never come here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json import decoder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_scanstring: Callable[[str, int, bool], tuple[str, int]] = decoder.scanstring  # type: ignore[attr-defined]
_WHITESPACE = b" \t\r\n"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LITERALS = {b"t"[0]: b"true", b"f"[0]: b"false", b"n"[0]: b"null"}
_ESCAPES = b'"\\/bfnrt'


class GoSyntaxError(ValueError):
    """A text is no JSON; the message is that of encoding/json."""


def quoted_char(byte: int) -> str:
    """Write a byte as encoding/json does in its messages."""
    if byte == 0x27:
        return r"'\''"
    if byte == 0x22:
        return "'\"'"
    char = chr(byte)
    escaped = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
    if char in escaped:
        return f"'{escaped[char]}'"
    if char == "\\":
        return r"'\\'"
    if char.isprintable():
        return f"'{char}'"
    return f"'\\x{byte:02x}'" if byte < 0x80 else f"'\\u{byte:04x}'"


def whole_value(raw: bytes) -> None:
    """Check that a text is one JSON value and nothing else, as json.Unmarshal does.

    Raises:
        GoSyntaxError: with encoding/json's text.

    """
    end = value_end(raw, eof="unexpected end of JSON input")
    rest = raw[end:].lstrip(_WHITESPACE)
    if rest:
        raise GoSyntaxError(f"invalid character {quoted_char(rest[0])} after top-level value")


def value_end(raw: bytes, *, eof: str = "unexpected EOF") -> int:
    """Return where the first JSON value of a text ends; what follows is not looked at.

    Raises:
        GoSyntaxError: with encoding/json's text; `eof` is what it says where the text ends too early.

    """
    return _Scanner(raw, eof).value()


class _Scanner:
    """Walks one value without building it."""

    def __init__(self, raw: bytes, eof: str) -> None:
        self._raw = raw
        self._eof = eof
        self._at = 0

    def _wrong(self, context: str) -> GoSyntaxError:
        if self._at >= len(self._raw):
            return GoSyntaxError(self._eof)
        return GoSyntaxError(f"invalid character {quoted_char(self._raw[self._at])} {context}")

    def _peek(self) -> int:
        """Skip white space, and return the next byte; -1 at the end."""
        raw = self._raw
        while self._at < len(raw) and raw[self._at] in _WHITESPACE:
            self._at += 1
        return raw[self._at] if self._at < len(raw) else -1

    def value(self) -> int:
        open_: list[int] = []
        while True:
            byte = self._peek()
            if byte != -1 and byte in b"{[":
                self._at += 1
                if self._closes(byte):
                    self._at += 1
                else:
                    open_.append(byte)
                    if byte == b"{"[0]:
                        self._key()
                    continue
            else:
                self._scalar(byte)
            while open_:
                byte = self._peek()
                in_object = open_[-1] == b"{"[0]
                if byte == b","[0]:
                    self._at += 1
                    if in_object:
                        self._peek()
                        self._key()
                    break
                if byte != (b"}" if in_object else b"]")[0]:
                    raise self._wrong("after object key:value pair" if in_object else "after array element")
                self._at += 1
                open_.pop()
            else:
                return self._at

    def _closes(self, opening: int) -> bool:
        return self._peek() == {b"{"[0]: b"}"[0], b"["[0]: b"]"[0]}[opening]

    def _key(self) -> None:
        if self._peek() != b'"'[0]:
            raise self._wrong("looking for beginning of object key string")
        self._string()
        if self._peek() != b":"[0]:
            raise self._wrong("after object key")
        self._at += 1

    def _scalar(self, byte: int) -> None:
        if byte == b'"'[0]:
            self._string()
        elif byte in _LITERALS:
            word = _LITERALS[byte]
            for index in range(1, len(word)):
                self._at += 1
                if self._raw[self._at : self._at + 1] != word[index : index + 1]:
                    raise self._wrong(f"in literal {word.decode()} (expecting {quoted_char(word[index])})")
            self._at += 1
        elif byte != -1 and byte in b"-0123456789":
            found = _NUMBER.match(self._raw, self._at)
            if found is None:
                self._at += 1
                raise self._wrong("in numeric literal")
            self._at = found.end()
        else:
            raise self._wrong("looking for beginning of value")

    def _string(self) -> None:
        raw = self._raw
        self._at += 1
        while True:
            if self._at >= len(raw):
                raise self._wrong("")
            byte = raw[self._at]
            if byte == b'"'[0]:
                self._at += 1
                return
            if byte < 0x20:
                raise self._wrong("in string literal")
            if byte == b"\\"[0]:
                self._at += 1
                if raw[self._at : self._at + 1] == b"u":
                    for _ in range(4):
                        self._at += 1
                        if raw[self._at : self._at + 1] not in {
                            bytes([c]) for c in b"0123456789abcdefABCDEF"
                        }:
                            raise self._wrong("in \\u hexadecimal character escape")
                elif self._at >= len(raw) or raw[self._at] not in _ESCAPES:
                    raise self._wrong("in string escape code")
            self._at += 1


@dataclass(frozen=True, slots=True)
class Located:
    """A value with the offset of its first character, and its own text; of an object or a list the opening."""

    value: Any
    offset: int
    token: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of an object, with its offset and its text, and the value."""

    key: str
    offset: int
    token: str
    value: Located


@dataclass(frozen=True, slots=True)
class LocatedObject:
    """An object with all its entries in their order, those given twice too."""

    entries: list[Entry]


def parse_located(text: str) -> Located:
    """Parse a text that is known to be JSON, and keep where everything stands.

    Raises:
        ValueError, RecursionError: it is not, or too deep.

    """
    return _parse(text, _skip(text, 0))[0]


_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^ \t\r\n,\]}]+")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _parse(text: str, at: int) -> tuple[Located, int]:
    char = text[at : at + 1]
    if char == "{":
        return _parse_object(text, at)
    if char == "[":
        items = []
        after = _skip(text, at + 1)
        while text[after : after + 1] not in {"]", ""}:
            item, after = _parse(text, after)
            items.append(item)
            after = _skip(text, after)
            if text[after : after + 1] == ",":
                after = _skip(text, after + 1)
        return Located(items, at, "["), after + 1
    if char == '"':
        value, after = _scanstring(text, at + 1, True)
        return Located(value, at, text[at:after]), after
    found = _SCALAR.match(text, at)
    if found is None:
        raise ValueError("no JSON")
    return Located(json.loads(found.group()), at, found.group()), found.end()


def _parse_object(text: str, at: int) -> tuple[Located, int]:
    entries = []
    after = _skip(text, at + 1)
    while text[after : after + 1] == '"':
        start = after
        key, after = _scanstring(text, after + 1, True)
        token = text[start:after]
        value, after = _parse(text, _skip(text, _skip(text, after) + 1))
        entries.append(Entry(key, start, token, value))
        after = _skip(text, after)
        if text[after : after + 1] == ",":
            after = _skip(text, after + 1)
    return Located(LocatedObject(entries), at, "{"), after + 1
