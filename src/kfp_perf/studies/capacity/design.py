"""A search for the capacity as a study: each plateau is an execution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.errors import ExitCode
from kfp_perf.reports.capacity_words import load_words
from kfp_perf.reports.quantities import span_of
from kfp_perf.result.capacity import KIND
from kfp_perf.studies.capacity.conclusion import conclude
from kfp_perf.studies.capacity.course import UNUSABLE, course_of
from kfp_perf.studies.capacity.guard import CliffGuard
from kfp_perf.studies.capacity.plateau import PlannedPlateau
from kfp_perf.studies.capacity.scenarios import overrides_of
from kfp_perf.studies.capacity.search import SearchEnd, answer
from kfp_perf.studies.study import PlannedExecution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kfp_perf.plan import Plan
    from kfp_perf.result.capacity import CapacityRecord
    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.studies.capacity.course import Course
    from kfp_perf.studies.capacity.scenarios import Searched
    from kfp_perf.studies.capacity.search import SearchLimits
    from kfp_perf.studies.study import Executed

_DEFAULT_FAILURES = 0.05
_ENDED_BY = {
    ExitCode.INTERRUPTED: SearchEnd.INTERRUPTED,
    ExitCode.TARGET: SearchEnd.OUTAGE,
    ExitCode.BAD_INPUT: SearchEnd.OUTAGE,
    ExitCode.INVALID: SearchEnd.INVALID,
}


@dataclass(frozen=True, slots=True, eq=False)
class CapacitySearch:
    """The design of a search: which scenario of a plan it varies, and within which limits.

    `first_seed` is the seed of the emulator in the first execution, and each later one gets the next.
    """

    plan: Plan
    searched: Searched
    limits: SearchLimits
    first_seed: int | None = None

    @property
    def kind(self) -> str:
        """The kind of study."""
        return KIND

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the search was asked for."""
        limits = self.limits
        return {
            "scenario": self.searched.name,
            "first_rate": limits.first_rate,
            "highest_rate": None if limits.highest_rate == math.inf else limits.highest_rate,
            "precision": limits.precision,
            "longest_seconds": None if limits.longest_seconds == math.inf else limits.longest_seconds,
            "confirm": limits.confirm,
        }

    @property
    def planned(self) -> int | None:
        """Unknown: the results decide it."""
        return None

    def next(self, done: Sequence[Executed]) -> PlannedExecution | None:
        """The next plateau, if one is needed."""
        course = course_of(self.limits, self.searched, done)
        step = course.following
        if not isinstance(step, PlannedPlateau):
            return None
        words = load_words(step.rate, self.searched.operation, closed=self.limits.closed)
        return PlannedExecution(
            f"Plateau {len(done) + 1}, {step.part.value}: {words} for {span_of(step.load_seconds)}"
            + self._so_far(course),
            label=f"{step.part.value}: {words}",
            overrides=overrides_of(self.plan, self.searched, step),
            emulator_seed=None if self.first_seed is None else self.first_seed + len(done),
            stop_when=GuardedLoad(self.searched, step, CliffGuard(step, self._most_failures(step))),
            deletes_early=True,
        )

    def answer(self, done: Sequence[Executed]) -> Mapping[str, Any]:
        """A `CapacityRecord` of the plateaus so far, as plain values."""
        found: dict[str, Any] = msgspec.to_builtins(self.record(done))
        return found

    def exit_code(self, done: Sequence[Executed]) -> ExitCode:
        """Plateaus that fail are no failure: only a bound on the capacity is, and that no load held at all."""
        last = done[-1].exit_code if done else ExitCode.GOOD
        if last in UNUSABLE:
            return last
        record = self.record(done)
        if record.status == SearchEnd.INVALID:
            return ExitCode.INVALID
        if record.status == SearchEnd.NO_LOAD:
            return ExitCode.worst((last, ExitCode.FAILED))
        judged = [one.passed for one in record.bounds]
        return ExitCode.FAILED if not all(judged) or record.status == SearchEnd.BELOW else ExitCode.GOOD

    def record(self, done: Sequence[Executed]) -> CapacityRecord:
        """The result of the executions so far."""
        return conclude(
            self.limits,
            self.searched,
            course_of(self.limits, self.searched, done),
            ended=_ENDED_BY.get(done[-1].exit_code) if done else None,
            results={one.record.number: one.result for one in done},
            thresholds=self.plan.thresholds,
        )

    def _most_failures(self, step: PlannedPlateau) -> float:
        """How many operations may fail until it is certain that a bound on failures is not kept."""
        if self.limits.closed:
            return math.inf
        shares = []
        for one in self.plan.thresholds:
            if one.scenario in {None, self.searched.name}:
                if one.metric.name == "run.success_rate" and one.comparison.startswith(">"):
                    shares.append(1.0 - one.bound)
                elif one.metric.name.endswith(".error_rate") and one.comparison.startswith("<"):
                    shares.append(one.bound)
        if not shares:
            lifted = any(scenario in {None, self.searched.name} for scenario, _ in self.plan.lifted)
            shares.append(1.0 if lifted else _DEFAULT_FAILURES)
        # The highest of them, of all operations: a bound may be on one operation of many.
        return max(shares) * step.rate * step.load_seconds

    def _so_far(self, course: Course) -> str:
        """The bracket so far, for the line before a plateau."""
        found = answer(self.limits, course.plateaus)
        ends = (("at least", found.low), ("less than", found.high))
        known = [
            f"{word} {load_words(rate, self.searched.operation, closed=self.limits.closed)}"
            for word, rate in ends
            if rate is not None
        ]
        return f" (so far: {', '.join(known)})" if known else ""


class GuardedLoad:
    """The cliff guard as `StopWhen`: it looks at the counters of the searched scenario."""

    def __init__(self, searched: Searched, step: PlannedPlateau, guard: CliffGuard) -> None:
        self._searched = searched
        self._step = step
        self._guard = guard

    def __call__(self, counters: Mapping[str, ScenarioCounters], elapsed: float) -> str | None:
        """The reason to end the execution."""
        one = counters.get(self._searched.name)
        if one is None or self._searched.closed or elapsed >= self._step.load_seconds:
            return None
        runs = self._searched.starts_runs
        left = sum(one.outcomes.values()) if runs else one.operations
        failed = left - one.outcomes.get("succeeded", 0) if runs else one.errors
        return self._guard.look(elapsed, one.due, left, failed) or None
