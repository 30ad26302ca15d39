"""Every metric by the name that thresholds call it, and where its value stands in a metrics dictionary."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.client import methods
from kfp_perf.metrics import METRICS
from kfp_perf.metrics.metric import fewest_values
from kfp_perf.result.records import Purpose
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kfp_perf.metrics.metric import Metric

#: The metrics of all families, in the order of METRICS.
REGISTRY: tuple[Metric, ...] = tuple(metric for family in METRICS.values() for metric in family.metrics)

#: What a name may have in place of `{call}`: an operation of the API, of the load unless its purpose is before it.
CALLS: Mapping[str, tuple[str, str]] = {
    operation.name if purpose is Purpose.LOAD else f"{purpose.value}.{operation.name}": (
        purpose.value,
        operation.name,
    )
    for purpose in Purpose
    for operation in vars(methods).values()
    if isinstance(operation, methods.Operation)
}


@dataclass(frozen=True, slots=True)
class NamedMetric:
    """One value of a metric: its whole name, the `metric`, and the statistic of it, if it is a distribution."""

    name: str
    metric: Metric
    statistic: str
    path: tuple[str, ...]
    count_path: tuple[str, ...]

    @property
    def fewest(self) -> int:
        """From how many values it can be told: of a quantile, so many that one lies beyond it; else one."""
        share = FINE_QUANTILES.get(self.statistic)
        return 1 if share is None else fewest_values(share)

    def value_in(self, metrics: Mapping[str, Any]) -> float | None:
        """The value in a metrics dictionary; None where there is none."""
        found = _look_up(metrics, self.path)
        return float(found) if isinstance(found, int | float) else None

    def count_in(self, metrics: Mapping[str, Any]) -> int | None:
        """From how many values it was made: 0 where there were none; None where it is a count itself."""
        if not self.count_path:
            return None
        found = _look_up(metrics, self.count_path)
        return found if isinstance(found, int) else 0

    def error_in(self, metrics: Mapping[str, Any]) -> float | None:
        """How far off it is at most; None where it is exact."""
        found = _look_up(metrics, self.metric.error_path) if self.metric.error_path else None
        return float(found) if isinstance(found, int | float) else None

    def interval_in(self, metrics: Mapping[str, Any]) -> tuple[float | None, float | None] | None:
        """Its confidence interval; None where there is none, or for an end that is not known."""
        found = _look_up(metrics, (*self.path[:-1], "intervals", self.path[-1]))
        return (found[0], found[1]) if isinstance(found, list) else None


def find_metric(name: str) -> NamedMetric | None:
    """The metric of this name; None where there is none."""
    return _by_name().get(name)


def nearest_name(name: str) -> str:
    """The name of a metric that is most like this one; empty where none is."""
    near = difflib.get_close_matches(name, _by_name(), n=1, cutoff=0.5)
    return near[0] if near else ""


def statistics_of(name: str) -> tuple[str, ...]:
    """What may follow this name, where it is that of a distribution without a statistic; empty where it is not."""
    return tuple(
        found.statistic for found in _by_name().values() if found.name == f"{name}.{found.statistic}"
    )


@functools.cache
def _by_name() -> dict[str, NamedMetric]:
    return {found.name: found for metric in REGISTRY for found in _names_of(metric)}


def _names_of(metric: Metric) -> Iterator[NamedMetric]:
    """Each name that a metric's pattern stands for."""
    calls = CALLS if "{call}" in metric.name else {"": ()}
    for call, keys in calls.items():
        name = metric.name.replace("{call}", call)
        path, count_path = _filled(metric.path, keys), _filled(metric.count_path, keys)
        if not metric.statistics:
            yield NamedMetric(name, metric, "", path, count_path)
        for statistic in metric.statistics:
            yield NamedMetric(f"{name}.{statistic}", metric, statistic, (*path, statistic), count_path)


def _filled(path: tuple[str, ...], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for key in path for part in (keys if key == "{call}" else (key,)))


def _look_up(metrics: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = metrics
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found
