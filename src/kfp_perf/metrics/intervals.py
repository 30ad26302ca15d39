"""Confidence intervals and drift of latencies, from the histogram of each second, when the test is over."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.metric import fewest_values
from kfp_perf.metrics.summary import trend_summary
from kfp_perf.result.records import Purpose
from kfp_perf.statistics.batch_means import ratio_intervals
from kfp_perf.statistics.histogram import top_of, tops_of
from kfp_perf.statistics.quantiles import FINE_QUANTILES, binned_quantile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.metrics.api import OperationFigures
    from kfp_perf.metrics.collector import MetricFamily
    from kfp_perf.result.calls import CallSecond
    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.series import HistogramLine

FEWEST_SECONDS = 60
"""How long a load must last for its drift to be computed."""


class _Target:
    """One operation of one scenario, or of all: what each second holds of its latencies.

    Operations that were not answered are in the totals of quantiles, as they rank above all others.
    """

    def __init__(self, operation: OperationFigures) -> None:
        self._operation = operation
        self._histogram = operation.latency
        self._unanswered = operation.unanswered
        count = operation.latency.count + self._unanswered
        bins = {
            name: self._histogram.quantile_bin(share, self._unanswered)
            for name, share in FINE_QUANTILES.items()
            if count >= fewest_values(share)
        }
        self._bins = {name: found for name, found in bins.items() if found is not None}
        self._seconds = array("d")
        self._answered = array("q")
        self._sums = array("d")
        self._hits = array("q")
        self._medians = array("d")
        self._failed_seconds = array("d")
        self._failed = array("q")
        self._sources: set[tuple[str, str]] = set()

    def add(self, line: HistogramLine, scenario: str) -> None:
        """Add the latencies of a second."""
        counts = np.concatenate(([0], np.cumsum(line.counts)))
        self._seconds.append(line.second)
        self._answered.append(int(counts[-1]))
        self._sums.append(float(line.counts @ tops_of(line.bins)))
        self._hits.extend(
            counts[np.searchsorted(line.bins, list(self._bins.values()), side="right")].tolist()
        )
        middle = binned_quantile(line.counts, 0.5) or 0
        self._medians.append(top_of(int(line.bins[middle])))
        self._sources.add((scenario, line.variant))

    def add_unanswered(self, line: CallSecond) -> None:
        """Add the operations of a second that were not answered."""
        if count := sum(line.failed.values()) + line.cut_off + line.never_started:
            self._failed_seconds.append(line.second)
            self._failed.append(count)

    def trend(self) -> dict[str, Any] | None:
        """The drift of each second's median; None for scenarios or variants together.

        Where one of them begins later or ends earlier than another, the result would seem to drift.
        """
        return trend_summary(self._seconds, self._medians) if len(self._sources) == 1 else None

    def intervals(self) -> dict[str, list[float | None]]:
        """The intervals of quantiles and mean in seconds, of those that have one.

        Woodruff's inversion (Journal of the American Statistical Association 47, 1952): the interval of the share
        of values below a quantile becomes one of times by the distribution of all values.
        """
        if not self._seconds:
            return {}
        place, failed_place = (
            np.array(self._seconds).astype(np.int64),
            np.array(self._failed_seconds).astype(np.int64),
        )
        first = min([place.min(), *failed_place.tolist()])
        place, failed_place = place - first, failed_place - first
        last = max([place.max(), *failed_place.tolist()])
        answered = np.zeros(max(int(last) + 1, math.ceil(self._operation.lasted_seconds)))
        hits = np.zeros((len(self._bins), answered.size))
        sums = np.zeros(answered.size)
        np.add.at(answered, place, np.array(self._answered))
        np.add.at(hits.T, place, np.array(self._hits).reshape(-1, len(self._bins)))
        np.add.at(sums, place, np.array(self._sums))
        totals = answered.copy()
        np.add.at(totals, failed_place, np.array(self._failed))
        found = {}
        if self._bins:
            for name, below in zip(self._bins, ratio_intervals(hits, totals), strict=True):
                if below.half_width is not None:
                    found[name] = self._inverted(FINE_QUANTILES[name], below.value, below.half_width)
        (mean,) = ratio_intervals(sums, answered)
        if mean.half_width is not None:
            # Sums of bins are off by their width; the mean itself is exact.
            exact = self._operation.mean_latency_seconds or 0.0
            found["mean"] = [max(0.0, exact - mean.half_width), exact + mean.half_width]
        return found

    def _inverted(self, share: float, below: float, half_width: float) -> list[float | None]:
        """The interval of a quantile; None for an end that the data does not reach.

        A quantile is an observed value, so a few more than its share are below it. The upper end counts from there;
        counted from the share itself, it could not show that nothing is beyond.
        """
        high = below + half_width
        return [
            self._histogram.quantile(max(0.0, share - half_width), self._unanswered),
            self._histogram.quantile(high, self._unanswered) if high < 1.0 - 1e-9 else None,
        ]


def add_intervals(
    files: Mapping[str, ScenarioFiles],
    families: Mapping[str | None, Mapping[str, MetricFamily]],
    figures: Mapping[str | None, dict[str, Any]],
) -> None:
    """Add `intervals` to the latencies of the load in metrics dictionaries, and `latency_trend` beside them.

    `families` and `figures` hold those of each scenario by its name, and of the whole test under None. An upper end
    is None where the data does not reach it. It takes about 60 us for each line of the load, and there is one for
    each second and operation.
    """
    targets = {
        (scenario, name): _Target(operation)
        for scenario, found in families.items()
        if isinstance(family := found.get("api"), ApiMetrics)
        for (purpose, name), operation in family.named().items()
        if purpose == Purpose.LOAD and operation.lasted_seconds >= FEWEST_SECONDS
    }
    if not targets:
        return
    for scenario, one in files.items():
        for line in one.series():
            if line.measure == "latency":
                for target in _concerned(targets, scenario, line):
                    target.add(line, scenario)
        for calls in one.calls():
            for target in _concerned(targets, scenario, calls):
                target.add_unanswered(calls)
    for (place, name), target in targets.items():
        found = figures[place]["api"][Purpose.LOAD.value][name]
        if intervals := target.intervals():
            found["latency_seconds"]["intervals"] = intervals
        found["latency_trend"] = target.trend()


def _concerned(
    targets: Mapping[tuple[str | None, str], _Target], scenario: str, line: HistogramLine | CallSecond
) -> Iterator[_Target]:
    """The operation and the variant that a line is of, in the scenario and in the whole test."""
    if line.warmup or line.purpose != Purpose.LOAD:
        return
    names = (line.operation, f"{line.operation}.{line.variant}") if line.variant else (line.operation,)
    for place in (scenario, None):
        yield from (targets[place, name] for name in names if (place, name) in targets)
