"""Lists: page sizes, sorting, page tokens, and the SQL of one page.

Follows backend/src/apiserver/list/list.go of kubeflow/pipelines. A token names the first row of the next page;
namespace, experiment and page size are not in it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.protocol.errors import invalid_input, invalid_input_details
from kfp_emulator.protocol.filters import Clause, Filter, filter_from_token, parse_filter, tag_clauses
from kfp_emulator.protocol.go_json import GoSyntaxError, whole_value

if TYPE_CHECKING:
    from kfp_emulator.protocol.listable import Listable

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 200
METRIC_COLUMN = "sort_metric_value"
_IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,127}\Z", re.ASCII)
_METRIC_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """One list request: how many rows, in which order, from which row on, and which of them."""

    page_size: int
    sort_field: str
    sort_column: str
    sort_prefix: str
    key_prefix: str
    model: str
    descending: bool = False
    sort_value: Any = None
    key_value: str | None = None
    filter: Filter | None = None

    def matches(self, other: ListOptions) -> bool:
        """Return whether a repeated sort_by and filter are those of the token, by KFP's own comparison."""
        same_order = (self.sort_field, self.sort_prefix, self.descending) == (
            other.sort_field,
            other.sort_prefix,
            other.descending,
        )
        if not same_order or (self.filter is None) != (other.filter is None):
            return False
        if self.filter is None or other.filter is None:
            return True
        return other.filter.exact and _without_empty(self.filter) == _without_empty(other.filter)

    def token(self, sort_value: Any, key_value: str) -> str:
        """Write the token of the page that begins with the given row."""
        document = {
            "SortByFieldName": self.sort_field,
            "SortBySQLColumn": self.sort_column,
            "SortByFieldValue": sort_value,
            "SortByFieldPrefix": self.sort_prefix,
            "KeyFieldName": "UUID",
            "KeyFieldValue": key_value,
            "KeyFieldPrefix": self.key_prefix,
            "IsDesc": self.descending,
            "ModelName": self.model,
            "Filter": self.filter.sections if self.filter and self.filter.sections else None,
        }
        return base64.b64encode(msgspec.json.encode(document)).decode()


def _without_empty(filter_: Filter) -> dict[str, dict[str, list[Any]]]:
    return {name: columns for name, columns in filter_.sections.items() if columns}


def read_page_size(size: int) -> int:
    """Apply the default and the limit.

    Raises:
        ApiFault: 400, it is negative.

    """
    if size < 0:
        raise invalid_input(f"The page size should be greater than 0. Got {size}")
    return min(size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def read_options(
    listable: Listable,
    *,
    page_token: str,
    page_size: int,
    sort_by: str,
    filter_spec: str,
    taggable: bool = False,
) -> ListOptions:
    """Read the parameters that all lists share.

    Raises:
        ApiFault: 400, with KFP's text.

    """
    if not page_token:
        return _fresh_options(listable, page_size, sort_by, filter_spec, taggable=taggable)
    options = _options_from_token(page_token, read_page_size(page_size))
    if sort_by or filter_spec:
        again = _fresh_options(listable, page_size, sort_by, filter_spec, taggable=taggable)
        if not options.matches(again):
            raise invalid_input(
                "page token does not match the supplied sort by and/or filtering criteria. Either specify the same "
                "criteria or leave the latter empty if page token is specified"
            )
        if again.filter is not None and again.filter.tags:  # tags travel beside the token, not in it
            return replace(options, filter=again.filter)
    return options


def _fresh_options(
    listable: Listable, page_size: int, sort_by: str, filter_spec: str, *, taggable: bool
) -> ListOptions:
    parsed = parse_filter(filter_spec, listable, taggable=taggable)
    size = read_page_size(page_size)
    words = sort_by.lower().split()
    if len(words) > 2 or (len(words) == 2 and words[1] not in {"asc", "desc"}):
        raise invalid_input(
            f'Received invalid sort by format "{sort_by}". Supported format: "field_name", "field_name desc", '
            'or "field_name asc"'
        )
    name = column = "CreatedAtInSec"
    prefix = listable.prefix
    if words:
        field = listable.fields.get(words[0])
        if field is not None:
            name = column = field
        elif listable.with_metrics and words[0].startswith("metric:"):
            name, column, prefix = words[0].removeprefix("metric:"), METRIC_COLUMN, ""
        else:
            raise invalid_input(f'Invalid sorting field: "{words[0]}" on listable type {listable.kind}')
    return ListOptions(
        page_size=size,
        sort_field=name,
        sort_column=column,
        sort_prefix=prefix,
        key_prefix=listable.prefix,
        model=listable.model,
        descending=len(words) == 2 and words[1] == "desc",
        filter=parsed,
    )


class _Token(msgspec.Struct, rename="pascal"):
    sort_by_field_name: str = ""
    sort_by_sql_column: str = msgspec.field(default="", name="SortBySQLColumn")
    sort_by_field_value: str | int | float | bool | None = None
    sort_by_field_prefix: str = ""
    key_field_name: str = ""
    key_field_value: str | int | float | bool | None = None
    key_field_prefix: str = ""
    is_desc: bool = False
    model_name: str = ""
    filter: Any = None


def _options_from_token(page_token: str, page_size: int) -> ListOptions:
    decoded = b""
    try:
        decoded = base64.b64decode(page_token, validate=True)
        token = msgspec.json.decode(decoded, type=_Token)
        parsed = filter_from_token(token.filter)
    except binascii.Error:
        raise invalid_input_details("Invalid page token", _base64_fault(page_token)) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise invalid_input_details("Invalid page token", _json_fault(decoded) or str(error)) from None
    name_pattern = _METRIC_NAME if token.sort_by_sql_column == METRIC_COLUMN else _IDENTIFIER
    checks = (
        (token.key_field_name, "key field name", _IDENTIFIER),
        (token.sort_by_field_name, "sort field name", name_pattern),
        (token.sort_by_sql_column, "sort SQL column", _IDENTIFIER),
        (token.model_name, "model name", _IDENTIFIER),
        (token.key_field_prefix.removesuffix("."), "key field prefix", _IDENTIFIER),
        (token.sort_by_field_prefix.removesuffix("."), "sort field prefix", _IDENTIFIER),
    )
    for value, what, pattern in checks:
        if value and not pattern.match(value):
            raise invalid_input(
                f'Invalid {what}: "{value}". Field names must start with a letter and contain only letters, '
                "numbers, and underscores (max 128 characters)"
            )
    return ListOptions(
        page_size=page_size,
        sort_field=token.sort_by_field_name,
        sort_column=token.sort_by_sql_column,
        sort_prefix=token.sort_by_field_prefix,
        key_prefix=token.key_field_prefix,
        model=token.model_name,
        descending=token.is_desc,
        sort_value=token.sort_by_field_value,
        key_value=None if token.key_field_value is None else str(token.key_field_value),
        filter=parsed,
    )


_BASE64 = re.compile(r"[A-Za-z0-9+/]*", re.ASCII)


def _base64_fault(text: str) -> str:
    """Return the error of Go's encoding/base64 for a text that it cannot decode."""
    good = _BASE64.match(text)
    return f"illegal base64 data at input byte {0 if good is None else good.end()}"


def _json_fault(raw: bytes) -> str:
    try:
        whole_value(raw)
    except GoSyntaxError as fault:
        return str(fault)
    return ""


def conditions_of(listable: Listable, options: ListOptions, scope: Clause) -> list[Clause]:
    """Return what a row must fulfil to be in the list, whatever the page.

    Raises:
        KeyError: a forged token names a column that does not exist.

    """
    conditions: list[Clause] = [scope]
    if options.filter is not None:
        conditions += options.filter.clauses(listable)
        conditions += tag_clauses(options.filter.tags)
    return conditions


def page_sql(
    listable: Listable, options: ListOptions, conditions: list[Clause], columns: str, *, few: bool = False
) -> tuple[str, list[Any]]:
    """Return the SQL of one page (one row more than it holds) and its parameters.

    The row's first two columns are its id and its sort value. `few` says that so few rows match that it is better
    to find and sort them than to walk the whole list in its order: unary pluses make SQLite do so.

    Raises:
        KeyError: a forged token names a column that does not exist.

    """
    by_metric = options.sort_column == METRIC_COLUMN
    # No v2 run has metrics: such a list is in the order of the ids.
    sort = "NULL" if by_metric else listable.column(options.sort_column)
    order, compare = ("DESC", "<=") if options.descending else ("ASC", ">=")
    key = "+id" if few else "id"
    sort_key = f"+{sort}" if few else sort
    start: list[Clause] = []
    if options.key_value is not None:
        if by_metric:
            start = [(f"{key} {compare} ?", [options.key_value])]
        elif options.sort_value is not None:
            start = [(f"({sort_key}, {key}) {compare} (?, ?)", [options.sort_value, options.key_value])]
    where = " AND ".join(condition for condition, _ in conditions + start)
    ordering = f"{key} {order}" if by_metric else f"{sort_key} {order}, {key} {order}"
    sql = f"SELECT id, {sort}, {columns} FROM {listable.table} WHERE {where} ORDER BY {ordering} LIMIT ?"  # noqa: S608  names come from the tables above
    parameters = [value for _, values in conditions + start for value in values]
    return sql, [*parameters, options.page_size + 1]
