"""YAML as KFP's API server reads it: gopkg.in/yaml.v3 into plain values, which then become JSON.

What a scalar means follows resolve.go of yaml.v3, and what becomes of values that JSON has not follows
sigs.k8s.io/yaml: yes, no, on and off are strings; 0777 and 0o777 are octal; 1_000 is a number; a date is the text
of its time; keys that are numbers or booleans become strings. A key given twice is an error.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 200
MAX_VALUES = 1_000_000
"""How many values a document may hold once its aliases are followed: more is a YAML bomb."""

_TAG = "tag:yaml.org,2002:"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INTEGER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)\Z", re.ASCII
)  # strconv.ParseInt with base 0
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)
_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:(?:(?P<t>[Tt])|[ ]+)(?P<hour>\d{1,2}):(?P<minute>\d{1,2}):(?P<second>\d{1,2})(?P<fraction>\.\d{1,9})?"
    r"(?P<zone>Z|[-+]\d\d:\d\d)?)?\Z",
    re.ASCII,
)


class GoYamlError(ValueError):
    """A text is no YAML to yaml.v3; the message follows `yaml: `."""


def load_all(content: bytes | str) -> list[Any]:
    """Return the documents of a YAML stream as JSON values.

    Raises:
        GoYamlError: it is no YAML, a key is given twice, it nests deeper than 200, or aliases multiply it.

    """
    try:
        documents = list(_Builder(yaml.parse(content, Loader=_LOADER)).documents())
    except (yaml.YAMLError, RecursionError) as fault:
        # Newer versions of libyaml look ahead, and have a bound of their own.
        reason = " ".join(str(fault).split())
        raise GoYamlError("exceeded max depth" if "nesting depth" in reason else reason) from None
    except ValueError as fault:
        if isinstance(fault, GoYamlError):
            raise
        raise GoYamlError(str(fault)) from None
    for document in documents:
        _refuse_bomb(document)
    return documents


class _Builder:
    """Makes values from the events of a stream."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Any] = {}
        self._open: set[str] = set()
        self._depth = 0

    def documents(self) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield self._value(next(self._events))

    def _value(self, event: Any) -> Any:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                raise GoYamlError(f"anchor '{event.anchor}' value contains itself")
            if event.anchor not in self._anchors:
                raise GoYamlError(f"unknown anchor '{event.anchor}' referenced")
            return self._anchors[event.anchor]
        value = _scalar(event) if isinstance(event, yaml.ScalarEvent) else self._collection(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _collection(self, event: Any) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise GoYamlError("exceeded max depth")
        if event.anchor is not None:
            self._open.add(event.anchor)
        if isinstance(event, yaml.MappingStartEvent):
            value: Any = self._mapping()
        else:
            value = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                value.append(self._value(inner))
        self._open.discard(event.anchor)
        self._depth -= 1
        return value

    def _mapping(self) -> dict[str, Any]:
        lines: dict[str, int] = {}
        own: dict[str, Any] = {}
        merged: list[Any] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                raise GoYamlError(f"line {line}: invalid map key")
            if isinstance(event, yaml.ScalarEvent):
                if event.value in lines:
                    before = lines[event.value]
                    raise GoYamlError(
                        f'unmarshal errors:\n  line {line}: mapping key "{event.value}" already defined at line '
                        f"{before}"
                    )
                lines[event.value] = line
            if _is_merge(event):
                merged.append(self._value(next(self._events)))
                continue
            key = _key(self._value(event))
            own[key] = self._value(next(self._events))
        return _merge(merged) | own if merged else own


def _is_merge(event: Any) -> bool:
    return (
        isinstance(event, yaml.ScalarEvent)
        and event.value == "<<"
        and (event.tag == f"{_TAG}merge" or (event.tag is None and event.implicit[0]))
    )


def _merge(values: list[Any]) -> dict[str, Any]:
    """Return what merge keys bring along: of several mappings the first one counts."""
    result: dict[str, Any] = {}
    for value in values:
        for mapping in reversed(value if isinstance(value, list) else [value]):
            if not isinstance(mapping, dict):
                raise GoYamlError("map merge requires map or sequence of maps as the value")
            result |= mapping
    return result


def _key(value: Any) -> str:
    """Return a key as JSON has it (convertToJSONableObject of sigs.k8s.io/yaml)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    if isinstance(value, (int, float)):
        return str(int(value)) if value == int(value) else repr(value)
    raise GoYamlError(f"unsupported map key of type: {'null' if value is None else type(value).__name__}")


def _scalar(event: Any) -> Any:
    """Return what a scalar means, by its tag or by its look (resolve.go)."""
    text, tag = event.value, event.tag
    if tag is None or tag == "!":
        return resolve(text) if tag is None and event.implicit[0] else text  # only what is plain, not quoted
    if not tag.startswith(_TAG):
        return text  # tags that yaml.v3 does not have leave the text as it is
    kind = tag.removeprefix(_TAG)
    if kind == "binary":
        return _binary(text)
    if kind not in {"null", "bool", "int", "float", "timestamp"}:
        return text
    value = resolve(text)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "timestamp":
        fits = _timestamp(text) is not None
    else:
        types = {"null": type(None), "bool": bool, "int": int, "float": float}
        fits = type(value) is types[kind]
    if not fits:
        raise GoYamlError(f"cannot decode !!str `{text}` as a !!{kind}")
    return value


def _binary(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise GoYamlError("!!binary value contains invalid base64 data") from None


def resolve(text: str) -> Any:
    """Return what a plain scalar without a tag means to yaml.v3, with a time as the text that JSON gets."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    moment = _timestamp(text)
    if moment is not None:
        return moment
    plain = text if text[0] == "." else text.replace("_", "")
    if _INTEGER.match(plain):
        number = _integer(plain)
        if -(1 << 63) <= number < 1 << 64:
            return number
    if _FLOAT.match(plain):
        return float(plain)
    return text


def _integer(text: str) -> int:
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _timestamp(text: str) -> str | None:
    """Return a time as yaml.v3 writes it again (RFC 3339), None where a text is none."""
    found = _TIME.match(text)
    if found is None or (found["zone"] and not found["t"]) or (found["t"] and not found["zone"]):
        return None
    parts = [int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
    try:
        moment = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        return None
    zone = found["zone"] or "Z"
    if zone != "Z":
        if timedelta(hours=int(zone[1:3]), minutes=int(zone[4:])) >= timedelta(days=1):
            return None
        zone = "Z" if zone[1:] == "00:00" else zone
    fraction = (found["fraction"] or "").rstrip("0").rstrip(".")
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction + zone


def _refuse_bomb(document: Any) -> None:
    """Count values level by level as if every alias were written out, and stop early."""
    level, count = [document], 0
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
            count += 1
            if count + len(inner) > MAX_VALUES:
                raise GoYamlError("document contains excessive aliasing")
        if not inner:
            return
        level = inner
    raise GoYamlError("exceeded max depth")
