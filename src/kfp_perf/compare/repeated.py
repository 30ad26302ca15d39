"""How far the executions of one side vary: for each compared metric, between executions and within them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kfp_perf.compare.compared_metrics import further_metrics, primary_metrics
from kfp_perf.statistics.variation import Variation, variation_of

if TYPE_CHECKING:
    from kfp_perf.compare.compared_metrics import ComparedMetric
    from kfp_perf.compare.sides import Side
    from kfp_perf.metrics.metric import Unit
    from kfp_perf.metrics.registry import Registry


@dataclass(frozen=True, slots=True)
class RepeatedMetric:
    """One metric of all executions.

    `values` has one of each execution, None where it has none or it is not reached; `within` the confidence
    interval of each inside its own execution, where there is one. `variation` is None where a value is missing or
    not positive. `scenario` is None for the whole test.
    """

    name: str
    scenario: str | None
    unit: Unit
    primary: bool
    values: tuple[float | None, ...]
    within: tuple[tuple[float, float] | None, ...]
    variation: Variation | None

    @property
    def within_known(self) -> bool:
        """Whether an execution has an interval of its own."""
        return any(one is not None for one in self.within)

    @property
    def label(self) -> str:
        """Its name, with that of the scenario where it is of one."""
        return self.name if self.scenario is None else f"{self.scenario}: {self.name}"


def repeated_metrics(side: Side, registry: Registry | None = None) -> tuple[RepeatedMetric, ...]:
    """The primary metrics of a side, then further ones of which every execution has a value.

    Raises `InputError` where a primary metric is not known or has no values.
    """
    primary = primary_metrics(side, side, registry)
    found = [_repeated(one, side, primary=True) for one in primary]
    found += [_repeated(one, side, primary=False) for one in further_metrics(side, side, primary)]
    return tuple(found)


def _repeated(compared: ComparedMetric, side: Side, *, primary: bool) -> RepeatedMetric:
    metric = compared.metric
    values = tuple(map(compared.value_in, side.executions))
    known = [value for value in values if value is not None and value > 0.0]
    return RepeatedMetric(
        name=metric.name,
        scenario=compared.scenario,
        unit=metric.metric.unit,
        primary=primary,
        values=values,
        within=_intervals(compared, side),
        variation=variation_of(known) if len(known) == len(values) else None,
    )


def _intervals(compared: ComparedMetric, side: Side) -> tuple[tuple[float, float] | None, ...]:
    found = (compared.metric.interval_in(one.metrics(compared.scenario)) for one in side.executions)
    return tuple(
        (one[0], one[1]) if one is not None and one[0] is not None and one[1] is not None else None
        for one in found
    )
