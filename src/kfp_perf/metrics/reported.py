"""Families made from what a scenario's runner reports beside its operations and runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.metric import Metric, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.scenario_writer import StateLine


class Field(NamedTuple):
    """One figure of a report; `join` makes one of two scenarios' figures (None: it is per scenario only)."""

    key: str
    unit: Unit
    meaning: str
    join: Callable[[float, float], float] | None = float.__add__


def count(key: str, meaning: str) -> Field:
    """A count, which adds up over scenarios."""
    return Field(key, Unit.COUNT, meaning, lambda one, other: one + other)


def seconds(key: str, meaning: str) -> Field:
    """A time in seconds; of several scenarios the longest."""
    return Field(key, Unit.SECONDS, meaning, max)


def declared(family: str, source: str, fields: tuple[Field, ...]) -> tuple[Metric, ...]:
    """Return the metrics `<family>.<key>` of a report's fields, without `_seconds` where no other has that name."""
    keys = {field.key for field in fields}
    short = {key: key.removesuffix("_seconds") for key in keys if key.removesuffix("_seconds") not in keys}
    return tuple(
        Metric(
            f"{family}.{short.get(field.key, field.key)}",
            field.unit,
            field.meaning,
            source,
            (family, field.key),
        )
        for field in fields
    )


class ReportedFamily(MetricFamily):
    """Figures that a runner reports as a whole; the last report counts. Subclasses give `key` and `fields`."""

    key: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]] = ()

    def __init__(self) -> None:
        self._report: dict[str, Any] = {}

    def on_state(self, line: StateLine) -> None:
        """Keep the last report."""
        found = line.reports.get(self.key)
        if isinstance(found, dict):
            self._report = found

    def merge(self, other: Self) -> None:
        """Join the figures that can be."""
        joined: dict[str, Any] = {}
        for field in self.fields:
            one, another = self._report.get(field.key), other._report.get(field.key)
            if field.join is None or (one is None and another is None):
                continue
            known = [value for value in (one, another) if value is not None]
            joined[field.key] = field.join(known[0], known[1]) if len(known) == 2 else known[0]
        self._report = joined

    def result(self) -> dict[str, Any]:
        """The runner's report, unchanged; empty where it has none."""
        return dict(self._report)


def added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Add two dictionaries of counts."""
    return dict(Counter(one) + Counter(other))
