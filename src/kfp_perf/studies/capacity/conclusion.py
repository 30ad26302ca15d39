"""What follows from the plateaus of a search: the answer, what gave way first, and bounds on the capacity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kfp_perf.metrics.capacity import RATE
from kfp_perf.result.capacity import BoundRecord, CapacityRecord, CauseRecord, PhaseRecord
from kfp_perf.studies.capacity.cause import component_of, growths
from kfp_perf.studies.capacity.plateau import Part
from kfp_perf.studies.capacity.reading import phase_times
from kfp_perf.studies.capacity.saturation import signs_of
from kfp_perf.studies.capacity.search import SearchEnd, answer
from kfp_perf.thresholds import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kfp_perf.result.capacity import PlateauRecord
    from kfp_perf.result.reader import TestResult
    from kfp_perf.studies.capacity.course import Course
    from kfp_perf.studies.capacity.scenarios import Searched
    from kfp_perf.studies.capacity.search import SearchLimits
    from kfp_perf.thresholds import Threshold


def conclude(
    limits: SearchLimits,
    searched: Searched,
    course: Course,
    *,
    ended: SearchEnd | None,
    results: Mapping[int, TestResult],
    thresholds: Iterable[Threshold],
) -> CapacityRecord:
    """The result so far. `ended` is how the search was cut short, if it was; `results` are those of executions."""
    status = course.following if isinstance(course.following, SearchEnd) else ended
    found = answer(limits, course.plateaus)
    held, failed = _backlog_bracket(course.records)
    return CapacityRecord(
        scenario=searched.name,
        operation=searched.operation,
        closed=limits.closed,
        precision=limits.precision,
        first_rate=limits.first_rate,
        highest_rate=None if limits.highest_rate == math.inf else limits.highest_rate,
        status="" if status is None else status.value,
        rate=found.rate,
        low=found.low,
        high=found.high,
        held=found.bracket.held,
        failed=found.bracket.failed,
        backlog_held=held,
        backlog_failed=failed,
        plateaus=course.records,
        cause=_cause(searched, course.records, results),
        bounds=tuple(_bound(one, found.rate, found.low) for one in thresholds if one.metric.name == RATE),
    )


def _backlog_bracket(records: Sequence[PlateauRecord]) -> tuple[float | None, float | None]:
    """The highest load at which the backlog did not grow, and the lowest above it at which it did."""
    valid = [one for one in records if not one.invalid]
    held = max((one.rate for one in valid if one.kept_up and one.part == Part.PLATEAU.value), default=None)
    failed = min((one.rate for one in valid if not one.kept_up and one.rate > (held or 0.0)), default=None)
    return held, failed


def _cause(
    searched: Searched, records: Sequence[PlateauRecord], results: Mapping[int, TestResult]
) -> CauseRecord | None:
    """What gave way in the lowest plateau that did not hold; None where all held."""
    failed = [one for one in records if not one.held and not one.invalid]
    if not failed:
        return None
    first = min(failed, key=lambda one: one.rate)
    light = next((one for one in records if one.part == Part.LIGHT.value and not one.invalid), None)
    at_light = {} if light is None else results[light.execution].document.get("total") or {}
    evidence = signs_of(at_light, results[first.execution].document.get("total") or {})
    limit_times = None if first.kept_up else phase_times(results[first.execution], searched)
    if limit_times is None:
        return CauseRecord(
            component="unknown", execution=first.execution, thresholds=first.broken, evidence=evidence
        )
    light_times = None if light is None else phase_times(results[light.execution], searched)
    grown = growths(light_times, limit_times)
    component = component_of(grown)
    said = {one.component for one in evidence}
    if component == "unknown" and len(said) == 1:
        component = said.pop()
    return CauseRecord(
        component=component,
        execution=first.execution,
        phases=tuple(
            PhaseRecord(one.phase, one.light_seconds, one.limit_seconds, one.growth) for one in grown
        ),
        thresholds=first.broken,
        evidence=evidence,
    )


def _bound(threshold: Threshold, rate: float | None, low: float | None) -> BoundRecord:
    """Judge a bound on the capacity; a lower bound is kept too where all of an open interval lies above it."""
    value = rate if rate is not None else low
    kept = None if value is None else OPERATORS[threshold.comparison](value, threshold.bound)
    if rate is None and not (kept and threshold.comparison.startswith(">")):
        kept = None
    return BoundRecord(threshold.metric.name, threshold.condition, value, kept)
