"""Uploads of pipelines and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.reported import Field, ReportedFamily, count, declared

if TYPE_CHECKING:
    from kfp_perf.metrics.metric import Metric

_FIELDS = (
    count("pipelines", "Pipelines that were uploaded."),
    count("versions", "Pipeline versions that were uploaded."),
    count("failed", "Uploads that failed."),
    Field("size_bytes", Unit.COUNT, "The size of each upload, in bytes.", max),
)


class UploadMetrics(ReportedFamily):
    """Pipelines and versions uploaded."""

    key: ClassVar[str] = "uploads"
    fields: ClassVar[tuple[Field, ...]] = _FIELDS
    metrics: ClassVar[tuple[Metric, ...]] = declared("uploads", "the uploaders' own counters", _FIELDS)
