"""The worst window of a test, from its files: what the verdict on a sliding threshold is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kfp_perf.metrics.in_flight import reading_in, readings_of, together
from kfp_perf.metrics.windowed import FigureKind, Of
from kfp_perf.result.records import Outcome, Purpose
from kfp_perf.statistics.backlog import Flow
from kfp_perf.statistics.histogram import tops_of
from kfp_perf.statistics.windows import Sliced, WindowFigures, slices_of, spread_pending, worst_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from kfp_perf.metrics.windowed import Windowed
    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.scenario_writer import ScenarioInfo

#: Windows that are made at a time, which bounds the memory.
_CHUNK = 256
#: Times are distinguished to 0.2 %, and exactly at the bound.
_BINS_A_DECADE = 1000


class WindowValue(NamedTuple):
    """A figure of one window; None: above all that was answered. Times are in seconds since the Unix epoch."""

    value: float | None
    operations: int
    begin: float
    end: float


def worst_window(
    scenarios: Sequence[ScenarioFiles],
    metric: Windowed,
    seconds: float,
    comparison: str,
    bound: float,
) -> WindowValue | None:
    """The window of this length in which a metric was worst for a bound; None where no window can be judged.

    Windows lie between the end of the warm-up and the end of the load, and need `metric.fewest` values. Of several
    scenarios they hold the operations of all.
    """
    if metric.of is Of.IN_FLIGHT:
        events = [_in_flight_together(scenarios)]
    else:
        events = [_EVENTS[metric.of](one, one.info, metric) for one in scenarios]
    spans = [one.span for one in events if one.span[1] > one.span[0] > 0.0]
    if not spans:
        return None
    begin, end = min(first for first, _ in spans), max(last for _, last in spans)
    slices, step = slices_of(seconds)
    count = math.floor((end - begin) / step + 1e-6)
    found: list[WindowFigures] = []
    for first in range(0, count - slices + 1, _CHUNK):
        rows = min(_CHUNK + slices - 1, count - first)
        largest = metric.kind is FigureKind.MAX
        chunk = _Chunk(begin + first * step, step, rows, bound if bound > 0.0 else 1.0, largest)
        sliced, ended, gauge = chunk.of(events)
        found.append(metric.figures(sliced, ended, gauge, slices, seconds))
    if not found:
        return None
    figures = WindowFigures(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    worst = worst_of(figures, comparison, bound, metric.fewest)
    if worst is None:
        return None
    at = begin + worst.place * step
    return WindowValue(None if math.isinf(worst.value) else worst.value, worst.operations, at, at + seconds)


class _Times(NamedTuple):
    """Moments, each with a time in seconds and how many operations it stands for."""

    at: NDArray[np.float64]
    seconds: NDArray[np.float64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, parts: Sequence[tuple[float, float]]) -> _Times:
        """One operation for each pair of moment and time."""
        table = np.array(parts, dtype=np.float64).reshape(-1, 2)
        return cls(table[:, 0], table[:, 1], np.ones(len(table), dtype=np.int64))

    @classmethod
    def joined(cls, parts: Sequence[_Times]) -> _Times:
        """All of several."""
        return cls(*(np.concatenate(one) for one in zip(_NONE, *parts, strict=True)))


_NONE = _Times(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class _Events:
    """What a scenario's operations did, by when they were due; `ended` by when they ended, `gauge` by when read.

    `span` is from the end of the warm-up to the end of the load.
    """

    span: tuple[float, float]
    answered: _Times = _NONE
    failed: _Times = _NONE
    pending: _Times = _NONE
    ended: _Times = _NONE
    gauge: _Times = _NONE


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A part of the test: so many slices, from `begin`."""

    begin: float
    step: float
    rows: int
    bound: float
    largest: bool

    def of(self, events: Sequence[_Events]) -> tuple[Sliced, NDArray[np.int64], NDArray[np.float64]]:
        """The operations by slice, how many ended in each, and the mean or the largest of what was read in each."""
        place, seconds, counts = self._within(one.answered for one in events)
        logs = np.floor(np.log10(np.maximum(seconds, 1e-6) / self.bound) * _BINS_A_DECADE).astype(np.int64)
        bins, column = np.unique(logs, return_inverse=True)
        answered = np.zeros((self.rows, bins.size), dtype=np.int64)
        np.add.at(answered, (place, column), counts)
        pending, waited, waiting = self._within(one.pending for one in events)
        shortest = np.full(self.rows, np.inf)
        np.minimum.at(shortest, pending, waited)
        ended = self._within(one.ended for one in events)
        read, value, _ = self._within(one.gauge for one in events)
        times = self._counted(read, np.ones(read.size, dtype=np.int64))
        gauge = np.full(self.rows, -np.inf) if self.largest else np.zeros(self.rows)
        (np.maximum if self.largest else np.add).at(gauge, read, value)
        sliced = Sliced(
            # The middle of a bin: one begins at the bound, so that no time is on the wrong side of it.
            self.bound * 10.0 ** ((bins + 0.5) / _BINS_A_DECADE),
            answered,
            self._counted(*self._within(one.failed for one in events)[::2]),
            self._counted(pending, waiting),
            np.where(np.isinf(shortest), 0.0, shortest),
        )
        with np.errstate(invalid="ignore"):
            gauge = np.where(times > 0, gauge if self.largest else gauge / times, np.nan)
            return sliced, self._counted(ended[0], ended[2]), gauge

    def _within(
        self, parts: Iterator[_Times]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """The slice of each of these that lies in this part, its time, and its count."""
        at, seconds, counts = _Times.joined(list(parts))
        places = np.floor((at - self.begin) / self.step + 1e-9).astype(np.int64)
        inside = (places >= 0) & (places < self.rows)
        return places[inside], seconds[inside], counts[inside]

    def _counted(self, places: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.zeros(self.rows, dtype=np.int64)
        np.add.at(found, places, counts)
        return found


def _last_seen(files: ScenarioFiles, info: ScenarioInfo) -> float:
    """Until when it is known what the scenario did, in seconds since the Unix epoch."""
    if info.measured:
        return info.finished
    return max((float(state.counters.get("at", 0.0)) for state in files.states()), default=0.0)


def _span(info: ScenarioInfo, last: float) -> tuple[float, float]:
    end = info.load_end if info.measured else min(info.load_end, last)
    return max(info.start_at, info.measured_from), end


def _of_runs(files: ScenarioFiles, info: ScenarioInfo, metric: Windowed) -> _Events:
    last = _last_seen(files, info)
    answered: list[tuple[float, float]] = []
    failed: list[tuple[float, float]] = []
    pending: list[tuple[float, float]] = []
    ended: list[tuple[float, float]] = []
    recorded = []
    for run in files.runs():
        recorded.append(run.due)
        seen = run.seen_finished if run.outcome is Outcome.SUCCEEDED else None
        if seen is not None:
            # A rate is of what ended in a window, whenever it was due.
            ended.append((seen, 0.0))
        if run.warmup:
            continue
        if seen is not None:
            answered.append((run.due, seen - run.due))
        elif run.outcome is Outcome.CUT_OFF:
            pending.append((run.due, max(0.0, (info.stopped_at or last) - run.due)))
        else:
            failed.append((run.due, 0.0))
    in_flight = _in_flight(files, info, np.array(recorded), len(recorded), last)
    return _Events(
        _span(info, last),
        _Times.of(answered),
        _Times.of(failed),
        _Times.joined([_Times.of(pending), in_flight]),
        _Times.of(ended),
    )


def _in_flight(
    files: ScenarioFiles, info: ScenarioInfo, due: NDArray[np.float64], ended: int, last: float
) -> _Times:
    """Operations that were due and have no record, of a scenario that was killed; by its counters.

    `due` are the due times of those that ended, `ended` is their number.
    """
    begin = info.start_at
    if info.measured or not begin or last <= begin:
        return _NONE
    seconds = math.ceil(last - begin)
    counts = np.zeros(seconds, dtype=np.int64)
    known = 0
    for state in files.states():
        now, at = int(state.counters.get("due", 0)), float(state.counters.get("at", 0.0))
        if now > known:
            counts[min(seconds - 1, max(0, int(at - begin)))] += now - known
            known = now
    places = np.clip((due - begin).astype(np.int64), 0, seconds - 1)
    done = np.bincount(places, minlength=seconds) if places.size else np.zeros(seconds, dtype=np.int64)
    open_ = spread_pending(counts, done, max(0, known - ended))
    rows = np.flatnonzero(open_)
    dues = begin + rows.astype(np.float64)
    return _Times(dues, np.maximum(last - dues - 1.0, 0.0), open_[rows])


def _of_calls(files: ScenarioFiles, info: ScenarioInfo, metric: Windowed) -> _Events:
    last = _last_seen(files, info)
    name, _, variant = metric.call.partition(".")
    times: dict[str, list[_Times]] = {"latency": [], "failed": []}
    for line in files.series():
        if (line.purpose, line.operation) != (Purpose.LOAD, name) or variant not in {"", line.variant}:
            continue
        if line.measure in times:
            took = tops_of(line.bins)
            # They ended within the second.
            times[line.measure].append(_Times(line.second + 0.5 - took, took, line.counts))
    ended: list[tuple[float, float]] = []
    counts: list[int] = []
    unanswered: dict[bool, list[_Times]] = {True: [], False: []}
    operations, of_load = set(), 0
    for call in files.calls():
        if call.purpose is not Purpose.LOAD:
            continue
        operations.add(call.operation)
        of_load += call.count
        if call.operation != name or variant not in {"", call.variant}:
            continue
        ended.append((call.second + 0.5, 0.0))
        counts.append(call.count)
        if call.warmup:
            continue
        for number, cut_off in ((call.never_started, False), (call.cut_off, True)):
            # When each of them was due is not in the files.
            until = min(info.load_end or math.inf, call.last_ended)
            at = np.asarray(np.linspace(call.first_due, until, number), dtype=np.float64)
            waited = np.maximum(call.last_ended - at, 0.0)
            unanswered[cut_off].append(_Times(at, waited, np.ones(number, dtype=np.int64)))
    answered, failed = (_Times.joined(times[measure]) for measure in ("latency", "failed"))
    dues = np.concatenate([np.repeat(one.at, one.counts) for one in (answered, failed)])
    in_flight = _in_flight(files, info, dues, of_load, last) if operations == {name} else _NONE
    whole = _Times.of(ended)
    return _Events(
        _span(info, last),
        answered,
        _Times.joined([failed, *unanswered[False]]),
        _Times.joined([in_flight, *unanswered[True]]),
        whole._replace(counts=np.array(counts, dtype=np.int64)),
    )


def _of_lateness(files: ScenarioFiles, info: ScenarioInfo, metric: Windowed) -> _Events:
    found = [
        _Times(np.full(line.bins.size, line.second + 0.5), tops_of(line.bins), line.counts)
        for line in files.series()
        if line.measure == "lateness" and not line.warmup
    ]
    return _Events(_span(info, _last_seen(files, info)), answered=_Times.joined(found))


def _of_lag(files: ScenarioFiles, info: ScenarioInfo, metric: Windowed) -> _Events:
    last = _last_seen(files, info)
    span = _span(info, last)
    if not info.open_load or last <= info.start_at:
        return _Events(span)
    runs = [(run.due, run.left) for run in files.runs()]
    flow = Flow.of_times(
        [due for due, _ in runs], [left for _, left in runs], begin=info.start_at, end=max(span[1], last)
    )
    times = flow.times
    return _Events(
        span, gauge=_Times(times - 0.5 * flow.step, flow.lag(), np.ones(times.size, dtype=np.int64))
    )


def _in_flight_together(scenarios: Sequence[ScenarioFiles]) -> _Events:
    """What was in flight in all of some scenarios; the span is that of all their loads."""
    spans = [(one, _span(one.info, _last_seen(one, one.info))) for one in scenarios]
    known = [(one, span) for one, span in spans if span[1] > span[0] > 0.0]
    if not known:
        return _Events((0.0, 0.0))
    at, counts = together(
        [
            readings_of(reading_in(state.counters) for state in one.states()).within(*span)
            for one, span in known
        ]
    )
    whole = (min(begin for _, (begin, _) in known), max(end for _, (_, end) in known))
    return _Events(whole, gauge=_Times(at, counts, np.ones(at.size, dtype=np.int64)))


_EVENTS = {Of.RUNS: _of_runs, Of.CALLS: _of_calls, Of.LATENESS: _of_lateness, Of.LAG: _of_lag}
