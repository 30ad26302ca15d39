"""The API by operation: how often it was called, how fast it answered, how often it failed."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.messages import Messages
from kfp_perf.metrics.metric import FINE_DISTRIBUTION, Metric, Unit, distribution
from kfp_perf.metrics.summary import ranked_summary
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.result.records import Purpose
from kfp_perf.statistics.histogram import Histogram
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from kfp_perf.result.calls import CallSecond
    from kfp_perf.result.scenario_writer import ScenarioInfo, StateLine
    from kfp_perf.result.series import HistogramLine

_OPERATIONS = "every operation, with any outcome"
_ATTEMPTS = "every HTTP request that kfp-perf sent"


def _metric(name: str, key: str, unit: Unit, meaning: str, source: str = _OPERATIONS) -> Metric:
    of = () if unit is Unit.COUNT else ("api", "{call}", "count")
    return Metric(f"api.{{call}}.{name}", unit, meaning, source, ("api", "{call}", key), (), of)


class OperationFigures:
    """One operation for one purpose."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.attempt_errors: Counter[str] = Counter()
        self.messages = Messages()
        self.latency = Histogram()
        self.service = Histogram()
        self.failed = Histogram()
        self._latency_sum = 0.0
        self._first_due = math.inf
        self._last_ended = -math.inf

    def add(self, line: CallSecond) -> None:
        """Add the operations of one second."""
        for name in _COUNTED:
            self.counts[name] += getattr(line, name)
        self.errors.update(line.failed)
        self.attempt_errors.update(line.attempt_errors)
        for kind, text, times in line.messages:
            self.messages.add(kind, text, times)
        self._latency_sum += line.latency_sum
        self._first_due = min(self._first_due, line.first_due)
        self._last_ended = max(self._last_ended, line.last_ended)

    def add_times(self, line: HistogramLine) -> None:
        """Add the times of one second."""
        histogram = {"latency": self.latency, "service": self.service, "failed": self.failed}.get(
            line.measure
        )
        if histogram is not None:
            histogram.add_line(line.bins, line.counts, line.longest)

    @property
    def unanswered(self) -> int:
        """Operations that rank above every answered one."""
        return self.errors.total() + self.counts["cut_off"] + self.counts["never_started"]

    @property
    def lasted_seconds(self) -> float:
        """From when the first was due to the end of the last; 0 for a single one."""
        return max(0.0, self._last_ended - self._first_due) if self.counts["count"] > 1 else 0.0

    @property
    def span(self) -> tuple[float, float]:
        """When the first was due, and when the last ended."""
        return self._first_due, self._last_ended

    @property
    def mean_latency_seconds(self) -> float | None:
        """The mean latency of answered operations; None where there are none."""
        return self._latency_sum / self.counts["answered"] if self.counts["answered"] else None

    def merge(self, other: OperationFigures) -> None:
        """Add what another scenario, or another variant, recorded."""
        self.counts.update(other.counts)
        self.errors.update(other.errors)
        self.attempt_errors.update(other.attempt_errors)
        self.messages.merge(other.messages)
        self.latency.merge(other.latency)
        self.service.merge(other.service)
        self.failed.merge(other.failed)
        self._latency_sum += other._latency_sum
        self._first_due = min(self._first_due, other._first_due)
        self._last_ended = max(self._last_ended, other._last_ended)

    def result(self, span_seconds: float) -> dict[str, Any]:
        """Return the figures; `span_seconds`: how long such operations were due, 0 where that is unknown."""
        counts, unanswered = self.counts, self.unanswered
        # A read of what others had deleted was neither answered nor refused.
        judged = counts["count"] - counts["gone"]
        return {
            "count": counts["count"],
            "answered": counts["answered"],
            "errors": self.errors.total(),
            "cut_off": counts["cut_off"],
            "never_started": counts["never_started"],
            "gone": counts["gone"],
            "error_rate": unanswered / judged if judged else None,
            "errors_by_kind": dict(self.errors),
            "errors_by_message": self.messages.result(),
            "attempts": counts["attempts"],
            "attempt_errors": dict(self.attempt_errors),
            "retries": counts["retries"],
            "unknown": counts["unknown"],
            "rate_per_second": counts["count"] / span_seconds if span_seconds > 0 else None,
            "latency_seconds": ranked_summary(
                self.latency, unanswered, FINE_QUANTILES, self.mean_latency_seconds
            ),
            "service_seconds": self.service.summary(FINE_QUANTILES),
            "failed_seconds": self.failed.summary(FINE_QUANTILES),
        }


_BEFORE_LOAD = frozenset({ScenarioPhase.QUEUED, ScenarioPhase.PREPARING, ScenarioPhase.WAITING})
_COUNTED = ("count", "answered", "attempts", "retries", "unknown", "gone", "cut_off", "never_started")


class ApiMetrics(MetricFamily):
    """Operations by purpose and name; a list read also by variant (`ListRuns.in_experiment`)."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric(
            "count",
            "count",
            Unit.COUNT,
            "Operations that were due and ended, were cut off, or never started.",
        ),
        _metric("answered", "answered", Unit.COUNT, "Operations that succeeded."),
        _metric("errors", "errors", Unit.COUNT, "Operations that failed after their last attempt."),
        _metric("cut_off", "cut_off", Unit.COUNT, "Operations that the end of the test cut off."),
        _metric(
            "never_started",
            "never_started",
            Unit.COUNT,
            "Operations that were due, but held back until the end of the load.",
        ),
        _metric(
            "error_rate",
            "error_rate",
            Unit.SHARE,
            "The share of operations that were not answered: those that failed, that the end of the test cut off, "
            "and that were due and never started. Reads of what others had deleted are left out.",
        ),
        _metric("attempts", "attempts", Unit.COUNT, "HTTP requests sent.", _ATTEMPTS),
        _metric("retries", "retries", Unit.COUNT, "Attempts after the first of their operation.", _ATTEMPTS),
        _metric(
            "unknown",
            "unknown",
            Unit.COUNT,
            "Failed attempts after which the work may have been done.",
            _ATTEMPTS,
        ),
        _metric(
            "gone",
            "gone",
            Unit.COUNT,
            "Reads of objects that had been deleted since they were listed: no errors.",
        ),
        _metric(
            "rate",
            "rate_per_second",
            Unit.PER_SECOND,
            "Operations a second: for the load from the end of the warm-up to the end of the load, for any other "
            "purpose from when the first operation for it was due to the end of the last.",
        ),
        distribution(
            "api.{call}.latency",
            "From when an operation was due to the end of its last attempt, back-off included: what a user of the "
            "API waits. An operation that was not answered ranks above every answered one, so with 2 % of them p99 "
            "is not reached. Mean and `longest_answered` are of answered operations.",
            _OPERATIONS,
            ("api", "{call}", "latency_seconds"),
            FINE_DISTRIBUTION,
        ),
        Metric(
            "api.{call}.latency.longest_answered",
            Unit.SECONDS,
            "The longest latency of an answered operation.",
            "operations that were answered",
            ("api", "{call}", "latency_seconds", "longest_answered"),
            (),
            ("api", "{call}", "answered"),
        ),
        Metric(
            "api.{call}.latency.drift",
            Unit.CHANGE,
            "By what share of its median the latency of answered operations changed from the first second to the "
            "last (Theil-Sen), where the load lasted for a minute or more.",
            "each second's median",
            ("api", "{call}", "latency_trend", "change_share"),
            (),
            ("api", "{call}", "latency_trend", "points"),
        ),
        distribution(
            "api.{call}.service",
            "From when an attempt's headers were written to the end of its answer: server and network alone.",
            "attempts that succeeded",
            ("api", "{call}", "service_seconds"),
            FINE_DISTRIBUTION,
        ),
    )

    def __init__(self) -> None:
        self.operations: dict[tuple[str, str, str], OperationFigures] = {}
        self._warmup = 0
        #: From the end of the warm-up to the end of the load, where that is known.
        self._load = (math.inf, -math.inf)
        self._load_seen_until = -math.inf
        self._load_seen_over = False

    def on_info(self, info: ScenarioInfo) -> None:
        """Keep when the load is planned to begin and to end."""
        if info.end_at:
            self._load = (max(info.start_at, info.measured_from), info.load_end)

    def on_state(self, line: StateLine) -> None:
        """Record until when the load went on: a test may end before the load was to."""
        at, phase = line.counters.get("at"), line.counters.get("phase")
        if self._load_seen_over or not isinstance(at, int | float) or phase in _BEFORE_LOAD:
            return
        self._load_seen_until = at
        self._load_seen_over = phase != ScenarioPhase.RUNNING

    def on_calls(self, line: CallSecond) -> None:
        """Record the operations of one second."""
        if line.warmup:
            self._warmup += line.count
            return
        self._of(line.purpose, line.operation, line.variant).add(line)

    def on_histogram(self, line: HistogramLine) -> None:
        """Record the times of one second."""
        if not line.warmup and line.operation:
            self._of(line.purpose, line.operation, line.variant).add_times(line)

    def _of(self, purpose: str, operation: str, variant: str) -> OperationFigures:
        # Variants are distinguished only in the load; the observer reads lists of one kind.
        key = (str(purpose), operation, variant if purpose == Purpose.LOAD else "")
        found = self.operations.get(key)
        if found is None:
            found = self.operations[key] = OperationFigures()
        return found

    def merge(self, other: Self) -> None:
        """Add what another scenario recorded."""
        self._warmup += other._warmup
        begin, end = other._measured_load()
        self._load = (min(self._load[0], begin), max(self._load[1], end))
        for key, operation in other.operations.items():
            self.operations.setdefault(key, OperationFigures()).merge(operation)

    def _measured_load(self) -> tuple[float, float]:
        begin, end = self._load
        return begin, min(end, self._load_seen_until) if self._load_seen_until > 0 else end

    def _span_seconds(self, purpose: str) -> float:
        """How long operations for a purpose were due; 0 where a single one has no such time."""
        begin, end = self._measured_load()
        if purpose != Purpose.LOAD or begin == math.inf:
            found = [one for (of, _, _), one in self.operations.items() if of == purpose]
            if sum(one.counts["count"] for one in found) < 2:
                return 0.0
            begin, end = min(one.span[0] for one in found), max(one.span[1] for one in found)
        return max(0.0, end - begin)

    def named(self) -> dict[tuple[str, str], OperationFigures]:
        """Return the figures by purpose and name: of each operation, and of its variants as `Name.variant`."""
        found: dict[tuple[str, str], OperationFigures] = {}
        for (purpose, operation, variant), figures in sorted(self.operations.items()):
            found.setdefault((purpose, operation), OperationFigures()).merge(figures)
            if variant:
                found[purpose, f"{operation}.{variant}"] = figures
        return found

    def result(self) -> dict[str, Any]:
        """`{purpose: {operation: figures}}`, and how many operations fell into the warm-up."""
        by_purpose: dict[str, Any] = {}
        spans = {purpose: self._span_seconds(purpose) for purpose, _, _ in self.operations}
        for (purpose, name), operation in self.named().items():
            by_purpose.setdefault(purpose, {})[name] = operation.result(spans[purpose])
        return {**by_purpose, "warmup_requests": self._warmup}
