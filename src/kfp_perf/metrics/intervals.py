"""How sure the quantiles of latencies are, and whether they drift: from each second's histogram, at the end."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.metric import fewest_values
from kfp_perf.metrics.summary import trend_summary
from kfp_perf.result.records import Purpose
from kfp_perf.result.series import read_series
from kfp_perf.statistics.bootstrap import FEWEST_SECONDS, share_intervals
from kfp_perf.statistics.histogram import top_of
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kfp_perf.metrics.api import Operation
    from kfp_perf.metrics.collector import MetricsCollector
    from kfp_perf.result.series import Interval


class _Target:
    """One operation of one scenario, or of all: how many of each second's latencies each quantile holds."""

    def __init__(self, operation: Operation) -> None:
        self._histogram = operation.latency
        self.quantiles = {
            name: share
            for name, share in FINE_QUANTILES.items()
            if operation.latency.count >= fewest_values(share)
        }
        self._bins = [operation.latency.quantile_bin(share) or 0 for share in self.quantiles.values()]
        self._seconds = array("d")
        self._totals = array("q")
        self._hits = array("q")
        self._medians = array("d")
        self._scenarios: set[str] = set()

    def add(self, interval: Interval) -> None:
        """Take in a second."""
        sums = np.concatenate(([0], np.cumsum(interval.counts)))
        self._seconds.append(interval.second)
        self._totals.append(int(sums[-1]))
        self._hits.extend(sums[np.searchsorted(interval.bins, self._bins, side="right")].tolist())
        middle = int(np.searchsorted(sums, (sums[-1] + 1) // 2)) - 1
        self._medians.append(top_of(int(interval.bins[middle])))
        self._scenarios.add(interval.scenario)

    def trend(self) -> dict[str, Any] | None:
        """The drift of each second's median; None for scenarios together: one that ends would look like a drift."""
        return trend_summary(self._seconds, self._medians) if len(self._scenarios) == 1 else None

    def intervals(self) -> dict[str, list[float | None]]:
        """The interval of each quantile in seconds; empty where the test is too short to tell.

        Woodruff's inversion (Journal of the American Statistical Association 47, 1952): how far the share of
        values below the quantile may be off is turned into times by the distribution of all values.
        """
        if not self._seconds or not self.quantiles:
            return {}
        place = np.array(self._seconds).astype(np.int64)
        place -= place.min()
        totals = np.zeros(int(place.max()) + 1)
        hits = np.zeros((len(self._bins), totals.size))
        np.add.at(totals, place, np.array(self._totals))
        np.add.at(hits.T, place, np.array(self._hits).reshape(-1, len(self._bins)))
        found = share_intervals(hits, totals)
        if found is None:
            return {}
        # A quantile is a value that was seen, so a few more than its share lie below it. The upper end counts from
        # there: else it could not tell that there is nothing beyond.
        below = hits.sum(axis=1) / totals.sum()
        return {
            name: [
                self._histogram.quantile(max(0.0, share + low)),
                self._histogram.quantile(seen + high) if seen + high < 1.0 - 1e-9 else None,
            ]
            for (name, share), seen, (low, high) in zip(self.quantiles.items(), below, found, strict=True)
        }


def add_intervals(
    series: Path,
    collectors: Mapping[str | None, MetricsCollector],
    sections: Mapping[str | None, dict[str, Any]],
) -> None:
    """Add `intervals` to the latencies of the load in metrics dictionaries, and `latency_trend` beside them.

    `collectors` and `sections` hold the collector and the metrics dictionary of each scenario by its name, and of
    the whole test under None. An upper end is None where the data does not reach it. Takes some 60 us for each line
    of the load, of which there are as many as seconds times operations.
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
