"""What a list call asks for: scope, page, order and filter, as a query string."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import quote

import msgspec

from kfp_perf.client.messages import format_time

MAXIMUM_PAGE_SIZE = 200  # the server clamps larger ones

#: The variants of list reads, which cost a server differently. A read is of the first that fits.
VARIANTS = {
    "later_page": "pages after the first",
    "searched": "searches by a part of the name",
    "in_experiment": "lists within one experiment",
    "sorted": "lists in another order than newest first",
    "newest": "the newest first",
}


class Operator(StrEnum):
    """Comparisons that a filter can make."""

    EQUALS = "EQUALS"
    NOT_EQUALS = "NOT_EQUALS"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_EQUALS = "GREATER_THAN_EQUALS"
    LESS_THAN = "LESS_THAN"
    LESS_THAN_EQUALS = "LESS_THAN_EQUALS"
    IN = "IN"
    IS_SUBSTRING = "IS_SUBSTRING"


class Predicate(msgspec.Struct, frozen=True):
    """One condition on a key. A float is a time, in seconds since the Unix epoch; IN takes a tuple of texts."""

    key: str
    operator: Operator
    value: str | int | float | tuple[str, ...]

    def wire(self) -> dict[str, Any]:
        """The predicate as the server's JSON has it."""
        match self.value:
            case str():
                value: dict[str, Any] = {"string_value": self.value}
            case int():
                value = {"int_value": self.value}
            case float():
                value = {"timestamp_value": format_time(self.value)}
            case _:
                value = {"string_values": {"values": self.value}}
        return {"operation": self.operator.value, "key": self.key, **value}


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a list call asks for. Conditions of `filter` all have to hold; `sort_by` is `field [asc|desc]`.

    With a `page_token` the order and the filter are left out of the request: the token holds both, and the
    server refuses numeric, timestamp and IN predicates that come beside it.
    """

    namespace: str = ""
    experiment_id: str = ""
    page_token: str = ""
    page_size: int = 0
    sort_by: str = ""
    filter: tuple[Predicate, ...] = ()

    def next(self, page_token: str) -> ListQuery:
        """The query for a later page."""
        return msgspec.structs.replace(self, page_token=page_token)

    @property
    def variant(self) -> str:
        """Which of VARIANTS this read is."""
        if self.page_token:
            return "later_page"
        if any(predicate.operator is Operator.IS_SUBSTRING for predicate in self.filter):
            return "searched"
        if self.experiment_id:
            return "in_experiment"
        return "newest" if self.sort_by == "created_at desc" else "sorted"

    def encode(self) -> str:
        """The query string, with its question mark; empty where there is nothing to ask for."""
        fields: list[tuple[str, str]] = [
            ("namespace", self.namespace),
            ("experiment_id", self.experiment_id),
            ("page_token", self.page_token),
            ("page_size", str(self.page_size or "")),
        ]
        if not self.page_token:
            fields.append(("sort_by", self.sort_by))
            if self.filter:
                fields.append(("filter", encode_filter(self.filter)))
        return encode_fields(fields)


def encode_filter(predicates: tuple[Predicate, ...]) -> str:
    """The filter's JSON.

    The server decodes percent signs and plus signs in it a second time, so both are written as JSON escapes,
    which mean the same to a server that decodes once.
    """
    text = msgspec.json.encode({"predicates": [predicate.wire() for predicate in predicates]}).decode()
    return text.replace("%", "\\u0025").replace("+", "\\u002b")


def encode_fields(fields: list[tuple[str, str]]) -> str:
    """A query string of the fields that are not empty, with its question mark."""
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in fields if value)
    return f"?{pairs}" if pairs else ""
