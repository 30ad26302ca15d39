"""Figures of windows while a test runs, from differences of its counters.

What has ended by a look was due about its own time before that, which is known to within the interval of
readings and 3.7 %. Each time counts as the shortest of its bin, and operations in flight as the newest that they
can be: a figure is rather below what the files will show of that window than above it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kfp_perf.metrics.windowed import FigureKind, Of, Windowed
from kfp_perf.result.coarse_histogram import COARSE_BOTTOMS, COARSE_TOPS, coarse_counts, coarse_sum
from kfp_perf.result.records import Outcome
from kfp_perf.statistics.windows import Sliced, WindowFigures, slices_of, spread_pending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from kfp_perf.result.counters import CallCounters, ScenarioCounters

_MOST_WINDOWS = 5
"""Windows that are kept until it is known of all that was due in them whether they keep the bound."""


class Totals(NamedTuple):
    """What the counters hold of one metric, in all: `due` and `ended` operations, and coarse histograms of times.

    `succeeded` ended well; `known_due`: `due` has none but the metric's own.
    """

    due: int
    ended: int
    succeeded: int
    answered: NDArray[np.uint64]
    failed: NDArray[np.uint64]
    known_due: bool = True


def runs_due(counters: ScenarioCounters) -> int:
    """How many runs were due until now, of a scenario that starts runs."""
    waiting = max(0, counters.due - counters.started - counters.never_started)
    return sum(counters.outcomes.values()) + counters.in_flight + waiting


def _of_runs(counters: ScenarioCounters, metric: Windowed) -> Totals:
    return Totals(
        runs_due(counters),
        sum(counters.outcomes.values()),
        counters.outcomes.get(Outcome.SUCCEEDED, 0),
        coarse_counts(counters.visible_seconds),
        coarse_counts(counters.failed_seconds),
    )


def calls_named(counters: ScenarioCounters, name: str) -> list[CallCounters]:
    """The counters of an operation: of all its variants, or of the one that is named."""
    return [one for call, one in counters.by_call.items() if name in {call, call.partition(".")[0]}]


def _of_calls(counters: ScenarioCounters, metric: Windowed) -> Totals:
    found = calls_named(counters, metric.call)
    ended = sum(one.ended for one in found)
    alone = len(found) == len(counters.by_call)
    # Which call an operation in flight will be is not known where the load makes several.
    in_flight = max(0, counters.due - counters.never_started - counters.operations)
    return Totals(
        ended + in_flight,
        ended,
        ended,
        coarse_sum(one.latency for one in found),
        coarse_sum(one.failed for one in found),
        alone,
    )


def _of_lateness(counters: ScenarioCounters, metric: Windowed) -> Totals:
    lateness = coarse_counts(counters.lateness)
    count = int(lateness.sum())
    return Totals(count, count, count, lateness, coarse_counts(b""))


_NOTHING = Totals(0, 0, 0, coarse_counts(b""), coarse_counts(b""))
_READ = {
    Of.RUNS: _of_runs,
    Of.CALLS: _of_calls,
    Of.LATENESS: _of_lateness,
    Of.LAG: _of_runs,
    Of.IN_FLIGHT: _of_runs,
}


def totals_of(metric: Windowed, counters: Iterable[ScenarioCounters]) -> Totals:
    """What the counters of some scenarios together hold of a metric."""
    found = [_READ[metric.of](one, metric) for one in counters]
    if len(found) == 1:
        return found[0]
    nothing = coarse_counts(b"")
    return Totals(
        sum(one.due for one in found),
        sum(one.ended for one in found),
        sum(one.succeeded for one in found),
        sum((one.answered for one in found), nothing),
        sum((one.failed for one in found), nothing),
        all(one.known_due for one in found if one.due),
    )


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """The figures of windows, of which the first began at `begin` and each next one `step` seconds later."""

    figures: WindowFigures
    begin: float
    step: float


class CountedWindows:
    """The windows of one metric, by the counters of its scenarios.

    `begin` and `end` bound the load, in seconds since the Unix epoch. Without `window_seconds` there is one window,
    of all so far. `low`: times count as the shortest of their bin, as an upper bound needs it, else as the longest.
    Memory is bounded: windows that ended long ago are forgotten.
    """

    def __init__(
        self,
        metric: Windowed,
        begin: float,
        end: float,
        window_seconds: float | None,
        bound: float,
        *,
        low: bool = True,
    ) -> None:
        self._metric = metric
        self._begin = begin
        self._end = end
        self._last = max(begin, end - 1e-3)
        self._window_seconds = window_seconds
        self._slices, self._step = slices_of(window_seconds or max(1.0, end - begin))
        self._seconds = COARSE_BOTTOMS if low else COARSE_TOPS
        more = _MOST_WINDOWS * self._slices
        if metric.kind is FigureKind.QUANTILE:
            more = min(more, math.ceil(bound / self._step))
        rows = 2 * self._slices + more
        self._first = 0
        self._answered = np.zeros((rows, self._seconds.size), dtype=np.int32)
        self._failed = np.zeros(rows, dtype=np.int64)
        self._due = np.zeros(rows, dtype=np.int64)
        self._ended = np.zeros(rows, dtype=np.int64)
        self._gauge = np.zeros(rows)
        self._largest = np.zeros(rows)
        self._reads = np.zeros(rows, dtype=np.int64)
        self._arrivals: deque[tuple[float, int]] = deque()
        self._last_read = 0.0
        self._read_at = begin
        #: How far off a due time may be.
        self._blur = 0.0
        self._before: Totals | None = None

    @property
    def kept_slices(self) -> int:
        """How many slices are kept; memory and time grow with them."""
        return len(self._due)

    def add(self, counters: Iterable[ScenarioCounters], now: float) -> None:
        """Add what has happened since the last call; `now` is in seconds since the Unix epoch."""
        counters = list(counters)
        totals = totals_of(self._metric, counters)
        before, self._before = self._before or _NOTHING, totals
        if now < self._begin:
            return
        self._make_room(min(now, self._last))
        interval, self._read_at = now - self._read_at, now
        self._blur = interval
        at = now - 0.5 * interval
        row = self._row(min(max(at, self._begin), self._last))
        if row < 0:
            return
        self._due[row] += max(0, totals.due - before.due)
        if now <= self._end + self._step:
            self._ended[row] += max(0, self._finished(totals) - self._finished(before))
        late = self._metric.of is Of.LATENESS
        rows, bins, counts = self._placed(totals.answered - before.answered, at, late=late)
        np.add.at(self._answered, (rows, bins), counts)
        rows, _, counts = self._placed(totals.failed - before.failed, at, late=late)
        np.add.at(self._failed, rows, counts)
        if self._metric.of is Of.LAG:
            self._read(self._lag_of(totals, now), now)
        elif self._metric.of is Of.IN_FLIGHT:
            self._read(float(sum(one.in_flight for one in counters)), now)

    def figures(self, now: float) -> LiveFigures:
        """The figure of each window that is whole by now, or of all so far."""
        until = max(0, min(len(self._due), self._row(min(now, self._end)) + (self._window_seconds is None)))
        pending, waited = self._pending(now)
        used = np.flatnonzero(self._answered.any(axis=0))
        sliced = Sliced(
            self._seconds[used],
            self._answered[:until, used].astype(np.int64),
            self._failed[:until],
            pending[:until],
            waited[:until],
        )
        with np.errstate(invalid="ignore"):
            is_largest = self._metric.kind is FigureKind.MAX
            gauge = np.where(
                self._reads > 0, self._largest if is_largest else self._gauge / self._reads, np.nan
            )
            gauge = gauge[:until]
        if self._window_seconds is None:
            slices, seconds = until, max(self._step, min(now, self._end) - self._begin)
        else:
            slices, seconds = self._slices, self._window_seconds
        if self._window_seconds is None and self._metric.of is Of.LAG:
            # That of the whole test is the last one.
            return LiveFigures(
                WindowFigures(np.array([self._last_read]), np.array([1])), self._begin, self._step
            )
        if not slices:
            return LiveFigures(WindowFigures(np.zeros(0), np.zeros(0, dtype=np.int64)), now, self._step)
        found = self._metric.figures(sliced, self._ended[:until], gauge, slices, seconds)
        return LiveFigures(found, self._begin + self._first * self._step, self._step)

    def _finished(self, totals: Totals) -> int:
        return totals.succeeded if self._metric.of is Of.RUNS else totals.ended

    def _row(self, at: float) -> int:
        return math.floor((at - self._begin) / self._step + 1e-9) - self._first

    def _make_room(self, now: float) -> None:
        """Forget the oldest slices where there is no room for those of now."""
        rows = len(self._due)
        over = self._row(now) + 1 - rows
        if over <= 0:
            return
        drop = min(rows, max(over, self._slices // 2))
        self._first += over if over > rows else drop
        for name in ("_answered", "_failed", "_due", "_ended", "_gauge", "_largest", "_reads"):
            old = getattr(self, name)
            new = np.zeros_like(old)
            new[: rows - drop] = old[drop:]
            setattr(self, name, new)

    def _placed(
        self, more: NDArray[np.uint64], at: float, *, late: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The slices in which it was due what has ended, the bins of its times, and their counts."""
        bins = np.flatnonzero(more)
        due = at - (np.zeros(bins.size) if late else MIDDLES[bins])
        rows = np.floor((due - self._begin) / self._step + 1e-9).astype(np.int64) - self._first
        rows = np.minimum(rows, self._row(self._last))
        kept = (rows >= 0) & (rows < len(self._due))
        return rows[kept], bins[kept], more[bins[kept]].astype(np.int64)

    def _pending(self, now: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """How many operations of each slice have not ended, and for how long they have waited at least."""
        rows = len(self._due)
        ends = self._begin + (self._first + 1 + np.arange(rows)) * self._step
        waited = np.maximum(now - ends - self._blur, 0.0)
        totals = self._before
        if totals is None or self._metric.of is Of.LATENESS:
            return np.zeros(rows, dtype=np.int64), waited
        pending = max(0, totals.due - totals.ended)
        if totals.known_due:
            ended = self._answered.sum(axis=1, dtype=np.int64) + self._failed
            return spread_pending(self._due, ended, pending), waited
        # They may be any call: they count as if they were answered at once.
        found = np.zeros(rows, dtype=np.int64)
        found[max(0, self._row(min(now, self._last)))] = pending
        return found, np.zeros(rows)

    def _lag_of(self, totals: Totals, now: float) -> float:
        """How long ago the first run that has not left was due."""
        self._arrivals.append((now, totals.due))
        while len(self._arrivals) > 1 and self._arrivals[0][1] <= totals.ended:
            self._arrivals.popleft()
        return now - self._arrivals[0][0] if totals.due > totals.ended else 0.0

    def _read(self, value: float, now: float) -> None:
        """Add a value that was read."""
        row = self._row(now)
        if not 0 <= row < len(self._gauge) or now > self._end:
            return
        self._last_read = value
        self._gauge[row] += value
        self._largest[row] = max(self._largest[row], value)
        self._reads[row] += 1


MIDDLES = np.sqrt(COARSE_BOTTOMS * COARSE_TOPS)
"""The time that stands for each bin of a coarse histogram, in seconds."""


class Carried:
    """How many operations were due before a time and ended after it: `answered`, and `failed`.

    When each was due follows from its time, which is known to within 3.7 % and the interval of readings.
    """

    def __init__(self, begin: float) -> None:
        self.answered = 0
        self.failed = 0
        self._begin = begin
        self._before: Totals | None = None

    def look(self, totals: Totals, now: float) -> None:
        """Look at the counters; `now` is on the same clock as the time."""
        before, self._before = self._before, totals
        if before is not None and now >= self._begin:
            self.answered += self._earlier(totals.answered - before.answered, now)
            self.failed += self._earlier(totals.failed - before.failed, now)

    def _earlier(self, more: NDArray[np.uint64], now: float) -> int:
        return int(more[now - MIDDLES < self._begin].sum())
