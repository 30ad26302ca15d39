"""From samples and runs to a scenario's metrics dictionary."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kfp_perf.metrics.metric import Metric
    from kfp_perf.result.records import RunRecord, Sample
    from kfp_perf.result.series import Series

log = logging.getLogger(__name__)


class MetricFamily:
    """One family of metrics: takes in what happens, and tells it at the end. METRICS is the table of them.

    `metrics` says what the family tells. Override the `on_*` that it needs, and `merge` and `result`.
    """

    metrics: ClassVar[tuple[Metric, ...]] = ()

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""

    def on_warmup_sample(self, sample: Sample) -> None:
        """Take in an attempt that was due in the warm-up, and does not count."""

    def on_run(self, record: RunRecord) -> None:
        """Take in one run that came to its end, or to the end of the test. Some were due in the warm-up."""

    def merge(self, other: Self) -> None:
        """Take in all that the same family saw in another scenario."""
        raise NotImplementedError

    def result(self) -> dict[str, Any]:
        """What is to be told: plain values that JSON can hold; times in seconds."""
        raise NotImplementedError


class MetricsCollector:
    """Feeds a scenario's samples and runs to families of metrics, and joins what these tell.

    Subclass it to measure something of your own, and register the class under the entry point group
    `kfp_perf.metrics` or with `--plugin`: every scenario gets an instance, whose `on_sample` and `on_run` are
    called in the scenario's thread, and whose `collect_custom_metrics` is called once at the end; what that
    returns stands in the result under the name that it was registered with. An exception is reported and harms
    nothing else.

    `measured_from` is when the warm-up ends (seconds since the Unix epoch, set when the scenario starts): requests
    of the load that were due before count as warm-up. A subclass gets them too, and may compare `sample.due`.
    """

    def __init__(
        self,
        scenario_name: str = "",
        families: Mapping[str, MetricFamily] | None = None,
        series: Series | None = None,
    ) -> None:
        self.scenario_name = scenario_name
        self.measured_from = 0.0
        self.families: dict[str, MetricFamily] = dict(families or {})
        self._series = series
        # A sample costs nothing in a family that does not look at samples.
        self._takers = [
            family
            for family in self.families.values()
            if type(family).on_sample is not MetricFamily.on_sample
        ]

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""
        warmup = sample.due < self.measured_from and sample.purpose is Purpose.LOAD
        if self._series is not None:
            self._series.add(sample, warmup=warmup)
        for family in self._takers:
            if warmup:
                family.on_warmup_sample(sample)
            else:
                family.on_sample(sample)

    def on_run(self, record: RunRecord) -> None:
        """Take in one run that came to its end, or to the end of the test."""
        for family in self.families.values():
            family.on_run(record)

    def close(self) -> None:
        """Write down what is not written yet: no more samples will come."""
        if self._series is not None:
            self._series.close()
            self._series = None

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
    """A user's collector that cannot harm the measurement: its first exception is logged, and ends it.

    `make` makes the collector; `error` is empty, or says what went wrong.
    """

    def __init__(self, name: str, make: Callable[[], MetricsCollector]) -> None:
        self.name = name
        self.error = ""
        made = self._guard(make)
        self._collector: MetricsCollector = MetricsCollector() if made is None else made

    def measure_from(self, moment: float) -> None:
        """Tell it when the warm-up ends."""
        self._guard(setattr, self._collector, "measured_from", moment)

    def on_sample(self, sample: Sample) -> None:
        """Pass a sample on."""
        self._guard(self._collector.on_sample, sample)

    def on_run(self, record: RunRecord) -> None:
        """Pass a run on."""
        self._guard(self._collector.on_run, record)

    def metrics(self) -> dict[str, Any]:
        """What the collector tells, as JSON will hold it; `{"error": text}` where it failed."""
        told = self._guard(self._tell)
        return {"error": self.error} if self.error else told

    def _tell(self) -> dict[str, Any]:
        told = self._collector.collect_custom_metrics()
        if not isinstance(told, dict):
            raise TypeError(f"collect_custom_metrics returned {type(told).__name__}, not a dictionary")
        # What JSON cannot hold must fail here, and not when the whole result is written.
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told, enc_hook=str))
        return plain

    def _guard(self, function: Any, *arguments: Any) -> Any:
        if self.error:
            return None
        try:
            return function(*arguments)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            log.exception("The metrics collector %s failed and is no longer asked", self.name)
            return None
