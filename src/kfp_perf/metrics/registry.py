"""Every metric by the name that thresholds call it, and where its value is in a metrics dictionary."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.client import methods
from kfp_perf.client.protocol import VARIANTS
from kfp_perf.metrics import METRICS
from kfp_perf.metrics.metric import fewest_values
from kfp_perf.result.records import Purpose
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kfp_perf.metrics.collector import MetricFamily
    from kfp_perf.metrics.metric import Metric


def _call_names() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield each name that `{call}` stands for, and its purpose and operation in a metrics dictionary."""
    for purpose in Purpose:
        for method in vars(methods).values():
            if not isinstance(method, methods.ApiMethod):
                continue
            name = method.name if purpose is Purpose.LOAD else f"{purpose.value}.{method.name}"
            yield name, (purpose.value, method.name)
            if purpose is Purpose.LOAD and method.name.startswith("List"):
                for variant in VARIANTS:
                    yield f"{name}.{variant}", (purpose.value, f"{method.name}.{variant}")


#: What a name may have in place of `{call}`: an operation of the API, of the load unless its purpose is before
#: it. A list read of the load may be followed by its variant.
CALLS: Mapping[str, tuple[str, str]] = dict(_call_names())


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
        """The number of values that it needs: for a quantile, so that one is beyond it; else one."""
        share = FINE_QUANTILES.get(self.statistic)
        return 1 if share is None else fewest_values(share)

    def value_in(self, metrics: Mapping[str, Any]) -> float | None:
        """The value in a metrics dictionary; None where there is none, or it is not reached."""
        found = _look_up(metrics, self.path)
        return float(found) if isinstance(found, int | float) else None

    def not_reached_in(self, metrics: Mapping[str, Any]) -> bool:
        """Whether it is a quantile, or a maximum, above all that was answered: longer than any bound."""
        found = _look_up(metrics, (*self.path[:-1], "not_reached"))
        return isinstance(found, list) and self.statistic in found

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

    def between_in(self, metrics: Mapping[str, Any]) -> tuple[float, float] | None:
        """Between which bounds it lies, where that is all that is known of it; else None."""
        found = _look_up(metrics, (*self.path[:-1], "between", self.path[-1]))
        return (found[0], math.inf if found[1] is None else found[1]) if isinstance(found, list) else None

    def expanded(self, metrics: Mapping[str, Any]) -> list[NamedMetric]:
        """Return this metric for each name that its `*` stands for and that has it; itself where it has none."""
        if ANY not in self.path:
            return [self]
        place = self.path.index(ANY)
        found = _look_up(metrics, self.path[:place])
        named = [
            dataclasses.replace(
                self,
                name=self.name.replace(ANY, key, 1),
                path=_replaced(self.path, key),
                count_path=_replaced(self.count_path, key),
            )
            for key in (found if isinstance(found, dict) else ())
        ]
        # A component without a limit has no share of it, which is no lack of data.
        return [one for one in named if one.value_in(metrics) is not None or one.count_in(metrics)]


class Registry:
    """Metrics by the name that thresholds call them: those of the built-in families, and of the user's."""

    def __init__(self, families: Mapping[str, type[MetricFamily]], declared: Iterable[Metric] = ()) -> None:
        self.metrics = (*(metric for family in families.values() for metric in family.metrics), *declared)
        self._by_name = {found.name: found for metric in self.metrics for found in _names_of(metric)}

    def find(self, name: str) -> NamedMetric | None:
        """The metric of this name; None where there is none. A part that a pattern leaves open may be `*`."""
        if (found := self._by_name.get(name)) is not None:
            return found
        parts = name.split(".")
        for pattern, metric in self._by_name.items():
            if ANY in pattern and (filled := _matched(parts, pattern.split("."))) is not None:
                return dataclasses.replace(
                    metric,
                    name=name,
                    path=_replaced(metric.path, filled),
                    count_path=_replaced(metric.count_path, filled),
                )
        return None

    def nearest(self, name: str) -> str:
        """The name of a metric that is most like this one; empty where none is."""
        near = difflib.get_close_matches(name, self._by_name, n=1, cutoff=0.5)
        return near[0] if near else ""

    def statistics_of(self, name: str) -> tuple[str, ...]:
        """What may follow this name, where it is a distribution without a statistic; else empty."""
        return tuple(
            found.statistic for found in self._by_name.values() if found.name == f"{name}.{found.statistic}"
        )


@functools.cache
def built_in() -> Registry:
    """The registry of the built-in families."""
    return Registry(METRICS)


#: In a metric's name and path: any one name, such as that of a component.
ANY = "*"


def _matched(parts: list[str], pattern: list[str]) -> str | None:
    """The part of a name that stands where the pattern has `*`; None where the rest differs."""
    place = pattern.index(ANY)
    after = len(pattern) - place - 1
    if len(parts) < len(pattern) or parts[:place] != pattern[:place]:
        return None
    if after and parts[-after:] != pattern[-after:]:
        return None
    return ".".join(parts[place : len(parts) - after])


def _replaced(path: tuple[str, ...], key: str) -> tuple[str, ...]:
    return tuple(key if part == ANY else part for part in path)


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
