"""The figures of a test that is over: of each scenario, of all together, and what its thresholds say of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.metrics import built_in_collector
from kfp_perf.metrics.intervals import add_intervals
from kfp_perf.thresholds import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kfp_perf.metrics import MetricsCollector
    from kfp_perf.result.records import ScenarioResult
    from kfp_perf.thresholds import Judgement, Threshold

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figures:
    """Metrics dictionaries of the built-in families, by scenario and under None of the whole test; judgements."""

    metrics: Mapping[str | None, dict[str, Any]]
    judgements: Sequence[Judgement]


def figures_of(
    results: Iterable[ScenarioResult], thresholds: Iterable[Threshold], series: Path | None
) -> Figures:
    """Ask the collectors of all scenarios, add up, and judge.

    `series` is the file of each second's latencies, from which the quantiles get their intervals; None where
    scenarios still write to it. A file that cannot be read costs the intervals, and is said in the log.
    """
    collectors: dict[str | None, MetricsCollector] = {
        one.name: one.collector for one in results if one.collector is not None
    }
    total = built_in_collector()
    for collector in collectors.values():
        total.merge(collector)
    collectors[None] = total
    metrics = {name: collector.metrics() for name, collector in collectors.items()}
    if series is not None:
        try:
            add_intervals(series, collectors, metrics)
        except OSError as error:
            log.warning("The quantiles of latencies have no intervals: %s", error)
    return Figures(metrics, judge(thresholds, metrics))
