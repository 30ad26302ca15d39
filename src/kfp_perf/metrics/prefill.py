"""The rows that were created before the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kfp_perf.metrics.reported import Field, ReportedFamily, count, declared, seconds

if TYPE_CHECKING:
    from kfp_perf.metrics.metric import Metric

_FIELDS = (
    count("runs", "Runs created before the start."),
    count("experiments", "Experiments created before the start."),
    count("pipelines", "Pipelines created before the start."),
    count("versions", "Pipeline versions created before the start."),
    count("failed", "Rows that could not be created."),
    count("unfinished_runs", "Runs that were still in flight when the load started."),
    seconds("seconds", "How long their creation took."),
)


class PrefillMetrics(ReportedFamily):
    """Rows created before the start."""

    key: ClassVar[str] = "prefill"
    fields: ClassVar[tuple[Field, ...]] = _FIELDS
    metrics: ClassVar[tuple[Metric, ...]] = declared("prefill", "the preparation's own counters", _FIELDS)
