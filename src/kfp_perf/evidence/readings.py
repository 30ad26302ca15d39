"""The scrapes of one endpoint, read back: its gauges, and by how much its counters grew in a stretch of time.

Counters begin at 0 with each process. A process is known by when it started, so replicas that answer in turn
are told apart; where it does not say, a counter that falls shows that another one answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.evidence.scrape import SCRAPES_SUFFIX, ScrapeLine, scrape_decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kfp_perf.result.evidence import EvidenceFiles

#: A shorter time tells no rate of CPU time, which is counted in hundredths of a second.
_LEAST_SECONDS = 1.0


class Stretch(NamedTuple):
    """A stretch of time, in seconds since the Unix epoch."""

    begin: float
    end: float


class HistogramGrowth(NamedTuple):
    """What was added to a histogram: the values in each bucket, the buckets' upper bounds, and the values' sum."""

    counts: list[float]
    bounds: list[float]
    total: float


@dataclass(slots=True)
class _State:
    """All that was known of a process at one time."""

    at: float
    gauges: dict[str, float] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, list[float]] = field(default_factory=dict)

    def after(self, line: ScrapeLine) -> _State:
        return _State(
            line.at,
            {**self.gauges, **line.gauges},
            {**self.counters, **line.counters},
            {**self.histograms, **line.histograms},
        )

    def falls(self, line: ScrapeLine) -> bool:
        """Whether a counter of the line is smaller than it was."""
        return any(value < self.counters.get(key, 0.0) for key, value in line.counters.items()) or any(
            len(values) == len(before := self.histograms.get(key, values)) and values[-1] < before[-1]
            for key, values in line.histograms.items()
        )


def _at(state: _State) -> float:
    return state.at


@dataclass(slots=True)
class _Life:
    """One process, or one stretch of it in which no counter fell. `is_new`: its counters began at 0 in the test."""

    began: float
    is_new: bool
    states: list[_State]

    def ends(self, stretch: Stretch, covered: Stretch) -> tuple[_State, _State] | None:
        """Its states at the begin and the end of a stretch: those around it; None where it has none.

        A process that was first seen after the end of what is `covered` is of a later time.
        """
        first, last = self.states[0], self.states[-1]
        if first.at > covered.end or last.at < stretch.begin:
            return None
        begin = max((one for one in self.states if one.at <= stretch.begin), key=_at, default=None)
        end = min((one for one in self.states if one.at >= stretch.end), key=_at, default=last)
        return begin or (_State(first.at) if self.is_new else first), end

    def within(self, stretch: Stretch, covered: Stretch) -> list[_State]:
        """The states that `ends` returns, and those between."""
        ends = self.ends(stretch, covered)
        return [state for state in self.states if ends[0].at <= state.at <= ends[1].at] if ends else []


class Readings:
    """All scrapes of one endpoint.

    `missed` are the times of the scrapes that found nothing, `restarts` how many processes started while they were
    made, and `resets` how often counters fell although the process was still the same.
    """

    def __init__(self, lines: Iterable[ScrapeLine]) -> None:
        self.missed: list[float] = []
        self.restarts = 0
        self.resets = 0
        self.count = 0
        self._lives: list[_Life] = []
        self._bounds: dict[str, list[float]] = {}
        self._first_server_at = math.inf
        for line in lines:
            if line.missed:
                self.missed.append(line.at)
            else:
                self.count += 1
                self._add(line)

    def _add(self, line: ScrapeLine) -> None:
        self._bounds |= {
            key: [math.inf if bound is None else bound for bound in bounds]
            for key, bounds in line.bounds.items()
        }
        line.histograms = {
            key: values + values[-1:] * (len(self._bounds.get(key, ())) + 1 - len(values))
            for key, values in line.histograms.items()
        }
        if self.count == 1:
            self._first_server_at = line.server_at or line.at
        life = next((one for one in reversed(self._lives) if one.began == line.began), None)
        if life is None:
            is_new = bool(self._lives) and line.began > self._first_server_at
            self.restarts += is_new
            self._lives.append(_Life(line.began, is_new, [_State(0.0).after(line)]))
        elif life.states[-1].falls(line):
            self.restarts += not line.began
            self.resets += bool(line.began)
            self._lives.append(_Life(line.began, True, [life.states[-1].after(line)]))
        else:
            life.states.append(life.states[-1].after(line))

    @property
    def processes(self) -> int:
        """How many processes answered, those that were restarted included."""
        return len({life.began for life in self._lives})

    def keys(self, kind: str) -> list[str]:
        """The names of what follows `kind/` in the keys, sorted."""
        found: set[str] = set()
        for life in self._lives:
            last = life.states[-1]
            for key in (*last.gauges, *last.counters, *last.histograms):
                head, slash, rest = key.partition("/")
                if slash and head == kind:
                    found.add(rest)
        return sorted(found)

    def _covered(self, stretch: Stretch) -> Stretch:
        """From the last scrape before a stretch to the first one after it, where there are such scrapes."""
        times = [state.at for life in self._lives for state in life.states]
        begin = max((at for at in times if at <= stretch.begin), default=min(times, default=0.0))
        end = min((at for at in times if at >= stretch.end), default=max(times, default=0.0))
        return Stretch(begin, end)

    def gauge(self, key: str, stretch: Stretch) -> list[tuple[float, float]]:
        """The values of a gauge and their times, over the stretch."""
        covered = self._covered(stretch)
        found = [
            (state.at, state.gauges[key])
            for life in self._lives
            for state in life.within(stretch, covered)
            if key in state.gauges
        ]
        return sorted(found)

    def increase(self, key: str, stretch: Stretch) -> float | None:
        """By how much a counter grew; None where it was not there, or was read only once."""
        found = [
            max(0.0, end.counters[key] - begin.counters.get(key, 0.0))
            for begin, end in self._ends(stretch)
            if key in end.counters
        ]
        return sum(found) if found else None

    def seconds(self, stretch: Stretch) -> float:
        """How long the stretch is that the increases are of: from the scrape before it to the one after it."""
        covered = self._covered(stretch)
        return max(0.0, covered.end - covered.begin)

    def rates(self, key: str, stretch: Stretch) -> list[tuple[float, float]]:
        """By how much a counter grew a second, between one scrape and the next, at the time midway."""
        found = []
        covered = self._covered(stretch)
        for life in self._lives:
            states = [state for state in life.within(stretch, covered) if key in state.counters]
            begin = states[0] if states else None
            for state in states[1:]:
                if begin is not None and state.at - begin.at >= _LEAST_SECONDS:
                    grown = state.counters[key] - begin.counters[key]
                    found.append(((begin.at + state.at) / 2, max(0.0, grown) / (state.at - begin.at)))
                    begin = state
        return sorted(found)

    def growth(self, key: str, stretch: Stretch) -> HistogramGrowth | None:
        """What was added to a histogram; None where it was not there, or was read only once."""
        bounds = self._bounds.get(key)
        grown: list[list[float]] = []
        for begin, end in self._ends(stretch):
            after = end.histograms.get(key)
            before = begin.histograms.get(key) or [0.0] * len(after or ())
            if after is not None and len(after) == len(before):
                grown.append([later - earlier for earlier, later in zip(before, after, strict=True)])
        if bounds is None or not grown or len(grown[0]) != len(bounds) + 1:
            return None
        total, *cumulative = (sum(column) for column in zip(*grown, strict=True))
        counts = [later - earlier for earlier, later in pairwise([0.0, *cumulative])]
        return HistogramGrowth(counts, bounds, total) if min(counts) >= 0.0 else None

    def _ends(self, stretch: Stretch) -> Iterator[tuple[_State, _State]]:
        covered = self._covered(stretch)
        for life in self._lives:
            ends = life.ends(stretch, covered)
            if ends is not None and (ends[0].at < ends[1].at or life.is_new):
                yield ends


def read_scrapes(evidence: EvidenceFiles, name: str) -> Readings | None:
    """The scrapes of an endpoint; None where there are none with values."""
    found = Readings(evidence.read(f"{name}{SCRAPES_SUFFIX}", scrape_decoder))
    return found if found.count else None


def mean_of(points: Sequence[tuple[float, float]]) -> float | None:
    """The mean of the values; None where there are none."""
    return sum(value for _, value in points) / len(points) if points else None
