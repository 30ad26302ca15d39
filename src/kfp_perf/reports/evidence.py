"""The evidence of a result as values, by the names that thresholds call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kfp_perf.metrics import OF_THE_TEST
from kfp_perf.metrics.metric import Unit, fewest_values
from kfp_perf.metrics.registry import built_in
from kfp_perf.reports.document import dig
from kfp_perf.reports.quantities import between_of
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class EvidenceValue(NamedTuple):
    """One value; `between` are the bounds between which it lies, where no more is known of it."""

    name: str
    unit: Unit
    value: float | None
    between: tuple[float, float | None] | None


def evidence_values(total: Mapping[str, Any]) -> Iterator[EvidenceValue]:
    """Yield every value of the families that only the whole test has, from its metrics dictionary."""
    registry = built_in()
    for metric in registry.metrics:
        if metric.path[0] not in OF_THE_TEST:
            continue
        for statistic in metric.statistics or ("",):
            named = registry.find(f"{metric.name}.{statistic}" if statistic else metric.name)
            for one in named.expanded(total) if named else ():
                value, between = one.value_in(total), one.between_in(total)
                if between is not None:
                    yield EvidenceValue(one.name, metric.unit, value, (between[0], value))
                elif value is not None:
                    yield EvidenceValue(one.name, metric.unit, value, None)


def bucketed_cell(distribution: Any, statistic: str) -> str:
    """A quantile from buckets as its bounds; a dash where there is none, or it is one of too few values."""
    ends, count = dig(distribution, "between", statistic), dig(distribution, "n")
    if not isinstance(ends, list) or not isinstance(count, int):
        return "–"
    if count < fewest_values(FINE_QUANTILES[statistic]):
        return "–"
    return between_of(ends[0], ends[1], Unit.SECONDS)
