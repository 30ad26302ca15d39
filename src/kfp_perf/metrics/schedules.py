"""What became of the schedules themselves; `schedule` has how well they kept time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kfp_perf.metrics.reported import Field, ReportedFamily, count, declared

if TYPE_CHECKING:
    from kfp_perf.metrics.metric import Metric

_FIELDS = (
    count("schedules", "Schedules that were created."),
    count("refused", "Schedules that the server refused."),
    count(
        "on_time",
        "First runs of slots that were created within 40 s of their slot, the controller's own pace.",
    ),
    count("late", "First runs of slots that were created later than that."),
    count("missed", "Slots that got no run."),
    count("undecided", "Slots within a minute before their schedule was disabled that got no run."),
    count("pages", "Requests for new runs."),
    count("failures", "Polls for new runs that failed."),
)


class SchedulesMetrics(ReportedFamily):
    """Schedules created and refused, and what became of their slots."""

    key: ClassVar[str] = "schedules"
    fields: ClassVar[tuple[Field, ...]] = _FIELDS
    metrics: ClassVar[tuple[Metric, ...]] = declared("schedules", "the scenario's own counters", _FIELDS)
