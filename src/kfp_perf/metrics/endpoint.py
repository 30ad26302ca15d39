"""The base of families of endpoints, the metrics of any process, and quantiles from buckets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from kfp_perf.evidence.readings import Stretch, mean_of, read_scrapes
from kfp_perf.metrics.collector import EvidenceFamily
from kfp_perf.metrics.metric import Metric, Unit
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.statistics.bucket_quantiles import is_credible_sum, quantile_bounds
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kfp_perf.evidence.readings import HistogramGrowth, Readings
    from kfp_perf.result.evidence import EvidenceFiles
    from kfp_perf.result.reader import ScenarioFiles

BUCKETED = (*FINE_QUANTILES, "mean")
LEVELS = ("max", "mean")

_AFTER_LOAD = frozenset({ScenarioPhase.CLEANING, ScenarioPhase.ENDED})


def measured_stretch(scenarios: Iterable[ScenarioFiles]) -> Stretch | None:
    """From the end of the first warm-up to when the last scenario began to clean up; None where no load began."""
    begins, ends = [], []
    for files in scenarios:
        info = files.info
        begin = max(info.start_at, info.measured_from)
        seen = [
            float(line.counters.get("at", 0.0))
            for line in files.states()
            if line.counters.get("phase") not in _AFTER_LOAD
        ]
        if begin > 0.0:
            begins.append(begin)
            ends.append(max(begin, max(seen, default=0.0) or info.end_at))
    return Stretch(min(begins), max(ends)) if begins else None


def process_metrics(family: str, what: str, path: tuple[str, ...] = ()) -> tuple[Metric, ...]:
    """The metrics of a process: CPU, memory, goroutines, open files, restarts. `what` is whose they are."""
    source = f"scrapes of {what}"
    path = path or (family,)

    def level(name: str, key: str, unit: Unit, meaning: str) -> Metric:
        count = (*path, "scrapes")
        return Metric(f"{family}.{name}", unit, meaning, source, (*path, key), LEVELS, count)

    def one(name: str, key: str, unit: Unit, meaning: str) -> Metric:
        return Metric(f"{family}.{name}", unit, meaning, source, (*path, key))

    return (
        level(
            "cpu",
            "cpu_cores",
            Unit.CORES,
            "CPU time used in a second: the mean of the measured time, and the most between one scrape and the "
            "next.",
        ),
        level("memory", "memory_bytes", Unit.BYTES, "Resident memory."),
        level("goroutines", "goroutines", Unit.COUNT, "Goroutines: of a server, also the requests in it."),
        level("open_files", "open_files", Unit.COUNT, "Open files and connections."),
        one(
            "open_files_share",
            "open_files_share",
            Unit.SHARE,
            "The most open files, as a share of how many the process may have.",
        ),
        one(
            "restarts",
            "restarts",
            Unit.COUNT,
            "Processes that started during the test: restarts, and replicas that were added.",
        ),
        one(
            "missed_scrapes",
            "missed_scrapes",
            Unit.COUNT,
            "Scrapes that found no metrics: no answer in time, an error, or another document.",
        ),
    )


def process_figures(readings: Readings, stretch: Stretch) -> dict[str, Any]:
    """The figures of `process_metrics`; those that the endpoint does not serve are left out."""
    used, seconds = readings.increase("cpu", stretch), readings.seconds(stretch)
    rates = readings.rates("cpu", stretch)
    cpu = {"max": max((rate for _, rate in rates), default=None), "mean": None}
    if used is not None and seconds > 0.0:
        cpu["mean"] = used / seconds
    files, limits = readings.gauge("open_files", stretch), readings.gauge("open_files_limit", stretch)
    found = {
        "scrapes": readings.count,
        "missed_scrapes": len(readings.missed),
        "processes": readings.processes,
        "restarts": readings.restarts,
        "counter_resets": readings.resets,
        "measured_seconds": seconds,
        "cpu_cores": cpu if rates or cpu["mean"] is not None else None,
        "memory_bytes": levels(readings.gauge("memory", stretch)),
        "goroutines": levels(readings.gauge("goroutines", stretch)),
        "open_files": levels(files),
        "open_files_share": (
            max(value for _, value in files) / limits[-1][1] if files and limits and limits[-1][1] else None
        ),
    }
    return {key: value for key, value in found.items() if value is not None}


def levels(points: Sequence[tuple[float, float]]) -> dict[str, float | None] | None:
    """The largest and the mean value of a gauge; None where there are none."""
    return {"max": max(value for _, value in points), "mean": mean_of(points)} if points else None


def bucketed(
    name: str,
    meaning: str,
    source: str,
    path: tuple[str, ...],
    buckets: Sequence[float],
) -> Metric:
    """A distribution of times in the buckets of a histogram, with their usual upper bounds (empty: not known)."""
    return Metric(name, Unit.SECONDS, meaning, source, path, BUCKETED, (*path, "n"), buckets=tuple(buckets))


def bucketed_figures(growth: HistogramGrowth | None) -> dict[str, Any] | None:
    """The statistics of a histogram: a quantile is the upper bound of its bucket, and `between` has both.

    A mean that the buckets contradict is left out. None where nothing was added.
    """
    count = round(sum(growth.counts)) if growth else 0
    if growth is None or not count:
        return None
    between = {
        name: quantile_bounds(growth.counts, growth.bounds, share) for name, share in FINE_QUANTILES.items()
    }
    known = {name: bounds for name, bounds in between.items() if bounds is not None}
    is_credible = is_credible_sum(growth.total, growth.counts, growth.bounds)
    return {
        "n": count,
        "mean": growth.total / count if is_credible else None,
        **{name: _finite(high) for name, (_, high) in known.items()},
        "between": {name: [low, _finite(high)] for name, (low, high) in known.items()},
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


class EndpointFamily(EvidenceFamily):
    """An endpoint in the measured time of the test. Subclasses give `name`, that of its scrapes, and `_figures`."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._readings: Readings | None = None
        self._stretch: Stretch | None = None

    def on_evidence(self, evidence: EvidenceFiles, scenarios: Sequence[ScenarioFiles]) -> None:
        """Read the scrapes."""
        self._readings = read_scrapes(evidence, self.name)
        self._stretch = measured_stretch(scenarios) if self._readings else None

    def result(self) -> dict[str, Any]:
        """The figures; empty where the endpoint was never scraped."""
        if self._readings is None or self._stretch is None:
            return {}
        found = {
            **process_figures(self._readings, self._stretch),
            **self._figures(self._readings, self._stretch),
        }
        return {key: value for key, value in found.items() if value is not None}

    def _figures(self, readings: Readings, stretch: Stretch) -> dict[str, Any]:
        raise NotImplementedError


def whole(value: float | None) -> int | None:
    """The increase of a counter as a whole number; None where it is unknown."""
    return None if value is None else round(value)
