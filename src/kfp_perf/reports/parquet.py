"""The tables as Parquet."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING

from kfp_perf.reports import needs
from kfp_perf.reports.tables import TABLES

if TYPE_CHECKING:
    from kfp_perf.result.folder import TestResult


def draw_parquet(result: TestResult) -> dict[str, bytes]:
    """A file a table. Raises `InputError` where pyarrow is not installed."""
    try:
        pa, pq = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise needs("pyarrow", "parquet") from None
    files = {}
    for name, rows in TABLES.items():
        found = list(rows(result))
        columns = dict.fromkeys(column for row in found for column in row)
        table = pa.table({column: [row.get(column) for row in found] for column in columns})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        files[f"{name}.parquet"] = buffer.getvalue()
    return files
