"""Metric families, and the users' own collectors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kfp_perf.metrics.metric import Metric
    from kfp_perf.result.calls import CallSecond
    from kfp_perf.result.evidence import EvidenceFiles
    from kfp_perf.result.reader import ScenarioFiles
    from kfp_perf.result.records import RunRecord, Sample
    from kfp_perf.result.scenario_writer import ScenarioInfo, StateLine
    from kfp_perf.result.series import HistogramLine

log = logging.getLogger(__name__)


class MetricFamily:
    """One family of metrics, made from the files of a scenario. METRICS is the table of the built-in ones.

    `metrics` declares the names and units of what `result` returns. Override the `on_*` methods that the family
    needs: each is called for every line of one file, in the order of the file. A family without `merge` has
    figures for each scenario and none for the whole test.
    """

    metrics: ClassVar[tuple[Metric, ...]] = ()

    def on_run(self, record: RunRecord) -> None:
        """Record one run at its end, or one that was due and has none. Some were due in the warm-up."""

    def on_calls(self, line: CallSecond) -> None:
        """Record the operations of one kind that ended in one second."""

    def on_histogram(self, line: HistogramLine) -> None:
        """Record the times of one second of one operation."""

    def on_state(self, line: StateLine) -> None:
        """Record the scenario's counters and its runner's reports at one time; the last line counts."""

    def on_info(self, info: ScenarioInfo) -> None:
        """Record the scenario's settings and how it ended; called once, first."""

    def merge(self, other: Self) -> None:
        """Add all that the same family recorded in another scenario."""
        raise NotImplementedError

    @classmethod
    def merges(cls) -> bool:
        """Whether the family has figures for the whole test."""
        return cls.merge is not MetricFamily.merge

    def result(self) -> dict[str, Any]:
        """Return the figures: plain values that JSON can hold; times in seconds."""
        raise NotImplementedError


class EvidenceFamily(MetricFamily):
    """A family of the whole test only, made from the evidence: no scenario has figures of it."""

    def on_evidence(self, evidence: EvidenceFiles, scenarios: Sequence[ScenarioFiles]) -> None:
        """Read what was collected; called once. The scenarios say when the load was, and which runs it had."""
        raise NotImplementedError

    def merge(self, other: Self) -> None:
        """Do nothing: there is one such family in a test."""


class MetricsCollector(MetricFamily):
    """A user's own family of metrics: subclass it, and register the class.

    Register it under the entry point group `kfp_perf.metrics`, or in the table METRICS of a module given with
    `--plugin`. Every scenario gets an instance, whose `on_sample` and `on_run` are called in the scenario's
    thread as operations and runs end; `collect_custom_metrics` is called once, after the scenario's clean-up, and
    its value is in the result under the registered name. Metrics that `metrics` declares can be used in thresholds,
    and are in reports and CSV. Override `merge` to get figures of the whole test too: `collect_custom_metrics` is
    then called once more, after the last `merge`, where there are several scenarios. An exception is reported, and
    has no other effect.

    `measured_from` is when the warm-up ends (seconds since the Unix epoch, set when the scenario starts):
    operations of the load that were due before are warm-up. A collector gets them too, and may compare
    `sample.due`.
    """

    def __init__(self, scenario_name: str = "") -> None:
        self.scenario_name = scenario_name
        self.measured_from = 0.0

    def on_sample(self, sample: Sample) -> None:
        """Record one operation with its attempts."""

    def collect_custom_metrics(self) -> dict[str, Any]:
        """Return metrics of your own: plain values that JSON can hold."""
        return {}

    def result(self) -> dict[str, Any]:
        """Return `collect_custom_metrics()`."""
        return self.collect_custom_metrics()


class GuardedCollector:
    """A wrapper that keeps a user's collector from disturbing the test: its first exception is logged, and ends it.

    `make` makes the collector; `error` is the text of that exception, or empty. Can be pickled if the collector
    can.
    """

    def __init__(self, name: str, make: Callable[[], MetricsCollector]) -> None:
        self.name = name
        self.error = ""
        self._figures: dict[str, Any] | None = None
        made = self._guard(make)
        self._collector: MetricsCollector = MetricsCollector() if made is None else made

    def measure_from(self, moment: float) -> None:
        """Set when the warm-up ends."""
        self._guard(setattr, self._collector, "measured_from", moment)

    def on_sample(self, sample: Sample) -> None:
        """Pass an operation on."""
        self._guard(self._collector.on_sample, sample)

    def on_run(self, record: RunRecord) -> None:
        """Pass a run on."""
        self._guard(self._collector.on_run, record)

    def merge(self, other: GuardedCollector) -> None:
        """Add what another scenario's collector recorded. Where that one failed, so has this one."""
        self.error = self.error or other.error
        self._figures = None
        self._guard(self._collector.merge, other._collector)

    @property
    def merges(self) -> bool:
        """Whether the collector has figures for the whole test."""
        return type(self._collector).merges()

    def result(self) -> dict[str, Any]:
        """Return the collector's figures as JSON will hold them; `{"error": text}` where it failed.

        The collector is called for them once, and again only after a `merge`.
        """
        if self._figures is None:
            self._figures = self._guard(self._result)
        return {"error": self.error} if self.error or self._figures is None else self._figures

    def _result(self) -> dict[str, Any]:
        figures = self._collector.result()
        if not isinstance(figures, dict):
            raise TypeError(f"collect_custom_metrics returned {type(figures).__name__}, not a dictionary")
        # A value that JSON cannot hold must fail here, and not when the whole result is written.
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(figures, enc_hook=str))
        return plain

    def _guard(self, function: Any, *arguments: Any) -> Any:
        if self.error:
            return None
        try:
            return function(*arguments)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            log.exception("The metrics collector %s failed and is not called again", self.name)
            return None
