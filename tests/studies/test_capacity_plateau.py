"""Judging one plateau, while it runs and when it is over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.statistics.backlog import Flow, Slope
from kfp_perf.studies.capacity.design import GuardedLoad
from kfp_perf.studies.capacity.guard import NOT_KEEPING_UP, TOO_MANY_FAILURES, CliffGuard
from kfp_perf.studies.capacity.plateau import Part, PlannedPlateau, Plateau, growth_of
from kfp_perf.studies.capacity.scenarios import Searched

PLANNED = PlannedPlateau(Part.PLATEAU, 2.0, 60.0, 300.0, 30.0)


def judged(growth: float, error: float, part: Part = Part.PLATEAU, **rest: object) -> Plateau:
    planned = PlannedPlateau(part, 2.0, 60.0, 300.0, 30.0)
    return Plateau(planned, Slope(growth, error), 30.0, 400.0, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("growth", "error", "held"),
    [(0.0, 0.001, True), (0.024, 0.001, True), (0.03, 0.001, False), (0.03, 0.02, True), (-0.1, 0.01, True)],
)
def test_a_plateau_holds_unless_it_grows_by_more_than_the_bound_and_chance(
    growth: float, error: float, held: bool
) -> None:
    assert judged(growth, error).held is held
    assert judged(growth, error).kept_up is held


def test_a_plateau_in_which_a_threshold_is_not_kept_keeps_up_and_does_not_hold() -> None:
    one = judged(0.0, 0.001, broken=("run.success_rate is 90 %, not >= 95%",))
    assert one.kept_up
    assert not one.held


def test_the_ramp_is_judged_coarsely_and_a_few_runs_prove_nothing() -> None:
    assert judged(0.14, 0.001, Part.RAMP).held
    assert not judged(0.2, 0.001, Part.RAMP).held
    short = PlannedPlateau(Part.RAMP, 0.1, 90.0, 120.0, 60.0)
    assert Plateau(short, Slope(0.2, 0.05), 60.0, 200.0).held  # 2.4 runs
    assert not Plateau(short, Slope(0.7, 0.05), 60.0, 200.0).held


def test_the_growth_is_of_the_measured_time() -> None:
    due = np.arange(0.0, 360.0, 0.5)
    # The first runs take longer, while images are pulled.
    left = due + np.where(due < 20.0, 35.0, 20.0)
    growth = growth_of(Flow.of_times(due, left, begin=0.0, end=360.0), PLANNED, 360.0)
    assert growth is not None
    assert abs(growth.per_second) < 0.01


def flow_of(load: float, seed: int, seconds: int = 360) -> tuple[np.ndarray, np.ndarray]:
    """Runs due and left, by second, at a share of the capacity of a server; runs take 20 to 30 s on it."""
    random = np.random.default_rng(seed)
    due = np.arange(0.0, seconds, 0.5)
    free = np.maximum.accumulate(due + np.arange(due.size) * 0.0)
    if load > 1.0:
        free = np.maximum(due, np.arange(due.size) * 0.5 * load)
    left = np.sort(free + random.uniform(20.0, 30.0, due.size))
    moments = np.arange(1.0, seconds + 1.0)
    return np.searchsorted(due, moments, side="right"), np.searchsorted(left, moments, side="right")


def stopped_at(load: float, seed: int) -> tuple[int | None, str]:
    guard = CliffGuard(PLANNED)
    for second, (due, left) in enumerate(zip(*flow_of(load, seed), strict=True), start=1):
        if reason := guard.look(float(second), int(due), int(left)):
            return second, reason
    return None, ""


def test_the_guard_stops_an_overloaded_plateau_early_and_no_other() -> None:
    assert all(stopped_at(0.8, seed) == (None, "") for seed in range(20))
    for seed in range(20):
        second, reason = stopped_at(1.5, seed)
        assert second is not None
        assert 72 <= second < 180
        assert reason == NOT_KEEPING_UP


def test_the_guard_stops_when_too_many_failed() -> None:
    guard = CliffGuard(PLANNED, most_failures=30.0)
    assert not guard.look(10.0, 20, 20, failed=20)
    assert guard.look(30.0, 60, 60, failed=31) == TOO_MANY_FAILURES


def test_the_guard_survives_seconds_in_which_nobody_looked() -> None:
    guard = CliffGuard(PLANNED)
    due, left = flow_of(1.5, 0)
    reasons = [guard.look(float(second), int(due[second - 1]), int(left[second - 1])) for second in (90, 240)]
    assert not any(reasons[:1])
    assert reasons[-1] == NOT_KEEPING_UP


def counters(outcomes: dict[str, int], **rest: Any) -> dict[str, ScenarioCounters]:
    return {"load": ScenarioCounters(scenario="load", outcomes=outcomes, **rest)}


def test_the_guard_counts_runs_by_their_ends_and_reads_by_their_answers() -> None:
    runs = Searched("load", "PIPELINE_RUN", starts_runs=True, closed=False, load=2.0)
    stop = GuardedLoad(runs, PLANNED, CliffGuard(PLANNED, most_failures=10.0))
    assert stop(counters({"succeeded": 50, "failed": 5}, due=60), 30.0) is None
    assert stop(counters({"succeeded": 50, "failed": 9, "lost": 2}, due=60), 31.0) == TOO_MANY_FAILURES
    reads = Searched("load", "RANDOM_GETS", starts_runs=False, closed=False, load=2.0)
    stop = GuardedLoad(reads, PLANNED, CliffGuard(PLANNED, most_failures=10.0))
    assert stop(counters({}, due=60, operations=60, errors=10), 30.0) is None
    assert stop(counters({}, due=60, operations=60, errors=11), 31.0) == TOO_MANY_FAILURES
    # After the load, what is in flight drains.
    assert stop(counters({}, due=600, operations=10, errors=11), 360.0) is None
    assert stop({}, 10.0) is None
