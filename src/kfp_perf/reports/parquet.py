"""The tables as Parquet."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

from kfp_perf.reports import needs
from kfp_perf.reports.tables import COLUMNS, TABLES

if TYPE_CHECKING:
    from kfp_perf.result.reader import TestResult


def draw_parquet(result: TestResult) -> dict[str, bytes]:
    """A file a table. Raises `InputError` where pyarrow is not installed."""
    try:
        pa, pq = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise needs("pyarrow", "parquet") from None
    files = {}
    for name, rows in TABLES.items():
        columns: dict[str, list[Any]] = {column: [] for column in COLUMNS[name]}
        for place, row in enumerate(rows(result)):
            for column, value in row.items():
                columns.setdefault(column, [None] * place).append(value)
            for values in columns.values():
                values.extend([None] * (place + 1 - len(values)))
        table = pa.table(columns)
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        files[f"{name}.parquet"] = buffer.getvalue()
    return files
