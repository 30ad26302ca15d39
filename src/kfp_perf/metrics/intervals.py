"""How sure the quantiles of latencies are, and whether they drift: from each second's histogram, at the end."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from kfp_perf.metrics.api import ApiMetrics
from kfp_perf.metrics.metric import fewest_values
from kfp_perf.metrics.summary import trend_summary
from kfp_perf.result.records import Purpose
from kfp_perf.statistics.bootstrap import FEWEST_SECONDS, share_intervals
from kfp_perf.statistics.histogram import top_of
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.metrics.api import OperationFigures
    from kfp_perf.metrics.collector import MetricFamily
    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.series import HistogramLine


class _Target:
    """One operation of one scenario, or of all: how many of each second's latencies each quantile holds."""

    def __init__(self, operation: OperationFigures) -> None:
        self._histogram = operation.latency
        self.quantiles = {
            name: share
            for name, share in FINE_QUANTILES.items()
            if operation.latency.count >= fewest_values(share) and not operation.unanswered
        }
        self._bins = [operation.latency.quantile_bin(share) or 0 for share in self.quantiles.values()]
        self._seconds = array("d")
        self._totals = array("q")
        self._hits = array("q")
        self._medians = array("d")
        self._sources: set[tuple[str, str]] = set()

    def add(self, interval: HistogramLine, scenario: str) -> None:
        """Add a second."""
        sums = np.concatenate(([0], np.cumsum(interval.counts)))
        self._seconds.append(interval.second)
        self._totals.append(int(sums[-1]))
        self._hits.extend(sums[np.searchsorted(interval.bins, self._bins, side="right")].tolist())
        middle = int(np.searchsorted(sums, (sums[-1] + 1) // 2)) - 1
        self._medians.append(top_of(int(interval.bins[middle])))
        self._sources.add((scenario, interval.variant))

    def trend(self) -> dict[str, Any] | None:
        """The drift of each second's median; None for scenarios or variants together.

        Where one of them begins later or ends earlier than another, that would look like a drift.
        """
        return trend_summary(self._seconds, self._medians) if len(self._sources) == 1 else None

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
    files: Mapping[str, ScenarioFiles],
    families: Mapping[str | None, Mapping[str, MetricFamily]],
    figures: Mapping[str | None, dict[str, Any]],
) -> None:
    """Add `intervals` to the latencies of the load in metrics dictionaries, and `latency_trend` beside them.

    `families` and `figures` hold those of each scenario by its name, and of the whole test under None. Takes
    some 60 us for each line of the load, of which there are as many as seconds times operations.
    """
    targets = {
        (scenario, name): _Target(operation)
        for scenario, found in families.items()
        if isinstance(family := found.get("api"), ApiMetrics)
        for (purpose, name), operation in family.named().items()
        if purpose == Purpose.LOAD.value and operation.lasted_seconds >= FEWEST_SECONDS
    }
    if not targets:
        return
    for scenario, one in files.items():
        for line in one.series():
            if line.measure != "latency" or line.warmup or line.purpose != Purpose.LOAD.value:
                continue
            names = (
                (line.operation, f"{line.operation}.{line.variant}") if line.variant else (line.operation,)
            )
            for target in (targets.get((place, name)) for place in (scenario, None) for name in names):
                if target is not None:
                    target.add(line, scenario)
    for (place, name), target in targets.items():
        found = figures[place]["api"][Purpose.LOAD.value][name]
        if intervals := target.intervals():
            found["latency_seconds"]["intervals"] = intervals
        found["latency_trend"] = target.trend()
