"""The lateness that the load generator itself added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import FINE_DISTRIBUTION, Metric, distribution
from kfp_perf.statistics.histogram import Histogram
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from kfp_perf.result.series import HistogramLine


class GeneratorMetrics(MetricFamily):
    """How late operations of the load left. Health checks watch the machine."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        distribution(
            "generator.lateness",
            "From when an operation of the load was due to the headers of its first attempt: what the generator, "
            "or its wait for a connection, added. It is part of the latency. `maxInFlight` is not "
            "part of it.",
            "operations of the load that were sent",
            ("generator", "lateness_seconds"),
            FINE_DISTRIBUTION,
        ),
    )

    def __init__(self) -> None:
        self._lateness = Histogram()

    def on_histogram(self, line: HistogramLine) -> None:
        """Record the lateness of one second."""
        if line.measure == "lateness" and not line.warmup:
            self._lateness.add_line(line.bins, line.counts, line.longest)

    def merge(self, other: Self) -> None:
        """Add what another scenario recorded."""
        self._lateness.merge(other._lateness)

    def result(self) -> dict[str, Any]:
        """`lateness_seconds`."""
        return {"lateness_seconds": self._lateness.summary(FINE_QUANTILES)}
