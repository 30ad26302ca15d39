"""The load that was driven, and whether the server kept up with it."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.in_flight import InFlight, figures_in_flight, reading_in, readings_of, together
from kfp_perf.metrics.metric import Metric, Unit
from kfp_perf.metrics.reported import Field, ReportedFamily, count, declared, seconds
from kfp_perf.result.records import Outcome
from kfp_perf.statistics.backlog import FIRST_RUNS, Flow, judge_backlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.result.records import RunRecord
    from kfp_perf.result.scenario_writer import ScenarioInfo, StateLine

_SOURCE = "the load's own schedule"
_BACKLOG_SOURCE = "when runs were due, and when a client could see their ends"
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
    count("never_started", "Operations that were due, but held back until the end of the load."),
    Field(
        "idle_slot_seconds",
        Unit.SECONDS,
        "How long slots of a closed load were idle after failures, in total.",
        lambda one, other: one + other,
    ),
    Field(
        "slot_seconds",
        Unit.SECONDS,
        "The slots of a closed load, integrated over the time of the load.",
        lambda one, other: one + other,
    ),
)


class LoadMetrics(ReportedFamily):
    """Operations by how they started, slot time lost, and whether the server fell behind."""

    key: ClassVar[str] = "load"
    fields: ClassVar[tuple[Field, ...]] = _FIELDS
    metrics: ClassVar[tuple[Metric, ...]] = (
        *declared("load", _SOURCE, _FIELDS),
        Metric(
            "load.in_flight",
            Unit.COUNT,
            "How many runs or requests of the load were in flight, read once a second; of the whole test those "
            "of all scenarios together.",
            "the counters of the scenarios",
            ("load", "in_flight"),
            ("max", "mean"),
            ("load", "in_flight", "n"),
        ),
        Metric(
            "load.slot_time_lost",
            Unit.SHARE,
            "The share of the slot time of a closed load that was idle after failures.",
            _SOURCE,
            ("load", "slot_time_lost"),
            (),
            ("load", "started"),
        ),
        Metric(
            "load.fell_behind",
            Unit.COUNT,
            "1 where the server fell behind an open load or schedules, else 0; see *Falling behind*.",
            _BACKLOG_SOURCE,
            ("load", "fell_behind"),
            absent="the load is closed, or was too short to judge",
        ),
        Metric(
            "load.lag",
            Unit.SECONDS,
            "How long ago the first run that has not left was due, at the end of the load.",
            _BACKLOG_SOURCE,
            ("load", "lag_seconds"),
            (),
            ("load", "judged_runs"),
        ),
        Metric(
            "load.lag.growth",
            Unit.CHANGE,
            "By how many seconds a second the lag grew.",
            _BACKLOG_SOURCE,
            ("load", "lag_growth"),
            (),
            ("load", "judged_runs"),
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self._info: ScenarioInfo | None = None
        self._due = array("d")
        self._left = array("d")
        self._visible: list[tuple[float, float]] = []
        self._readings: list[tuple[float, float]] = []
        self._merged: list[InFlight] = []

    def on_state(self, line: StateLine) -> None:
        """Keep the last report, and what was in flight."""
        super().on_state(line)
        self._readings.append(reading_in(line.counters))

    def merge(self, other: Self) -> None:
        """Join the figures that can be."""
        super().merge(other)
        self._merged += other._in_flight()

    def on_info(self, info: ScenarioInfo) -> None:
        """Keep when the load began and ended."""
        self._info = info

    def on_run(self, record: RunRecord) -> None:
        """Record when a run was due and when it left: its end was seen, or it was refused or lost."""
        left = record.left
        self._due.append(record.due)
        self._left.append(left)
        if record.outcome is Outcome.SUCCEEDED and len(self._visible) < FIRST_RUNS:
            self._visible.append((left, left - record.due))

    def result(self) -> dict[str, Any]:
        """The report with `slot_time_lost`, and whether the server fell behind; empty where nothing was driven."""
        report = super().result()
        backlog = self._backlog()
        if not report and not backlog:
            return {}
        in_flight = figures_in_flight(together(self._in_flight()))
        return report | {"slot_time_lost": _lost(report), "in_flight": in_flight} | backlog

    def _in_flight(self) -> list[InFlight]:
        """What was in flight in each scenario, from the end of its warm-up to the end of its load."""
        if (info := self._info) is None:
            return self._merged
        begin = max(info.start_at, info.measured_from)
        return [readings_of(self._readings).within(begin, info.load_end), *self._merged]

    def may_have_fallen_behind(self) -> bool:
        """Whether the server fell behind an open load, or that is not known."""
        found = self._backlog()
        return bool(found) and found["fell_behind"] != 0

    def _backlog(self) -> dict[str, Any]:
        info = self._info
        if info is None or not info.open_load or not self._due:
            return {}
        begin = min(self._due)
        last = max([info.load_end, *(left for left in self._left if left < math.inf)])
        flow = Flow.of_times(self._due, self._left, begin=begin, end=last)
        first = [seconds for _, seconds in sorted(self._visible)]
        found = judge_backlog(flow, first, load_end=info.load_end, warmup_end=info.measured_from)
        if not found.judged:
            return {"fell_behind": None, "fell_behind_reason": found.reason}
        return {
            "fell_behind": int(found.behind),
            "behind_since": found.since,
            "behind_since_seconds": None if found.since is None else found.since - info.start_at,
            "lag_seconds": found.lag,
            "lag_growth": found.growth,
            "offered_per_second": found.offered,
            "completed_per_second": found.completed,
            "judged_runs": len(self._due),
        }


def _lost(report: Mapping[str, Any]) -> float | None:
    whole = report.get("slot_seconds")
    return report.get("idle_slot_seconds", 0.0) / whole if whole else None
