"""The scrapes of one endpoint, read back: its gauges, and by how much its counters grew in a stretch of time.

Counters begin at 0 with each process. A process is known by when it started, so replicas that answer in turn
are distinguished; where that is unknown, a counter that falls shows that another one answered.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.evidence.scrape import SCRAPES_SUFFIX, ScrapeLine, scrape_decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kfp_perf.result.evidence import EvidenceFiles

#: A shorter time gives no rate of CPU time, which is counted in hundredths of a second.
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


#: A gauge or a counter, or a histogram: its sum, then its cumulative counts.
_Value = float | list[float]


class _Life:
    """One process, or one stretch of it in which no counter fell. `is_new`: its counters began at 0 in the test.

    Of each value only the changes are kept: a day of scrapes has millions of values.
    """

    def __init__(self, began: float, *, is_new: bool) -> None:
        self.began = began
        self.is_new = is_new
        self.times: list[float] = []
        self._changes: dict[str, tuple[list[float], list[_Value]]] = {}

    def add(self, line: ScrapeLine, before: Mapping[str, _Value] = MappingProxyType({})) -> None:
        """Add a scrape; `before` is what was known of the process already."""
        self.times.append(line.at)
        for key, value in {**before, **line.gauges, **line.counters, **line.histograms}.items():
            times, values = self._changes.setdefault(key, ([], []))
            times.append(line.at)
            values.append(value)

    @property
    def keys(self) -> Iterable[str]:
        """The keys of all values that were read."""
        return self._changes.keys()

    def latest(self) -> dict[str, _Value]:
        """Each value as it was read last."""
        return {key: values[-1] for key, (_, values) in self._changes.items()}

    def at(self, key: str, time: float) -> _Value | None:
        """A value as it was at a time; None where it had not been read yet."""
        times, values = self._changes.get(key, ([], []))
        place = bisect_right(times, time)
        return values[place - 1] if place else None

    def falls(self, line: ScrapeLine) -> bool:
        """Whether a counter of the line is smaller than it was."""
        read: dict[str, _Value] = {**line.counters, **line.histograms}
        return any(_falls(self.at(key, math.inf), value) for key, value in read.items())

    def ends(self, stretch: Stretch, covered: Stretch) -> tuple[float | None, float] | None:
        """The times of its last scrape before a stretch, and of its first one after it, or else its last one.

        The first is None where there is none; all is None where no scrape belongs to the stretch: a process that
        was first seen after the end of what is `covered` is of a later time.
        """
        if self.times[0] > covered.end or self.times[-1] < stretch.begin:
            return None
        before, after = bisect_right(self.times, stretch.begin), bisect_left(self.times, stretch.end)
        end = self.times[min(after, len(self.times) - 1)]
        return (self.times[before - 1] if before else None), end

    def grown(self, key: str, stretch: Stretch, covered: Stretch) -> tuple[_Value | None, _Value] | None:
        """A counter or histogram at the begin and at the end; the first is None where it began at 0 in between."""
        ends = self.ends(stretch, covered)
        if ends is None or (value := self.at(key, ends[1])) is None:
            return None
        begin = self.times[0] if ends[0] is None and not self.is_new else ends[0]
        if begin == ends[1]:
            return None  # a single scrape
        return (None if begin is None else self.at(key, begin)), value

    def scrapes(self, key: str, stretch: Stretch, covered: Stretch) -> list[tuple[float, float]]:
        """A gauge or a counter at each scrape, from the one before a stretch to the one after it."""
        ends = self.ends(stretch, covered)
        if ends is None:
            return []
        first = 0 if ends[0] is None else bisect_left(self.times, ends[0])
        times = self.times[first : bisect_right(self.times, ends[1])]
        found = ((time, self.at(key, time)) for time in times)
        return [(time, value) for time, value in found if isinstance(value, float | int)]


def _falls(before: _Value | None, value: _Value) -> bool:
    if isinstance(before, list) and isinstance(value, list):
        return len(value) == len(before) and value[-1] < before[-1]
    return isinstance(before, float | int) and isinstance(value, float | int) and value < before


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
        before: dict[str, _Value] = {}
        if life is None:
            is_new = bool(self._lives) and line.began > self._first_server_at
            self.restarts += is_new
            life = _Life(line.began, is_new=is_new)
            self._lives.append(life)
        elif life.falls(line):
            self.restarts += not line.began
            self.resets += bool(line.began)
            before = life.latest()
            life = _Life(line.began, is_new=True)
            self._lives.append(life)
        life.add(line, before)

    @property
    def processes(self) -> int:
        """How many processes answered, those that were restarted included."""
        return len({life.began for life in self._lives})

    def keys(self, kind: str) -> list[str]:
        """The names of what follows `kind/` in the keys, sorted."""
        before = f"{kind}/"
        return sorted(
            {key.removeprefix(before) for life in self._lives for key in life.keys if key.startswith(before)}
        )

    def _covered(self, stretch: Stretch) -> Stretch:
        """From the last scrape before a stretch to the first one after it, where there are such scrapes."""
        times = [time for life in self._lives for time in (life.times[0], life.times[-1])]
        begin, end = min(times, default=0.0), max(times, default=0.0)
        for life in self._lives:
            before, after = bisect_right(life.times, stretch.begin), bisect_left(life.times, stretch.end)
            begin = max(begin, life.times[before - 1]) if before else begin
            end = min(end, life.times[after]) if after < len(life.times) else end
        return Stretch(begin, end)

    def gauge(self, key: str, stretch: Stretch) -> list[tuple[float, float]]:
        """The values of a gauge and their times, over the stretch."""
        covered = self._covered(stretch)
        return sorted(one for life in self._lives for one in life.scrapes(key, stretch, covered))

    def increase(self, key: str, stretch: Stretch) -> float | None:
        """By how much a counter grew; None where it was not there, or was read only once."""
        found = [
            max(0.0, end - (begin if isinstance(begin, float | int) else 0.0))
            for begin, end in self._grown(key, stretch)
            if isinstance(end, float | int)
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
            scrapes = life.scrapes(key, stretch, covered)
            begin = scrapes[0] if scrapes else None
            for end in scrapes[1:]:
                if begin is not None and (seconds := end[0] - begin[0]) >= _LEAST_SECONDS:
                    found.append(((begin[0] + end[0]) / 2, max(0.0, end[1] - begin[1]) / seconds))
                    begin = end
        return sorted(found)

    def growth(self, key: str, stretch: Stretch) -> HistogramGrowth | None:
        """What was added to a histogram; None where it was not there, or was read only once."""
        bounds = self._bounds.get(key)
        grown = []
        for before, after in self._grown(key, stretch):
            if isinstance(after, list):
                begin = before if isinstance(before, list) else [0.0] * len(after)
                if len(after) == len(begin):
                    grown.append([later - earlier for earlier, later in zip(begin, after, strict=True)])
        if bounds is None or not grown or any(len(one) != len(bounds) + 1 for one in grown):
            return None
        total, *cumulative = (sum(column) for column in zip(*grown, strict=True))
        counts = [later - earlier for earlier, later in pairwise([0.0, *cumulative])]
        return HistogramGrowth(counts, bounds, total) if min(counts) >= 0.0 else None

    def _grown(self, key: str, stretch: Stretch) -> Iterator[tuple[_Value | None, _Value]]:
        covered = self._covered(stretch)
        for life in self._lives:
            grown = life.grown(key, stretch, covered)
            if grown is not None:
                yield grown


def read_scrapes(evidence: EvidenceFiles, name: str) -> Readings | None:
    """The scrapes of an endpoint; None where there are none with values."""
    found = Readings(evidence.read(f"{name}{SCRAPES_SUFFIX}", scrape_decoder))
    return found if found.count else None


def mean_of(points: Sequence[tuple[float, float]]) -> float | None:
    """The mean of the values; None where there are none."""
    return sum(value for _, value in points) / len(points) if points else None
