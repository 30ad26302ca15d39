"""The thresholds of a test while it runs: what each is so far, and which of them ends the test."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.live.snapshot import ThresholdState
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.window_counters import CountedWindows, totals_of
from kfp_perf.metrics.windowed import COUNTED, FigureKind, Of
from kfp_perf.reports.quantities import clock_of, quantity_of
from kfp_perf.statistics.windows import worst_of
from kfp_perf.thresholds import OPERATORS, SCENARIO_DEFAULTS, Threshold, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kfp_perf.metrics.window_counters import Totals
    from kfp_perf.plan import Plan
    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.scenario.model import TestScenario

LOOK_EVERY_SECONDS = 1.0
_LOOK_SECONDS_PER_SLICE = 1e-3
"""A look at a histogram costs about 5 us a slice, and all of them are to take less than 1 % of a core."""
FEWEST_TO_ABORT = 20
"""A share of fewer operations ends no test: one failure would be 5 % of them."""
_MOST_STATES = 50
_MOST_WINDOWED = 100


class _Figure(NamedTuple):
    """A figure, from how many values it is, and the window that it is of, in seconds from the start of the test."""

    value: float
    operations: int
    window: tuple[float, float] | None = None


class Abort(NamedTuple):
    """The threshold that ends the test, its figure, and how that is not kept, in words that follow its name."""

    threshold: Threshold
    figure: _Figure
    what: str

    def __str__(self) -> str:
        scenario = f"{self.threshold.scenario}: " if self.threshold.scenario else ""
        return f"{scenario}{self.threshold.metric.name} {self.what}"

    def document(self) -> dict[str, Any]:
        """The plain values that `health.json` holds, for the verdict."""
        return {
            "where": self.threshold.where,
            "scenario": self.threshold.scenario,
            "what": self.what,
            "value": None if math.isinf(self.figure.value) else self.figure.value,
            "count": self.figure.operations,
            "window": self.figure.window,
        }


@dataclass(slots=True)
class _Watched:
    """A threshold, the scenarios that it is about, and its figure so far: that of its worst window.

    `begin` and `end` bound the load, in seconds from the start of the test, and `start` is before its warm-up.
    """

    threshold: Threshold
    scenarios: frozenset[str]
    start: float
    begin: float
    end: float
    worst: _Figure | None = None
    windows: CountedWindows | None = None
    before: Totals | None = None
    warmup_runs: int = 0

    @property
    def costs_much(self) -> bool:
        """Whether its figure is made from windows of histograms."""
        how = self.threshold.windowed
        return how is not None and (
            self.threshold.window_seconds is not None or how.kind in {FigureKind.QUANTILE, FigureKind.MEAN}
        )

    def look(self, counters: Sequence[ScenarioCounters], t0: float, now: float) -> None:
        """Make its figure anew."""
        how = self.threshold.windowed
        if self.threshold.metric.name in COUNTED:
            outcomes = COUNTED[self.threshold.metric.name]
            number = sum(one.outcomes.get(outcome, 0) for one in counters for outcome in outcomes)
            if now - t0 < self.begin:
                self.warmup_runs = number
            number -= self.warmup_runs
            self.worst = _Figure(float(number), number)
        elif how is None:
            return
        elif self.costs_much:
            self._look_at_windows(counters, t0, now)
        else:
            self._look_at_all(totals_of(how, counters), how.kind, now - t0)

    def _look_at_all(self, totals: Totals, kind: FigureKind, elapsed: float) -> None:
        """A share or a rate since the end of the warm-up."""
        if elapsed < self.begin or self.before is None:
            self.before = totals
        due, ended, failed, succeeded = (
            now - then
            for now, then in (
                (totals.due, self.before.due),
                (totals.ended, self.before.ended),
                (int(totals.failed.sum()), int(self.before.failed.sum())),
                (totals.succeeded, self.before.succeeded),
            )
        )
        if kind is FigureKind.RATE:
            seconds = min(elapsed, self.end) - self.begin
            number = succeeded
            self.worst = _Figure(number / seconds, number) if seconds > 0.0 else None
        elif ended > 0 and due > 0:
            share = failed / due
            self.worst = _Figure(share if kind is FigureKind.FAILED else 1.0 - share, due)

    def _look_at_windows(self, counters: Sequence[ScenarioCounters], t0: float, now: float) -> None:
        threshold, how = self.threshold, self.threshold.windowed
        if how is None:
            return
        if self.windows is None:
            self.windows = CountedWindows(
                how,
                t0 + self.begin,
                t0 + self.end,
                threshold.window_seconds,
                threshold.bound,
                low=not threshold.comparison.startswith(">"),
            )
        self.windows.add(counters, now)
        found = self.windows.figures(now)
        values, counts = found.figures
        if not values.size:
            return

        def figure(place: int) -> _Figure:
            at = found.begin + place * found.step - t0
            length = threshold.window_seconds
            return _Figure(
                float(values[place]), int(counts[place]), None if length is None else (at, at + length)
            )

        if threshold.window_seconds is None:
            if counts[0] >= how.fewest and not math.isnan(values[0]):
                self.worst = figure(0)
            return
        # Windows that end before the delay is over end no test.
        skipped = math.ceil(
            (self.start + threshold.delay_seconds - threshold.window_seconds - (found.begin - t0))
            / found.step
        )
        first = min(max(0, skipped), values.size)
        worst = worst_of(
            type(found.figures)(values[first:], counts[first:]),
            threshold.comparison,
            threshold.bound,
            how.fewest,
        )
        if worst is None:
            return
        found_now = figure(first + worst.place)
        # What broke the bound stays, unless something is worse.
        if self.worst is None or not self._is_broken_by(self.worst) or self._is_worse(found_now, self.worst):
            self.worst = found_now

    def _is_worse(self, one: _Figure, other: _Figure) -> bool:
        if self.threshold.comparison.startswith(">"):
            return one.value < other.value
        return one.value > other.value

    def _is_broken_by(self, figure: _Figure) -> bool:
        return not OPERATORS[self.threshold.comparison](figure.value, self.threshold.bound)

    @property
    def state(self) -> str:
        """Its state; see `ThresholdState`."""
        name, comparison = self.threshold.metric.name, self.threshold.comparison
        how = self.threshold.windowed
        if name not in COUNTED and how is None:
            return "at the end"
        if self.worst is None or (how is not None and self.worst.operations < how.fewest):
            return "too few"
        if not self._is_broken_by(self.worst):
            return "kept"
        # A number of runs only grows.
        grows = name in COUNTED and (comparison.startswith(">") or self.worst.value < self.threshold.bound)
        return "too few" if grows else "not kept"

    def shown(self) -> ThresholdState:
        """What displays show of it."""
        threshold, state = self.threshold, self.state
        figure = self.worst
        how = threshold.windowed
        not_reached = figure is not None and math.isinf(figure.value)
        return ThresholdState(
            threshold.metric.name,
            threshold.condition,
            threshold.metric.metric.unit.value,
            state,
            None if figure is None or not_reached else figure.value,
            threshold.scenario or "",
            at_least=how is not None and how.kind is FigureKind.QUANTILE,
            not_reached=not_reached,
            default=threshold.default,
            final=threshold.window_seconds is not None or threshold.metric.name in COUNTED,
        )

    def abort(self, elapsed: float) -> Abort | None:
        """That it ends the test now; None where it does not."""
        threshold, figure = self.threshold, self.worst
        if not threshold.abort_on_fail or figure is None or self.state != "not kept":
            return None
        if elapsed < self.start + threshold.delay_seconds:
            return None
        if threshold.metric.metric.unit is Unit.SHARE and figure.operations < FEWEST_TO_ABORT:
            return None
        shown = self.shown()
        was = (
            "lay above all that was answered"
            if shown.not_reached
            else f"was {'at least ' if shown.at_least else ''}{quantity_of(figure.value, shown.unit)}"
        )
        when = "" if figure.window is None else " from {} to {} min".format(*map(clock_of, figure.window))
        return Abort(threshold, figure, f"{was}{when}, not {shown.condition}")


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
        self._defaults: dict[tuple[str, str], _Watched] = {}
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

    def _about(self, watched: _Watched, counters: Mapping[str, ScenarioCounters]) -> list[ScenarioCounters]:
        """The counters of the scenarios that have the figures of a threshold.

        Whether a scenario of a plug-in's mode starts runs shows when the first has ended.
        """
        how = watched.threshold.windowed
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

    def _watch(self, threshold: Threshold) -> _Watched:
        about = {
            name: one
            for name, one in self._scenarios.items()
            if threshold.scenario in {None, name} and _may_have(one, threshold)
        }
        loads = about.values()
        return _Watched(
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
