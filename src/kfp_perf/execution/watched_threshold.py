"""One threshold of a running test: its figure so far, and whether that ends the test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.live.snapshot import ThresholdState
from kfp_perf.metrics.metric import Unit
from kfp_perf.metrics.window_counters import Carried, CountedWindows, totals_of
from kfp_perf.metrics.windowed import COUNTED, FigureKind, Of, Windowed
from kfp_perf.reports.quantities import clock_of, quantity_of
from kfp_perf.result.records import Outcome
from kfp_perf.statistics.windows import WindowFigures, worst_of
from kfp_perf.thresholds import OPERATORS, Threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.metrics.window_counters import Totals
    from kfp_perf.result.counters import ScenarioCounters

_OF_RUNS = Windowed(Of.RUNS, FigureKind.RATE)
#: Kinds of figures that are made from windows, also where the whole load is one.
_OF_WINDOWS = frozenset({FigureKind.QUANTILE, FigureKind.MEAN, FigureKind.MAX})
FEWEST_TO_ABORT = 20
"""A share of fewer operations ends no test: one failure would be 5 % of them."""


class FigureSoFar(NamedTuple):
    """A figure, from how many values it is, and the window that it is of, in seconds from the start of the test."""

    value: float
    operations: int
    window: tuple[float, float] | None = None


class Abort(NamedTuple):
    """The threshold that ends the test, its figure, and how that is not kept, in words that follow its name."""

    threshold: Threshold
    figure: FigureSoFar
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
class WatchedThreshold:
    """A threshold, the scenarios that it is about, and its figure so far: that of its worst window.

    `begin` and `end` bound the load, in seconds from the start of the test, and `start` is before its warm-up.
    """

    threshold: Threshold
    scenarios: frozenset[str]
    start: float
    begin: float
    end: float
    worst: FigureSoFar | None = None
    windows: CountedWindows | None = None
    before: Totals | None = None
    carried: Carried | None = None
    warmup_runs: int = 0

    @property
    def how(self) -> Windowed | None:
        """How its figure is made; None where it is judged at the end, as one relative to a baseline is."""
        return None if self.threshold.margin is not None else self.threshold.windowed

    @property
    def outcomes(self) -> frozenset[Outcome]:
        """The outcomes that it counts; none where it is no count of runs."""
        if self.threshold.margin is not None:
            return frozenset()
        return COUNTED.get(self.threshold.metric.name, frozenset())

    @property
    def fewest(self) -> int:
        """From how many operations its figure is judged."""
        fewest = 1 if self.how is None else self.how.fewest
        ends_on_share = self.threshold.abort_on_fail and self.threshold.metric.metric.unit is Unit.SHARE
        return max(fewest, FEWEST_TO_ABORT) if ends_on_share else fewest

    @property
    def costs_much(self) -> bool:
        """Whether its figure is made from windows of histograms."""
        how = self.how
        return how is not None and (self.threshold.window_seconds is not None or how.kind in _OF_WINDOWS)

    def look(self, counters: Sequence[ScenarioCounters], t0: float, now: float) -> None:
        """Make its figure anew."""
        how = self.how
        if self.outcomes:
            self._look_at_outcomes(counters, now - t0)
        elif how is None:
            return
        elif self.costs_much:
            self._look_at_windows(counters, t0, now)
        else:
            self._look_at_all(totals_of(how, counters), how.kind, now - t0)

    def _look_at_outcomes(self, counters: Sequence[ScenarioCounters], elapsed: float) -> None:
        """A number of runs, without those that were due in the warm-up."""
        number = sum(one.outcomes.get(outcome, 0) for one in counters for outcome in self.outcomes)
        carried = self._carried_at(totals_of(_OF_RUNS, counters), elapsed)
        if elapsed < self.begin:
            self.warmup_runs = number
        number -= self.warmup_runs
        number -= carried.answered if Outcome.SUCCEEDED in self.outcomes else 0
        # Of which outcome those that failed were is not known, so the number is rather too small.
        number -= carried.failed if self.outcomes != {Outcome.SUCCEEDED} else 0
        number = max(0, number)
        self.worst = FigureSoFar(float(number), number)

    def _carried_at(self, totals: Totals, elapsed: float) -> Carried:
        if self.carried is None:
            self.carried = Carried(self.begin)
        if self.begin > self.start:
            self.carried.look(totals, elapsed)
        return self.carried

    def _look_at_all(self, totals: Totals, kind: FigureKind, elapsed: float) -> None:
        """A share or a rate since the end of the warm-up."""
        carried = self._carried_at(totals, elapsed)
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
            self.worst = FigureSoFar(number / seconds, number) if seconds > 0.0 else None
        elif ended > 0 and due > 0:
            share = min(max(0, failed - carried.failed), due) / due
            self.worst = FigureSoFar(share if kind is FigureKind.FAILED else 1.0 - share, due)

    def _look_at_windows(self, counters: Sequence[ScenarioCounters], t0: float, now: float) -> None:
        threshold, how = self.threshold, self.how
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

        def figure(place: int) -> FigureSoFar:
            at = found.begin + place * found.step - t0
            length = threshold.window_seconds
            return FigureSoFar(
                float(values[place]), int(counts[place]), None if length is None else (at, at + length)
            )

        if threshold.window_seconds is None:
            if counts[0] >= self.fewest and not math.isnan(values[0]):
                self.worst = figure(0)
            return
        # Windows that end before the delay is over end no test.
        skipped = math.ceil(
            (self.start + threshold.delay_seconds - threshold.window_seconds - (found.begin - t0))
            / found.step
        )
        first = min(max(0, skipped), values.size)
        worst = worst_of(
            WindowFigures(values[first:], counts[first:]),
            threshold.comparison,
            threshold.bound,
            self.fewest,
        )
        if worst is None:
            return
        found_now = figure(first + worst.place)
        # What broke the bound stays, unless something is worse.
        if self.worst is None or not self._is_broken_by(self.worst) or self._is_worse(found_now, self.worst):
            self.worst = found_now

    def _is_worse(self, one: FigureSoFar, other: FigureSoFar) -> bool:
        if self.threshold.comparison.startswith(">"):
            return one.value < other.value
        return one.value > other.value

    def _is_broken_by(self, figure: FigureSoFar) -> bool:
        return not OPERATORS[self.threshold.comparison](figure.value, self.threshold.bound)

    @property
    def state(self) -> str:
        """Its state; see `ThresholdState`."""
        if not self.outcomes and self.how is None:
            return "at the end"
        if self.worst is None or (not self.outcomes and self.worst.operations < self.fewest):
            return "too few"
        if not self._is_broken_by(self.worst):
            return "kept"
        # A number of runs only grows.
        still_grows = self.threshold.comparison.startswith(">") or self.worst.value < self.threshold.bound
        return "too few" if self.outcomes and still_grows else "not kept"

    def shown(self) -> ThresholdState:
        """What displays show of it."""
        threshold, state = self.threshold, self.state
        figure = self.worst
        how = self.how
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
            final=threshold.window_seconds is not None or bool(self.outcomes),
        )

    def abort(self, elapsed: float) -> Abort | None:
        """That it ends the test now; None where it does not."""
        threshold, figure = self.threshold, self.worst
        if not threshold.abort_on_fail or figure is None or self.state != "not kept":
            return None
        if elapsed < self.start + threshold.delay_seconds:
            return None
        shown = self.shown()
        was = (
            "lay above all that was answered"
            if shown.not_reached
            else f"was {'at least ' if shown.at_least else ''}{quantity_of(figure.value, shown.unit)}"
        )
        when = "" if figure.window is None else " from {} to {} min".format(*map(clock_of, figure.window))
        return Abort(threshold, figure, f"{was}{when}, not {shown.condition}")
