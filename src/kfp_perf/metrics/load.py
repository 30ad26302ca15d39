"""What driving the load came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kfp_perf.metrics.metric import Metric, Unit
from kfp_perf.metrics.reported import Field, ReportedFamily, count, declared, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOURCE = "the load's own schedule"
_FIELDS = (
    count("started", "Operations that were started."),
    count("held_back", "Operations of an open load that `maxInFlight` made wait."),
    Field(
        "held_back_seconds",
        Unit.SECONDS,
        "How long they waited, in all.",
        lambda one, other: one + other,
    ),
    seconds("longest_hold_seconds", "The longest of these waits."),
    count("never_started", "Operations that were due, and held back until the end of the load."),
    Field(
        "idle_slot_seconds",
        Unit.SECONDS,
        "How long slots of a closed load stood empty after failures, in all.",
        lambda one, other: one + other,
    ),
    Field(
        "slot_seconds",
        Unit.SECONDS,
        "The slots of a closed load times how long the load wanted each.",
        lambda one, other: one + other,
    ),
)


class LoadMetrics(ReportedFamily):
    """Operations started, held back and never started; time that slots stood empty."""

    key: ClassVar[str] = "load"
    fields: ClassVar[tuple[Field, ...]] = _FIELDS
    metrics: ClassVar[tuple[Metric, ...]] = (
        *declared("load", _SOURCE, _FIELDS),
        Metric(
            "load.slot_time_lost",
            Unit.SHARE,
            "The share of slots times time in which slots of a closed load stood empty after failures.",
            _SOURCE,
            ("load", "slot_time_lost"),
            (),
            ("load", "started"),
        ),
    )

    def result(self) -> dict[str, Any]:
        """The report, with `slot_time_lost`; empty where nothing was driven."""
        report = super().result()
        return report | {"slot_time_lost": _lost(report)} if report else {}


def _lost(report: Mapping[str, Any]) -> float | None:
    whole = report.get("slot_seconds")
    return report.get("idle_slot_seconds", 0.0) / whole if whole else None
