"""The requests of the observer, and its findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.reported import Field, ReportedFamily, added, count, declared, seconds

if TYPE_CHECKING:
    from kfp_perf.metrics.metric import Metric

_FIELDS = (
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
    fields: ClassVar[tuple[Field, ...]] = _FIELDS
    metrics: ClassVar[tuple[Metric, ...]] = declared("observer", "the observer's own counters", _FIELDS)

    def merge(self, other: Self) -> None:
        """Join the counters; components and the clock's offset are per scenario."""
        anomalies = added(self._report.get("anomalies") or {}, other._report.get("anomalies") or {})
        super().merge(other)
        if anomalies:
            self._report["anomalies"] = anomalies

    def result(self) -> dict[str, Any]:
        """The observer's report; empty where no run was followed."""
        return super().result()
