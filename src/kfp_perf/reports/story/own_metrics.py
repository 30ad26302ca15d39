"""What the users' own collectors measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp_perf.metrics.metric import declared_metrics
from kfp_perf.metrics.registry import NamedMetric, Registry
from kfp_perf.reports.quantities import count_of, quantity_of
from kfp_perf.reports.story.blocks import Cell, Column, Noted, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.metrics.metric import Metric
    from kfp_perf.reports.story.report_data import Material


def own_metrics(material: Material) -> Section | None:
    """Every metric that a user's collector declares: its value in each scenario, and in the whole test."""
    declared = declared_metrics(material.document.get("declared_metrics"))
    if not declared:
        return None
    places = [(str(one["name"]), one["metrics"]) for one in material.scenarios]
    if len(places) > 1 or not places:
        places.append(("whole test", material.total))
    rows = [
        [Noted(name, metric.meaning), *(_value(metric, name, figures) for _, figures in places)]
        for metric in declared
        for name in _names(metric, [figures for _, figures in places])
    ]
    columns = [Column("Metric", is_number=False), *(Column(name) for name, _ in places)]
    lead = f"{count_of(len(rows), 'value')} that collectors of plug-ins declare."
    return Section("own-metrics", "What did your collectors measure?", lead, [Table("", columns, rows)])


def _names(metric: Metric, figures: list[dict[str, Any]]) -> Iterator[str]:
    """Each name that a metric has in any of the figures; a statistic each, and a part for each `*`."""
    for found in _of(metric):
        yield from dict.fromkeys(one.name for each in figures for one in found.expanded(each))


def _of(metric: Metric) -> list[NamedMetric]:
    registry = Registry({}, [metric])
    names = [f"{metric.name}.{statistic}" for statistic in metric.statistics] or [metric.name]
    return [found for name in names if (found := registry.find(name)) is not None]


def _value(metric: Metric, name: str, figures: dict[str, Any]) -> Cell:
    found = Registry({}, [metric]).find(name)
    if found is None:
        return "–"
    count = found.count_in(figures)
    if count is not None and count < found.fewest:
        return "–"
    if found.not_reached_in(figures):
        return "not reached"
    value = found.value_in(figures)
    return "–" if value is None else quantity_of(value, metric.unit)
