"""The thresholds of a test while it runs: what each is so far, and which of them ends the test."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from kfp_perf.execution.watched_threshold import WatchedThreshold
from kfp_perf.metrics.windowed import Of
from kfp_perf.thresholds import SCENARIO_DEFAULTS, Threshold, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.execution.watched_threshold import Abort
    from kfp_perf.live.snapshot import ThresholdState
    from kfp_perf.plan import Plan
    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.scenario.model import TestScenario

LOOK_EVERY_SECONDS = 1.0
_LOOK_SECONDS_PER_SLICE = 1e-3
"""A look at a histogram costs about 5 us a slice, and all of them are to take less than 1 % of a core."""
_MOST_STATES = 50
_MOST_WINDOWED = 100


class ThresholdWatch:
    """Judges the thresholds of a plan by the counters of its scenarios, once a second.

    Default thresholds are among them where they can be judged meanwhile. Those that cannot are `at the end`.
    """

    def __init__(self, plan: Plan) -> None:
        self._scenarios = {one.name or "": one for one in plan.scenarios}
        self._taken = {(one.scenario, one.metric.name) for one in plan.thresholds} | set(plan.lifted)
        self._watched = [self._watch(one) for one in plan.thresholds]
        # Their memory is bounded: the rest is judged at the end, but for those that end the test.
        costly = [one for one in self._watched if one.costs_much and not one.threshold.abort_on_fail]
        self._unwatched = {id(one) for one in costly[_MOST_WINDOWED:]}
        self._defaults: dict[tuple[str, str], WatchedThreshold] = {}
        self._next = -math.inf
        self.states: list[ThresholdState] = [one.shown() for one in self._watched]

    def look(self, counters: Mapping[str, ScenarioCounters], t0: float | None, now: float) -> Abort | None:
        """Look at the counters; return the threshold that ends the test, if one does."""
        if t0 is None or now < self._next:
            return None
        slices = sum(one.windows.kept_slices for one in self._watched if one.windows is not None)
        self._next = now + max(LOOK_EVERY_SECONDS, _LOOK_SECONDS_PER_SLICE * slices) - 0.01
        self._add_defaults(counters)
        every = [*self._watched, *self._defaults.values()]
        for one in every:
            if id(one) not in self._unwatched:
                one.look(self._about(one, counters), t0, now)
        self.states = list(self._shown())
        for one in self._watched:
            if (abort := one.abort(now - t0)) is not None:
                return abort
        return None

    def _about(
        self, watched: WatchedThreshold, counters: Mapping[str, ScenarioCounters]
    ) -> list[ScenarioCounters]:
        """The counters of the scenarios that have the figures of a threshold.

        Whether a scenario of a plug-in's mode starts runs shows when the first has ended.
        """
        how = watched.how
        of_runs = how is not None and how.of in {Of.RUNS, Of.LAG}
        return [
            counters[name]
            for name in watched.scenarios
            if name in counters
            and (not of_runs or self._scenarios[name].mode_entry.starts_runs or counters[name].outcomes)
        ]

    def _shown(self) -> Iterator[ThresholdState]:
        """Those of the file, and default ones that are not kept."""
        for one in self._watched[:_MOST_STATES]:
            yield one.shown()
        broken = [one for one in self._defaults.values() if one.state == "not kept"]
        for one in broken[:_MOST_STATES]:
            yield one.shown()

    def _add_defaults(self, counters: Mapping[str, ScenarioCounters]) -> None:
        """Watch the default thresholds of scenarios that have something to judge."""
        for scenario, found in counters.items():
            for pattern, condition in SCENARIO_DEFAULTS.items():
                names = [pattern]
                if "{call}" in pattern:
                    calls = dict.fromkeys(call.partition(".")[0] for call in found.by_call)
                    names = [pattern.replace("{call}", call) for call in calls]
                elif pattern.startswith("run.") and not found.outcomes:
                    continue
                for name in names:
                    known = (scenario, name) in self._defaults
                    if not known and self._taken.isdisjoint({(scenario, name), (None, name)}):
                        parsed = parse_threshold(name, condition, "default", scenario)
                        if isinstance(parsed, Threshold) and parsed.windowed is not None:
                            default = dataclasses.replace(parsed, default=True)
                            self._defaults[scenario, name] = self._watch(default)

    def _watch(self, threshold: Threshold) -> WatchedThreshold:
        about = {
            name: one
            for name, one in self._scenarios.items()
            if threshold.scenario in {None, name} and _may_have(one, threshold)
        }
        loads = about.values()
        return WatchedThreshold(
            threshold,
            frozenset(about),
            min((one.start_seconds for one in loads), default=0.0),
            min((one.start_seconds + one.warmup_seconds for one in loads), default=0.0),
            max((one.start_seconds + one.run_seconds for one in loads), default=0.0),
        )


def _may_have(scenario: TestScenario, threshold: Threshold) -> bool:
    """Whether a scenario may have figures for a threshold: one that starts no runs has none of them."""
    family = threshold.metric.path[0]
    return family != "runs" or family in scenario.mode_entry.metrics
