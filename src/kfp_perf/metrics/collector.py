"""From samples and runs to a scenario's metrics dictionary."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.result.model import RunRecord, Sample

log = logging.getLogger(__name__)


class MetricFamily(Protocol):
    """One family of metrics: takes in what happens, and tells it at the end. METRICS is the table of them."""

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""
        ...

    def on_run(self, record: RunRecord) -> None:
        """Take in one run that came to its end, or to the end of the test."""
        ...

    def merge(self, other: Self) -> None:
        """Take in all that the same family saw in another scenario."""
        ...

    def result(self) -> dict[str, Any]:
        """What is to be told: plain values that JSON can hold; times in seconds."""
        ...


class MetricsCollector:
    """Feeds a scenario's samples and runs to families of metrics, and joins what these tell.

    Subclass it to measure something of your own, and register the class under the entry point group
    `kfp_perf.metrics` or with `--plugin`: every scenario gets an instance, whose `on_sample` and `on_run` are
    called in the scenario's thread, and whose `collect_custom_metrics` is called once at the end; what that
    returns stands in the result under the name that it was registered with. An exception is reported and harms
    nothing else.
    """

    def __init__(self, scenario_name: str = "", families: Mapping[str, MetricFamily] | None = None) -> None:
        self.scenario_name = scenario_name
        self.families: dict[str, MetricFamily] = dict(families or {})

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""
        for family in self.families.values():
            family.on_sample(sample)

    def on_run(self, record: RunRecord) -> None:
        """Take in one run that came to its end, or to the end of the test."""
        for family in self.families.values():
            family.on_run(record)

    def collect_custom_metrics(self) -> dict[str, Any]:
        """Return metrics of your own: plain values that JSON can hold."""
        return {}

    def merge(self, other: MetricsCollector) -> None:
        """Take in what another scenario's collector holds."""
        for name, family in other.families.items():
            if name in self.families:
                self.families[name].merge(family)

    def metrics(self) -> dict[str, Any]:
        """The metrics dictionary: a key a family."""
        return {name: family.result() for name, family in self.families.items()}


class GuardedCollector:
    """A user's collector that cannot harm the measurement: its first exception is logged, and ends it."""

    def __init__(self, name: str, collector: MetricsCollector) -> None:
        self.name = name
        self._collector = collector
        self.error = ""

    def on_sample(self, sample: Sample) -> None:
        """Pass a sample on."""
        self._guard(self._collector.on_sample, sample)

    def on_run(self, record: RunRecord) -> None:
        """Pass a run on."""
        self._guard(self._collector.on_run, record)

    def metrics(self) -> dict[str, Any]:
        """What the collector tells; `{"error": text}` where it failed."""
        collected = self._guard(self._collector.collect_custom_metrics)
        return {"error": self.error} if self.error else dict(collected or {})

    def _guard(self, function: Any, *arguments: Any) -> Any:
        if self.error:
            return None
        try:
            return function(*arguments)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            log.exception("The metrics collector %s failed and is no longer asked", self.name)
            return None
