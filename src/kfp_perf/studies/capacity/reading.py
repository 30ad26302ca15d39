"""A plateau as it is read from the result of its execution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.errors import ExitCode
from kfp_perf.judgement import Judged
from kfp_perf.result.capacity import PlateauRecord
from kfp_perf.result.records import Outcome
from kfp_perf.result.timestamps import epoch_of
from kfp_perf.statistics.backlog import Flow, Slope
from kfp_perf.studies.capacity.cause import CREATE, PhaseTimes
from kfp_perf.studies.capacity.plateau import Part, Plateau, growth_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kfp_perf.result.reader import ScenarioFiles, TestResult
    from kfp_perf.result.records import RunRecord
    from kfp_perf.result.study import ExecutionRecord
    from kfp_perf.studies.capacity.plateau import PlannedPlateau
    from kfp_perf.studies.capacity.scenarios import Searched

_OF_THE_BACKLOG = "load.fell_behind"
"""Judged by the plateau's own growth, which finds less than the rule for any load does."""
_OF_THE_CLEAN_UP = "cleanup."
"""What could not be deleted says nothing of the load."""


def read_plateau(
    result: TestResult, record: ExecutionRecord, searched: Searched, step: PlannedPlateau
) -> PlateauRecord | None:
    """Read what one execution showed of the searched scenario.

    None where nothing was due, as after a set-up that failed: such a plateau would seem to have held.
    """
    files = _files_of(result, searched.name)
    metrics = _metrics_of(result.document, searched.name)
    begin, end = load_of(files)
    flow = _flow(files, searched, begin, end)
    growth = Slope(0.0, 0.0) if searched.closed else growth_of(flow, step, end)
    _, completed = flow.rates(begin + step.fill_seconds, end)
    stopped = str((result.document.get("stopped_early") or {}).get("reason", ""))
    invalid = record.exit_code == ExitCode.INVALID
    if not (flow.due.size and flow.due[-1]) and not stopped and not invalid:
        return None
    latency, answered = _of_calls(metrics)
    runs = metrics.get("runs") or {}
    visible = (runs.get("visible_seconds") if searched.starts_runs else latency) or {}
    plateau = Plateau(
        step,
        growth,
        visible.get("p90"),
        0.0,
        broken=broken(result.document, searched.name, step),
        stopped=stopped,
    )
    return PlateauRecord(
        execution=record.number,
        part=step.part.value,
        rate=step.rate,
        fill_seconds=step.fill_seconds,
        measured_seconds=step.measured_seconds,
        held=plateau.held,
        kept_up=plateau.kept_up,
        growth=None if growth is None else growth.per_second,
        growth_error=None if growth is None else growth.error,
        completed=completed,
        visible_p50=visible.get("p50"),
        visible_p90=visible.get("p90"),
        latency_p95=latency.get("p95"),
        success_rate=runs.get("success_rate") if searched.starts_runs else answered,
        broken=plateau.broken,
        stopped=stopped,
        invalid=invalid,
        recovery_seconds=None if plateau.kept_up or stopped else _recovery(files, searched, end),
        seconds=max(0.0, (epoch_of(record.finished) or 0.0) - (epoch_of(record.started) or 0.0)),
    )


def plateau_of(record: PlateauRecord, step: PlannedPlateau) -> Plateau:
    """What the search needs to know of a plateau."""
    growth = None
    if record.growth is not None:
        growth = Slope(record.growth, record.growth_error or 0.0)
    return Plateau(step, growth, record.visible_p90, record.seconds, record.broken, record.stopped)


def broken(document: Mapping[str, Any], scenario: str, step: PlannedPlateau) -> tuple[str, ...]:
    """The thresholds that were not kept, in words; those of which there is too little data do not count."""
    return tuple(
        f"{one['metric']} {one['reason']}"
        for one in document.get("thresholds", ())
        if one["judged"] == Judged.NOT_KEPT
        and not (one["metric"] == _OF_THE_BACKLOG and one["scenario"] in {scenario, None})
        and not one["metric"].startswith(_OF_THE_CLEAN_UP)
        # A few runs do not tell 95 % from 92 %.
        and (step.part is Part.PLATEAU or not one["default"] or (one["margin"] or 0.0) < -0.1)
    )


def load_of(files: ScenarioFiles) -> tuple[float, float]:
    """When the load began and ended, in seconds since the Unix epoch."""
    info = files.info
    end = min(info.end_at, info.stopped_at) if info.stopped_at else info.end_at
    return info.start_at, max(info.start_at, end)


def left_at(record: RunRecord) -> float:
    """When a run left: its end was seen, or it was refused or lost; infinite where it did not."""
    if record.seen_finished is not None:
        return record.seen_finished
    if record.outcome in {Outcome.REFUSED, Outcome.LOST}:
        return record.seen_unfinished or record.ended or record.due
    return math.inf


def _flow(files: ScenarioFiles, searched: Searched, begin: float, end: float) -> Flow:
    """How many operations were due and had left, each second of the load."""
    if searched.starts_runs:
        runs = [(one.due, left_at(one)) for one in files.runs()]
        due, left = zip(*runs, strict=True) if runs else ((), ())
        return Flow.of_times(due, left, begin=begin, end=end)
    counted = [
        (one.get("at", 0.0) - begin, one.get("due", 0), one.get("operations", 0))
        for one in (line.counters for line in files.states())
    ]
    # Counters are taken about once a second, and both counts of one are of the same moment.
    columns = np.array([(0.0, 0, 0), *counted], dtype=np.float64).T
    moments = np.arange(1, int(end - begin) + 1)
    return Flow(begin, *(np.interp(moments, columns[0], column) for column in columns[1:]))


def _recovery(files: ScenarioFiles, searched: Searched, load_end: float) -> float | None:
    """From the end of the load until the last run had ended by itself; None where runs were terminated."""
    if not searched.starts_runs:
        return None
    left = [left_at(one) for one in files.runs()]
    last = max(left, default=math.inf)
    return max(0.0, last - load_end) if last < math.inf else None


def phase_times(result: TestResult, searched: Searched) -> PhaseTimes | None:
    """The phases of the runs of a plateau, in the order in which they were due; None for other operations."""
    if not searched.starts_runs:
        return None
    files = _files_of(result, searched.name)
    begin, _ = load_of(files)
    runs = sorted(files.runs(), key=lambda one: one.due)
    names = dict.fromkeys((CREATE, *(name for one in runs for name in one.phases if name != "submit")))
    return PhaseTimes(
        np.array([one.due - begin for one in runs]),
        {name: _seconds_in(name, runs) for name in names},
        np.array([left_at(one) < math.inf for one in runs], dtype=np.bool_),
    )


def _seconds_in(name: str, runs: Iterable[RunRecord]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([_phase(name, one) for one in runs], dtype=np.float64)


def _phase(name: str, run: RunRecord) -> float:
    create = run.ended - run.due if run.created and run.ended else math.nan
    if name == CREATE:
        return create
    seconds = run.phases.get(name, math.nan)
    if name == "queue" and "submit" in run.phases and not math.isnan(create):
        # The server stamps the creation before its throttle: that wait is CreateRun's.
        return max(0.0, seconds - max(0.0, create - run.phases["submit"]))
    return seconds


def _files_of(result: TestResult, name: str) -> ScenarioFiles:
    places = [str(one.get("name")) for one in result.given.get("scenarios", [])]
    return result.scenarios[places.index(name) if name in places else 0]


def _metrics_of(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for one in document.get("scenarios", ()):
        if one["name"] == name:
            metrics: Mapping[str, Any] = one["metrics"]
            return metrics
    return {}


def _of_calls(metrics: Mapping[str, Any]) -> tuple[Mapping[str, Any], float | None]:
    """The latency of the commonest operation of the load, and the share of all that were answered."""
    calls = {
        name: one for name, one in ((metrics.get("api") or {}).get("load") or {}).items() if "." not in name
    }
    if not calls:
        return {}, None
    commonest = max(calls.values(), key=lambda one: one["count"])
    count = sum(one["count"] for one in calls.values())
    return commonest.get("latency_seconds") or {}, sum(
        one["answered"] for one in calls.values()
    ) / count if count else None
