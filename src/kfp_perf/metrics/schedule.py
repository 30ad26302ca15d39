"""How well the server kept to its schedules."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import Metric, Unit, distribution
from kfp_perf.metrics.summary import summary

if TYPE_CHECKING:
    from kfp_perf.result.records import RunRecord

_COUNTS = {
    "slots": "Times at which a schedule was due to start a run.",
    "started": "Slots that got a run.",
    "missed": "Slots that got no run.",
    "doubled": "Runs beyond the first of their slot.",
    "unscheduled": "Runs of a schedule that belong to none of its slots.",
}
_SOURCE = "the cron expression or interval, and the runs that carry the schedule's id"


class ScheduleMetrics(MetricFamily):
    """The runs that schedules started, compared with the slots that they were due in."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        *(
            Metric(f"schedule.{name}", Unit.COUNT, meaning, _SOURCE, ("schedule", name))
            for name, meaning in _COUNTS.items()
        ),
        Metric(
            "schedule.missed_rate",
            Unit.SHARE,
            "The share of slots that got no run.",
            _SOURCE,
            ("schedule", "missed_rate"),
            (),
            ("schedule", "slots"),
        ),
        distribution(
            "schedule.drift",
            "From a slot to the creation of its run. The controller checks every 30 s, so up to that is by design.",
            "the slot, and created_at of its first run",
            ("schedule", "drift_seconds"),
            error_path=("schedule", "drift_error_seconds"),
        ),
        Metric(
            "schedule.drift.error",
            Unit.SECONDS,
            "No drift is further off than this.",
            _SOURCE,
            ("schedule", "drift_error_seconds"),
            (),
            ("schedule", "drift_seconds", "n"),
        ),
    )

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._drift = array("d")
        self._worst_error = 0.0

    def on_run(self, record: RunRecord) -> None:
        """Record one run at its end, or one slot without a run."""
        if record.warmup or not record.recurring_run_id:
            return
        if record.slot is None:
            self._counts["unscheduled"] += 1
        elif record.doubled:
            self._counts["doubled"] += 1
        else:
            self._counts["slots"] += 1
            self._counts["started" if record.created else "missed"] += 1
            if record.drift_seconds is not None:
                self._drift.append(record.drift_seconds)
                self._worst_error = max(self._worst_error, record.drift_error_seconds or 0.0)

    def merge(self, other: Self) -> None:
        """Add what another scenario recorded."""
        self._counts.update(other._counts)
        self._drift.extend(other._drift)
        self._worst_error = max(self._worst_error, other._worst_error)

    def result(self) -> dict[str, Any]:
        """Counts and `drift_seconds`; empty where there was no schedule."""
        if not self._counts:
            return {}
        slots = self._counts["slots"]
        return {
            **{name: self._counts[name] for name in _COUNTS},
            "missed_rate": self._counts["missed"] / slots if slots else None,
            "drift_seconds": summary(self._drift),
            "drift_error_seconds": self._worst_error,
        }
