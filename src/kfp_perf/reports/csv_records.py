"""Records as CSV: a column a field, a row a record."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.reports.csv_tables import plain_cell

if TYPE_CHECKING:
    from collections.abc import Iterable


def csv_of(kind: type[msgspec.Struct], records: Iterable[msgspec.Struct]) -> bytes:
    """The records of one kind; what has several values is joined by semicolons."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [one.name for one in msgspec.structs.fields(kind)]
    writer.writerow(names)
    for record in records:
        values = (getattr(record, name) for name in names)
        writer.writerow(
            [plain_cell("; ".join(value) if isinstance(value, tuple) else value) for value in values]
        )
    return text.getvalue().encode()
