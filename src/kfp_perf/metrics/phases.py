"""Where the time of a run goes, by phase of its critical path."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import Metric, Unit, distribution
from kfp_perf.metrics.summary import summary
from kfp_perf.observe.phases import PHASES
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.result.records import RunRecord


class _Phase:
    def __init__(self) -> None:
        self.values = array("d")
        self.errors_sum = 0.0
        self.worst_error = 0.0

    def add(self, seconds: float, error: float) -> None:
        self.values.append(seconds)
        self.errors_sum += error
        self.worst_error = max(self.worst_error, error)

    def merge(self, other: _Phase) -> None:
        self.values.extend(other.values)
        self.errors_sum += other.errors_sum
        self.worst_error = max(self.worst_error, other.worst_error)

    def result(self) -> dict[str, Any]:
        count = len(self.values)
        error = self.errors_sum / count
        figures = summary(self.values)
        if figures["p50"] < error:
            # Whole seconds cannot distinguish such runs; their errors average out over many.
            figures = {"n": count, "mean": figures["mean"]}
        return {**figures, "error_seconds": error, "worst_error_seconds": self.worst_error}


def _metrics() -> Iterator[Metric]:
    for name, phase in PHASES.items():
        yield distribution(
            f"phase.{name}",
            f"{phase.meaning[0].upper()}{phase.meaning[1:]}. Off by at most {phase.error}.",
            phase.source,
            ("phases", name),
            absent="from whole seconds such a short phase has a mean, but no quantiles",
            error_path=("phases", name, "error_seconds"),
        )
        yield Metric(
            f"phase.{name}.error",
            Unit.SECONDS,
            f"The mean, over the runs, of the bounds of the error of `phase.{name}`.",
            phase.source,
            ("phases", name, "error_seconds"),
            (),
            ("phases", name, "n"),
        )


class PhaseMetrics(MetricFamily):
    """The phases of runs that succeeded and executed. A phase that could not be told of a run is absent there."""

    metrics: ClassVar[tuple[Metric, ...]] = tuple(_metrics())

    def __init__(self) -> None:
        self._phases: dict[str, _Phase] = {}

    def on_run(self, record: RunRecord) -> None:
        """Record one run at its end."""
        if record.warmup or record.cached or record.outcome is not Outcome.SUCCEEDED:
            return
        for name, seconds in record.phases.items():
            self._phases.setdefault(name, _Phase()).add(seconds, record.phase_errors.get(name, 0.0))

    def merge(self, other: Self) -> None:
        """Add what another scenario recorded."""
        for name, phase in other._phases.items():
            self._phases.setdefault(name, _Phase()).merge(phase)

    def result(self) -> dict[str, Any]:
        """`{phase: figures}` in order of time.

        `error_seconds` is the mean of the bounds of single runs' errors. A phase whose median is below that has a
        mean and no quantiles.
        """
        return {name: self._phases[name].result() for name in PHASES if name in self._phases}
