"""The metric of a search for the capacity, which thresholds may bound; a single test has no value of it."""

from __future__ import annotations

from typing import Any, ClassVar

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import Metric, Unit

RATE = "capacity.rate"


class CapacityMetrics(MetricFamily):
    """The rate that `kfp-perf capacity` finds: it judges thresholds on it, and other tests ignore them."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            RATE,
            Unit.PER_SECOND,
            "The highest rate that the installation carries, which `kfp-perf capacity` searches and bounds.",
            "a study of several executions",
            ("capacity", "rate"),
            absent="only kfp-perf capacity finds it",
        ),
    )

    def result(self) -> dict[str, Any]:
        """Nothing: it takes several executions."""
        return {}


def is_of_capacity(name: str) -> bool:
    """Whether a metric is one that only a search for the capacity has."""
    return name.startswith("capacity.")
