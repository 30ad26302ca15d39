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
from kfp_perf.result.series import read_series
from kfp_perf.statistics.batch_means import ratio_intervals
from kfp_perf.statistics.histogram import top_of, tops_of
from kfp_perf.statistics.quantiles import FINE_QUANTILES, binned_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kfp_perf.metrics.api import Operation
    from kfp_perf.metrics.collector import MetricsCollector
    from kfp_perf.result.series import Interval

FEWEST_SECONDS = 60
"""How long a load must last for its drift to be looked for."""


class _Target:
    """One operation of one scenario, or of all: what each second holds of its latencies."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._histogram = operation.latency
        self.quantiles = {
            name: share
            for name, share in FINE_QUANTILES.items()
            if operation.latency.count >= fewest_values(share)
        }
        self._bins = [operation.latency.quantile_bin(share) or 0 for share in self.quantiles.values()]
        self._seconds = array("d")
        self._totals = array("q")
        self._sums = array("d")
        self._hits = array("q")
        self._medians = array("d")
        self._scenarios: set[str] = set()

    def add(self, interval: Interval) -> None:
        """Add the latencies of a second."""
        counts = np.concatenate(([0], np.cumsum(interval.counts)))
        self._seconds.append(interval.second)
        self._totals.append(int(counts[-1]))
        self._sums.append(float(interval.counts @ tops_of(interval.bins)))
        self._hits.extend(counts[np.searchsorted(interval.bins, self._bins, side="right")].tolist())
        middle = binned_quantile(interval.counts, 0.5) or 0
        self._medians.append(top_of(int(interval.bins[middle])))
        self._scenarios.add(interval.scenario)

    def trend(self) -> dict[str, Any] | None:
        """The drift of each second's median; None for scenarios together: one that ends would look like a drift."""
        return trend_summary(self._seconds, self._medians) if len(self._scenarios) == 1 else None

    def intervals(self) -> dict[str, list[float | None]]:
        """The intervals of quantiles and mean in seconds, of those that have one.

        Woodruff's inversion (Journal of the American Statistical Association 47, 1952): the interval of the share
        of values below a quantile becomes one of times by the distribution of all values.
        """
        if not self._seconds:
            return {}
        place = np.array(self._seconds).astype(np.int64)
        place -= place.min()
        totals = np.zeros(max(int(place.max()) + 1, math.ceil(self._operation.lasted_seconds)))
        rows = np.zeros((len(self._bins) + 1, totals.size))
        np.add.at(totals, place, np.array(self._totals))
        np.add.at(rows[:-1].T, place, np.array(self._hits).reshape(-1, len(self._bins)))
        np.add.at(rows[-1], place, np.array(self._sums))
        *shares, mean = ratio_intervals(rows, totals)
        found = {
            name: self._inverted(share, below.value, below.half_width)
            for (name, share), below in zip(self.quantiles.items(), shares, strict=True)
            if below.half_width is not None
        }
        if mean.half_width is not None:
            # Sums of bins are off by their width; the mean itself is exact.
            exact = self._histogram.mean or 0.0
            found["mean"] = [max(0.0, exact - mean.half_width), exact + mean.half_width]
        return found

    def _inverted(self, share: float, below: float, half_width: float) -> list[float | None]:
        """The interval of a quantile; None for an end that the data does not reach.

        A quantile is a value that was seen, so a few more than its share lie below it. The upper end counts from
        there, since from the share itself it could not show that nothing lies beyond.
        """
        high = below + half_width
        return [
            self._histogram.quantile(max(0.0, share - half_width)),
            self._histogram.quantile(high) if high < 1.0 - 1e-9 else None,
        ]


def add_intervals(
    series: Path,
    collectors: Mapping[str | None, MetricsCollector],
    sections: Mapping[str | None, dict[str, Any]],
) -> None:
    """Add `intervals` to the latencies of the load in metrics dictionaries, and `latency_trend` beside them.

    `collectors` and `sections` hold the collector and the metrics dictionary of each scenario by its name, and of
    the whole test under None. An upper end is None where the data does not reach it. It takes some 60 us for each
    line of the load, and there is one for each second and operation.
    """
    targets = {
        (scenario, name): _Target(operation)
        for scenario, collector in collectors.items()
        if isinstance(family := collector.families.get("api"), ApiMetrics)
        for (purpose, name), operation in family.operations.items()
        if purpose == Purpose.LOAD and operation.lasted_seconds >= FEWEST_SECONDS
    }
    if not targets:
        return
    for interval in read_series(series, Purpose.LOAD):
        if interval.failed or interval.warmup:
            continue
        for scenario in (interval.scenario, None):
            target = targets.get((scenario, interval.operation))
            if target is not None:
                target.add(interval)
    for (scenario, name), target in targets.items():
        figures = sections[scenario]["api"][Purpose.LOAD.value][name]
        if found := target.intervals():
            figures["latency_seconds"]["intervals"] = found
        figures["latency_trend"] = target.trend()
