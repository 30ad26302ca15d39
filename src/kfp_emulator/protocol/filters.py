"""The `filter` parameter of lists: parsed as KFP parses it, carried in page tokens, and turned into SQL.

Follows backend/src/apiserver/filter/filter.go and server/list_request_util.go of kubeflow/pipelines: predicates
are ANDed, the text is URL-decoded a second time, and both spellings of the value fields are understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec

from kfp_emulator.protocol.errors import invalid_input, unknown_operation
from kfp_emulator.protocol.messages import FILTER
from kfp_emulator.protocol.wire import ProtoError, decode_message

if TYPE_CHECKING:
    from kfp_emulator.protocol.listable import Listable

SECTIONS: dict[str, tuple[str, str]] = {
    "EQUALS": ("EQ", "{column} = ?"),
    "NOT_EQUALS": ("NEQ", "{column} <> ?"),
    "GREATER_THAN": ("GT", "{column} > ?"),
    "GREATER_THAN_EQUALS": ("GTE", "{column} >= ?"),
    "LESS_THAN": ("LT", "{column} < ?"),
    "LESS_THAN_EQUALS": ("LTE", "{column} <= ?"),
    "IN": ("IN", ""),
    "IS_SUBSTRING": ("SUBSTRING", "{column} LIKE ?"),
}
"""Each operation's name in a page token, and its SQL (IN depends on how many values there are)."""

_SQL = dict(SECTIONS.values())

_VALUES = {
    "int_value": ("int32", int),
    "long_value": ("int64", int),
    "string_value": ("string", str),
    "timestamp_value": ("int64", int),
    "int_values": ("[]int32", list),
    "long_values": ("[]int64", list),
    "string_values": ("[]string", list),
}

Clause = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Filter:
    """The predicates of one list, under KFP's own column names, in the shape that a page token carries."""

    sections: dict[str, dict[str, list[Any]]]
    exact: bool = True
    """Whether the filter still equals itself after a trip through a token's JSON: KFP compares the two with
    reflect.DeepEqual, where numbers have become float64 and typed lists have become untyped ones."""
    tags: dict[str, str] = field(default_factory=dict)

    def clauses(self, listable: Listable) -> list[Clause]:
        """Return the SQL conditions, each with its parameters.

        Raises:
            KeyError: a key (of a forged token) is no column.

        """
        clauses: list[Clause] = []
        for section, columns in self.sections.items():
            for key, values in (columns or {}).items():
                column = listable.column(key)
                clauses.extend(_clause(section, column, value) for value in values)
        return clauses


def _clause(section: str, column: str, value: Any) -> Clause:
    if section == "IN":
        values = value or []
        if not values:
            return "0", []
        return f"{column} IN ({', '.join('?' * len(values))})", list(values)
    if section == "SUBSTRING":
        value = f"%{value}%"
    return _SQL[section].format(column=column), [value]


def tag_clauses(tags: dict[str, str]) -> list[Clause]:
    """Return the SQL conditions of the predicates on tags."""
    condition = "EXISTS (SELECT 1 FROM json_each(tags) WHERE key = ? AND value = ?)"
    return [(condition, [key, value]) for key, value in tags.items()]


def parse_filter(encoded: str, listable: Listable, *, taggable: bool = False) -> Filter | None:
    """Read the `filter` parameter; None where there is nothing to filter.

    Raises:
        ApiFault: 400, with KFP's text.

    """
    if not encoded:
        return None
    predicates = _parse_predicates(encoded)
    tags = _take_tags(predicates) if taggable else {}
    if not predicates:
        return Filter({}, tags=tags) if tags else None
    sections: dict[str, dict[str, list[Any]]] = {name: {} for name, _ in SECTIONS.values()}
    exact = True
    for predicate in predicates:
        operation, key, value = _check(predicate)
        sections[SECTIONS[operation][0]].setdefault(key, []).append(value)
        exact = exact and isinstance(value, str)
    for name, columns in sections.items():
        sections[name] = {_model_key(listable, key): values for key, values in columns.items()}
    return Filter(sections, exact, tags)


def _parse_predicates(encoded: str) -> list[dict[str, Any]]:
    decoded = _unescape(encoded)
    try:
        message = decode_message(FILTER, decoded)
    except ProtoError as error:
        raise invalid_input(f"failed to parse valid filter from {_quoted(encoded)}: {error}") from None
    predicates: list[dict[str, Any]] = message.get("predicates", [])
    return predicates


def _unescape(encoded: str) -> bytes:
    escape = re.search(r"%(?![0-9A-Fa-f]{2}).{0,2}", encoded, re.DOTALL)
    if escape:
        reason = f"invalid URL escape {_quoted(escape.group())}"
        raise invalid_input(f"failed to parse valid filter from {_quoted(encoded)}: {reason}")
    return unquote_to_bytes(encoded.replace("+", " "))


def _take_tags(predicates: list[dict[str, Any]]) -> dict[str, str]:
    """Split off the predicates on tags, which only test equality."""
    tags: dict[str, str] = {}
    for predicate in list(predicates):
        key = predicate.get("key", "")
        if not key.startswith("tags."):
            continue
        operation = predicate.get("operation", "OPERATION_UNSPECIFIED")
        if operation != "EQUALS":
            raise invalid_input(
                f"only EQUALS operation is supported for tag filtering, got {operation} for key {_quoted(key)}"
            )
        if "string_value" not in predicate:
            raise invalid_input(f"tag filter value must be a string for key {_quoted(key)}")
        tags[key.removeprefix("tags.")] = predicate["string_value"]
        predicates.remove(predicate)
    return tags


def _check(predicate: dict[str, Any]) -> tuple[str, str, Any]:
    operation = predicate.get("operation", "OPERATION_UNSPECIFIED")
    if operation not in SECTIONS:
        raise unknown_operation("Error using Filter.Predicate.Operation with go_client.Predicate_Operation")
    found = next((name for name in _VALUES if name in predicate), None)
    if found is None:
        raise invalid_input("Error using Filter.Predicate.Value with <nil>")
    go_type, shape = _VALUES[found]
    value = predicate[found]
    if shape is list:
        value = value.get("values", [])
    key = predicate.get("key", "")
    if not key:
        raise invalid_input(f"Predicate key cannot be empty for operation {operation} and value {value}")
    if operation == "IN":
        if shape is not list:
            raise invalid_input(f"cannot use IN operator with scalar type {go_type}")
    elif operation == "IS_SUBSTRING":
        if shape is not str:
            raise invalid_input(f"cannot use non string value type {go_type} with operator {operation}")
    elif shape is list:
        raise invalid_input(f"cannot use scalar operator {operation} on array type {go_type}")
    return operation, key, value


def _model_key(listable: Listable, key: str) -> str:
    name = listable.fields.get(key)
    if name is None:
        raise invalid_input(f"no support for filtering on unrecognized field {_quoted(key)}")
    return listable.prefix + name


def filter_from_token(document: Any) -> Filter | None:
    """Read the filter inside a page token.

    Raises:
        ValueError: it has another shape.

    """
    if document is None:
        return None
    try:
        sections = msgspec.convert(document, dict[str, dict[str, list[Any]] | None])
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    scalar = (str, int, float, type(None))
    for name, columns in sections.items():
        if name not in _SQL:
            raise ValueError(f"unknown section {name}")
        for value in (value for values in (columns or {}).values() for value in values):
            items = value if name == "IN" and isinstance(value, list) else [value]
            if not all(isinstance(item, scalar) for item in items):
                raise ValueError("a value of the filter is no scalar")
    return Filter({name: columns or {} for name, columns in sections.items()})


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
