"""The tables as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from kfp_perf.reports.tables import COLUMNS, TABLES

if TYPE_CHECKING:
    from kfp_perf.result.reader import TestResult

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def draw_csv(result: TestResult) -> dict[str, bytes]:
    """A file a table: UTF-8, comma-separated, with a header; what is not known is empty.

    A text that a spreadsheet would take for a formula has an apostrophe before it: names and messages come from
    the server.
    """
    files = {}
    for name, rows in TABLES.items():
        # Read twice rather than kept: there may be millions of rows.
        columns = dict.fromkeys(COLUMNS[name])
        for row in rows(result):
            columns |= dict.fromkeys(row)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows({column: plain_cell(value) for column, value in row.items()} for row in rows(result))
        files[f"{name}.csv"] = text.getvalue().encode(errors="replace")
    return files


def plain_cell(value: Any) -> Any:
    """A value as it is written: a text that a spreadsheet would take for a formula has an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
