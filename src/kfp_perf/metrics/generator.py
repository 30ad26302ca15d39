"""What the load generator itself added: the measurement's own error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import FINE_DISTRIBUTION, Metric, distribution
from kfp_perf.result.records import Purpose
from kfp_perf.statistics.histogram import Histogram
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample


class GeneratorMetrics(MetricFamily):
    """How late requests of the load left. What the machine does meanwhile is not a scenario's to know."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        distribution(
            "generator.lateness",
            "From when a request of the load was due to when its headers were written: what the generator, or its "
            "wait for a connection, added. It is part of the latency. What `maxInFlight` held back is not in it.",
            "requests of the load that were sent",
            ("generator", "lateness_seconds"),
            FINE_DISTRIBUTION,
        ),
    )

    def __init__(self) -> None:
        self._lateness = Histogram()

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""
        if sample.sent and sample.purpose is Purpose.LOAD:
            self._lateness.record(sample.lateness_seconds)

    def merge(self, other: Self) -> None:
        """Take in what another scenario saw."""
        self._lateness.merge(other._lateness)

    def result(self) -> dict[str, Any]:
        """`lateness_seconds`."""
        return {"lateness_seconds": self._lateness.summary(FINE_QUANTILES)}
