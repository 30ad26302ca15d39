"""Enumerations in JSON: written and read by the name of their member."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic_core import core_schema

from kfp_perf.scenario.quantities import complaint, format_value

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from enum import Enum

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

E = TypeVar("E", bound="Enum")


class EnumByName(Generic[E]):
    """Annotation for a pydantic field: JSON holds the member's name, Python the member.

    `earlier` maps names that are no longer used to a remedy; `context_key` names the entry of
    the validation context that holds further names, which stay strings.
    """

    def __init__(self, enum_type: type[E], earlier: Mapping[str, str], context_key: str) -> None:
        self.enum_type = enum_type
        self.earlier = earlier
        self.context_key = context_key

    def validate(self, value: Any, info: core_schema.ValidationInfo) -> E | str:
        """Return the member of that name, or the name itself where the context has it."""
        if isinstance(value, self.enum_type):
            return value
        more: Collection[str] = (info.context or {}).get(self.context_key, ()) if self.context_key else ()
        members = self.enum_type.__members__
        if isinstance(value, str):
            if value in members:
                return members[value]
            if value in more:
                return value
        names = sorted({*members, *more})
        what = f"must be one of {', '.join(names)}; got {format_value(value)}"
        if not isinstance(value, str):
            raise complaint(what)
        near = difflib.get_close_matches(value.upper().replace("-", "_"), names, n=1)
        if value in self.earlier:
            raise complaint(f"{format_value(value)} is an earlier name", self.earlier[value])
        raise complaint(what, f"did you mean {format_value(near[0])}?" if near else "")

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def name_of(member: E | str) -> str:
            return member if type(member) is str else member.name  # type: ignore[union-attr]

        return core_schema.with_info_plain_validator_function(
            self.validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                name_of, return_schema=core_schema.str_schema(), when_used="json-unless-none"
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.enum_type.__members__)}


class EnumSerDe(Generic[E]):
    """How an enumeration is read from JSON and written to it."""

    def __init__(self, enum_type: type[E]) -> None:
        self.enum_type = enum_type

    def enum_by_name(
        self, *, earlier: Mapping[str, str] | None = None, context_key: str = ""
    ) -> EnumByName[E]:
        """Return the annotation under which pydantic reads and writes members by their names.

        Used as `Annotated[TestMode, EnumSerDe(TestMode).enum_by_name()]`.
        """
        return EnumByName(self.enum_type, earlier or {}, context_key)
