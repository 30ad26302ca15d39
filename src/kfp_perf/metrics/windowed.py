"""The metrics that have a figure in a sliding window, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from kfp_perf.metrics.metric import fewest_values
from kfp_perf.result.records import Outcome, Purpose
from kfp_perf.statistics.quantiles import FINE_QUANTILES
from kfp_perf.statistics.windows import WindowFigures, failed_shares, maxima, means, quantiles, rates

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from kfp_perf.metrics.registry import NamedMetric
    from kfp_perf.statistics.windows import Sliced


class Of(StrEnum):
    """What a figure is made from."""

    RUNS = "runs"
    CALLS = "calls"
    LATENESS = "lateness"
    LAG = "lag"
    IN_FLIGHT = "in flight"


class FigureKind(StrEnum):
    """How it is made."""

    QUANTILE = "quantile"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RATE = "rate"
    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Windowed:
    """A metric in a window: its `kind`, and of what; `call` is the operation, and `share` that of a quantile."""

    of: Of
    kind: FigureKind
    call: str = ""
    share: float = 0.0

    @property
    def fewest(self) -> int:
        """The number of operations that a window needs; a rate of none is a rate too."""
        if self.kind is FigureKind.QUANTILE:
            return fewest_values(self.share)
        return 0 if self.kind is FigureKind.RATE else 1

    def figures(
        self,
        sliced: Sliced,
        ended: NDArray[np.int64],
        gauge: NDArray[np.float64],
        slices: int,
        seconds: float,
    ) -> WindowFigures:
        """The figure of each window of so many slices and seconds.

        `ended[i]` operations ended in slice `i`; `gauge[i]` is the mean, or of a maximum the largest, of the values
        that were read in it.
        """
        match self.kind:
            case FigureKind.QUANTILE:
                return quantiles(sliced, slices, self.share)
            case FigureKind.RATE:
                return rates(ended, slices, seconds)
            case FigureKind.MEAN:
                return means(gauge, slices)
            case FigureKind.MAX:
                return maxima(gauge, slices)
            case FigureKind.FAILED:
                return failed_shares(sliced, slices)
            case FigureKind.SUCCEEDED:
                failed = failed_shares(sliced, slices)
                return failed._replace(values=1.0 - failed.values)


#: By a metric's name in the registry.
_WINDOWED = {
    "run.visible": (Of.RUNS, FigureKind.QUANTILE),
    "run.success_rate": (Of.RUNS, FigureKind.SUCCEEDED),
    "run.throughput": (Of.RUNS, FigureKind.RATE),
    "api.{call}.latency": (Of.CALLS, FigureKind.QUANTILE),
    "api.{call}.error_rate": (Of.CALLS, FigureKind.FAILED),
    "api.{call}.rate": (Of.CALLS, FigureKind.RATE),
    "generator.lateness": (Of.LATENESS, FigureKind.QUANTILE),
    "load.lag": (Of.LAG, FigureKind.MEAN),
}
#: The same for metrics whose statistic says how.
_BY_STATISTIC = {
    "load.in_flight": (Of.IN_FLIGHT, {"mean": FigureKind.MEAN, "max": FigureKind.MAX}),
}
#: The same as users write them.
WINDOWED_NAMES = (
    *(
        f"{name}.p50 to {'p99' if of is Of.RUNS else 'p99.9'}" if kind is FigureKind.QUANTILE else name
        for name, (of, kind) in _WINDOWED.items()
    ),
    *(f"{name}.{statistic}" for name, (_, kinds) in _BY_STATISTIC.items() for statistic in kinds),
)


#: Counts of runs by outcome, which are known while the test runs: by a metric's name, the outcomes.
COUNTED: Mapping[str, frozenset[Outcome]] = {
    f"run.{outcome.value}": frozenset({outcome}) for outcome in Outcome if outcome is not Outcome.CUT_OFF
} | {"run.ended": frozenset({Outcome.SUCCEEDED, Outcome.FAILED})}


def known_meanwhile(metric: NamedMetric) -> bool:
    """Whether a metric is known while the test runs, from its counters."""
    return metric.name in COUNTED or windowed(metric) is not None


def windowed(metric: NamedMetric) -> Windowed | None:
    """How a metric is made in a window; None where it has no figure there.

    Means and maxima of times have none, since they are of those that were answered; nor have operations that are no
    load.
    """
    if (by_statistic := _BY_STATISTIC.get(metric.metric.name)) is not None:
        kind_of_statistic = by_statistic[1].get(metric.statistic)
        return None if kind_of_statistic is None else Windowed(by_statistic[0], kind_of_statistic)
    found = _WINDOWED.get(metric.metric.name)
    if found is None:
        return None
    of, kind = found
    share = FINE_QUANTILES.get(metric.statistic, 0.0)
    if (kind is FigureKind.QUANTILE) != bool(share):
        return None
    if of is not Of.CALLS:
        return Windowed(of, kind, share=share)
    _, purpose, call, *_ = metric.path
    return Windowed(of, kind, call, share) if purpose == Purpose.LOAD else None
