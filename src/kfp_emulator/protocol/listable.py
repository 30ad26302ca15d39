"""A resource that can be listed, and the names of its fields in the API, in page tokens and in the store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listable:
    """A resource that can be listed: what its fields are called in the API, in KFP's tables, and in ours."""

    kind: str
    """The Go type's name, which error texts use."""
    model: str
    """KFP's table, as a page token names it; empty for runs."""
    table: str
    """Our table."""
    fields: dict[str, str]
    """API name -> KFP's column."""
    columns: dict[str, str]
    """KFP's column -> our column."""
    with_metrics: bool = False
    unsortable: frozenset[str] = frozenset()
    """KFP's columns whose value no page token can hold (GetFieldValue of the Go type): a list sorted by one is
    refused where it has another page."""

    @property
    def prefix(self) -> str:
        """What KFP puts before a column in tokens and filters."""
        return f"{self.model}." if self.model else ""

    def column(self, key: str) -> str:
        """Return our column for a key of a token.

        Raises:
            KeyError: there is none.

        """
        return self.columns[key.rsplit(".", 1)[-1]]
