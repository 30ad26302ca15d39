"""What runners report beside their operations and runs: the observer, reads, uploads, schedules, prefill."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.reported import Field, ReportedFamily, added, count, declared, seconds

if TYPE_CHECKING:
    from kfp_perf.metrics.metric import Metric

_OBSERVER = (
    count("ticks", "Polls of the runs in flight."),
    count("sweeps", "Sweeps over the list of runs in flight."),
    count("pages", "Requests for pages of lists."),
    count("gets", "Requests for single runs."),
    count("lookups", "Requests that searched runs by name."),
    count("rereadings", "Requests for runs that had ended, whose tasks were not complete yet."),
    count("incomplete", "Runs whose tasks were never complete: they have no phases."),
    count("adopted", "Runs whose creation got no answer, and that were found by name."),
    count("vanished", "Runs that were deleted by another client."),
    count("never_seen", "Runs whose creation got no answer, and that no list showed."),
    count("failures", "Requests of polls that failed."),
    count("clock_conflicts", "Runs whose times contradict each other, so that the server's clocks differ."),
    count("ends_seen", "Runs whose end was seen."),
    seconds(
        "seen_late_seconds",
        "The mean time between the last poll that showed a run in flight and the first that showed its end.",
    ),
    seconds("longest_seen_late_seconds", "The longest of these times."),
    seconds("poll_seconds", "The last pause between two polls."),
    seconds("longest_poll_seconds", "The longest pause between two polls."),
    Field(
        "shortest_poll_seconds",
        Unit.SECONDS,
        "The shortest pause between two polls.",
        min,
    ),
)


class ObservationMetrics(ReportedFamily):
    """Requests and pauses of the observer, its view of the server's clock, and the components of runs."""

    key: ClassVar[str] = "observer"
    fields: ClassVar[tuple[Field, ...]] = _OBSERVER
    metrics: ClassVar[tuple[Metric, ...]] = declared("observer", "the observer's own counters", _OBSERVER)

    def merge(self, other: Self) -> None:
        """Join the counters; components and the clock's offset are per scenario."""
        anomalies = added(self._report.get("anomalies") or {}, other._report.get("anomalies") or {})
        super().merge(other)
        if anomalies:
            self._report["anomalies"] = anomalies


_PREFILL = (
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
    fields: ClassVar[tuple[Field, ...]] = _PREFILL
    metrics: ClassVar[tuple[Metric, ...]] = declared("prefill", "the preparation's own counters", _PREFILL)


_READS = (
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
    fields: ClassVar[tuple[Field, ...]] = _READS
    metrics: ClassVar[tuple[Metric, ...]] = declared("reads", "the readers' own counters", _READS)


_SCHEDULES = (
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
    """Schedules created and refused, and their slots with and without a run."""

    key: ClassVar[str] = "schedules"
    fields: ClassVar[tuple[Field, ...]] = _SCHEDULES
    metrics: ClassVar[tuple[Metric, ...]] = declared("schedules", "the scenario's own counters", _SCHEDULES)


_UPLOADS = (
    count("pipelines", "Pipelines that were uploaded."),
    count("versions", "Pipeline versions that were uploaded."),
    count("failed", "Uploads that failed."),
    Field("size_bytes", Unit.COUNT, "The size of each upload, in bytes.", max),
)


class UploadMetrics(ReportedFamily):
    """Pipelines and versions uploaded."""

    key: ClassVar[str] = "uploads"
    fields: ClassVar[tuple[Field, ...]] = _UPLOADS
    metrics: ClassVar[tuple[Metric, ...]] = declared("uploads", "the uploaders' own counters", _UPLOADS)
