"""The reads of random readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.reported import Field, ReportedFamily, count, declared

if TYPE_CHECKING:
    from kfp_perf.metrics.metric import Metric

_FIELDS = (
    count("reads", "Reads that were answered, or whose object was gone."),
    count("failed", "Reads that failed."),
    count("gone", "Reads of objects that had been deleted since a list showed them."),
    count(
        "nothing_to_get",
        "Reads of details while no object of their kind was known: a list was read instead.",
    ),
    count("later_pages", "Pages of lists after the first."),
    Field("deepest_page", Unit.COUNT, "The largest number of a page that was read, from 1.", max),
)


class ReadMetrics(ReportedFamily):
    """Reads of lists and details."""

    key: ClassVar[str] = "reads"
    fields: ClassVar[tuple[Field, ...]] = _FIELDS
    metrics: ClassVar[tuple[Metric, ...]] = declared("reads", "the readers' own counters", _FIELDS)
