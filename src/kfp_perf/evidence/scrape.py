"""One scrape of an endpoint: from the samples of its answer to a line of its file, which holds what has changed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import msgspec

from kfp_perf.evidence.exposition import Exposition, NotMetrics, bound_of, is_count
from kfp_perf.evidence.profiles import STARTED, Kind

if TYPE_CHECKING:
    from kfp_perf.evidence.exposition import MetricSample
    from kfp_perf.evidence.profiles import Profile, Wanted

Value = TypeVar("Value")

SCRAPES_SUFFIX = ".scrapes.jsonl"
#: Whole numbers below it are exact.
_EXACT = 2.0**53


class ScrapeLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one scrape found; of the values of one process only those that have changed since its line before.

    `at` is when the answer was whole, `seconds` how long it took, and `server_at` the endpoint's own time, from
    the answer's Date header (0.0: it sent none). `began` is when the process started by its own clock (0.0: it
    is unknown). `counters` are as they were read, so they fall when the process is replaced. A histogram is
    its sum, and then its cumulative counts until they have reached the last one. Their upper bounds are in
    `bounds` when they are first seen; the last is infinite, and written `null`. `missed` is why the scrape
    found nothing.
    """

    at: float
    seconds: float = 0.0
    server_at: float = 0.0
    began: float = 0.0
    gauges: dict[str, float] = {}
    counters: dict[str, float] = {}
    histograms: dict[str, list[float]] = {}
    bounds: dict[str, list[float | None]] = {}
    missed: str = ""


scrape_decoder = msgspec.json.Decoder(ScrapeLine)


class ScrapeReader:
    """Reads the answers of an endpoint with one profile. `dubious` is what could not be used of the last one."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.dubious = ""
        self._exposition = Exposition([STARTED, *(name for one in profile.wanted for name in one.names)])
        self._wanted = {name: one for one in profile.wanted for name in one.names}

    def read(self, text: bytes, at: float) -> ScrapeLine:
        """Return all values of an answer. Raises `NotMetrics` where it has none that the profile reads."""
        self.dubious = ""
        line = ScrapeLine(at=at)
        buckets: dict[str, dict[float, float]] = {}
        sums: dict[str, float] = {}
        for sample in self._exposition.read(text):
            if sample.name == STARTED:
                line.began = sample.value if is_count(sample.value) else 0.0
            else:
                self._add(sample, self._wanted[sample.name], line, buckets, sums)
        for key, counts in buckets.items():
            self._add_histogram(key, counts, sums.get(key, math.nan), line)
        if not (line.gauges or line.counters or line.histograms):
            raise NotMetrics("it has none of the " + self.profile.title)
        return line

    def _add(
        self,
        sample: MetricSample,
        wanted: Wanted,
        line: ScrapeLine,
        buckets: dict[str, dict[float, float]],
        sums: dict[str, float],
    ) -> None:
        key = "/".join([wanted.key, *(sample.labels.get(label, "") for label in wanted.labels)])
        value = sample.value
        if wanted.kind is Kind.HISTOGRAM and sample.name.endswith("_bucket"):
            counts, bound = buckets.setdefault(key, {}), bound_of(sample)
            counts[bound] = counts.get(bound, 0.0) + value
        elif wanted.kind is Kind.HISTOGRAM:
            if sample.name.endswith("_sum"):
                sums[key] = sums.get(key, 0.0) + value
        elif not math.isfinite(value) or (wanted.kind is Kind.COUNTER and value < 0.0):
            self.dubious = f"{sample.name} is {value}"
        else:
            values = line.counters if wanted.kind is Kind.COUNTER else line.gauges
            values[key] = _short(values.get(key, 0.0) + value)

    def _add_histogram(self, key: str, counts: dict[float, float], total: float, line: ScrapeLine) -> None:
        bounds = sorted(counts)
        values = [_short(counts[bound]) for bound in bounds]
        if bounds[-1] != math.inf or not all(map(is_count, values)) or values != sorted(values):
            self.dubious = f"the buckets of {key} contradict each other"
            return
        # Most values lie in the first buckets: the counts of those after the last value are all the same.
        last = values.index(values[-1]) + 1
        line.histograms[key] = [total if math.isfinite(total) else 0.0, *values[:last]]
        line.bounds[key] = [None if math.isinf(bound) else bound for bound in bounds]


def _short(value: float) -> float:
    """A value as it is shortest in JSON."""
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


#: Linux computes the start of a process from the time of the boot, which may be a second off from look to look.
_SAME_START_SECONDS = 2.0
_MOST_PROCESSES = 32


class Changes:
    """Leaves out of each line what is as it was in the line before of the same process."""

    def __init__(self) -> None:
        self._last: dict[float, ScrapeLine] = {}

    def of(self, line: ScrapeLine) -> ScrapeLine:
        """The line without what has not changed, its `began` as it was first read of that process."""
        if line.missed:
            return line
        known = [
            began
            for began, last in self._last.items()
            if abs(began - line.began) <= _SAME_START_SECONDS and not _used_less(line, last)
        ]
        line.began = min(known, key=lambda began: abs(began - line.began), default=line.began)
        before = self._last.pop(line.began, None)
        self._last[line.began] = line
        if len(self._last) > _MOST_PROCESSES:
            del self._last[next(iter(self._last))]
        if before is None:
            return line
        return msgspec.structs.replace(
            line,
            gauges=_changed(line.gauges, before.gauges),
            counters=_changed(line.counters, before.counters),
            histograms=_changed(line.histograms, before.histograms),
            bounds=_changed(line.bounds, before.bounds),
        )

    def forget(self, line: ScrapeLine) -> None:
        """The line was not written: the next one of the same process has all values again."""
        self._last.pop(line.began, None)


def _used_less(line: ScrapeLine, last: ScrapeLine) -> bool:
    """Whether less CPU time was used than before: it is another process, however close their starts are."""
    return line.began != last.began and line.counters.get("cpu", 0.0) < last.counters.get("cpu", 0.0)


def _changed(now: dict[str, Value], before: dict[str, Value]) -> dict[str, Value]:
    return {key: value for key, value in now.items() if before.get(key) != value}
