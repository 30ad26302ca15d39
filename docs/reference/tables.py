"""Markdown tables, and the fields of a model as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(value: Any) -> str:
    """Return a value as JSON in a code span."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def fields_of(model: type[BaseModel]) -> str:
    """Return the fields of a model, with what each means, its unit, default and example."""
    rows = []
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        default = "required" if info.is_required() else code(info.get_default(call_default_factory=True))
        examples = info.examples or []
        rows.append(
            [
                f"`{info.alias or name}`",
                info.description or "",
                str(extra.get("unit", "")),
                "" if default == "`null`" and "unset" not in extra else str(extra.get("unset", default)),
                " or ".join(code(example) for example in examples),
            ]
        )
    return table(("field", "meaning", "unit", "default", "example"), rows)
