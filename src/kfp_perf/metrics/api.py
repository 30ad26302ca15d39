"""What the API did, by operation: how often, how fast, how wrong."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from kfp_perf.metrics.collector import MetricFamily
from kfp_perf.metrics.messages import Messages
from kfp_perf.metrics.metric import FINE_DISTRIBUTION, Metric, Unit, distribution
from kfp_perf.statistics.histogram import Histogram
from kfp_perf.statistics.quantiles import FINE_QUANTILES

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample

_REQUESTS = "every attempt of a request that kfp-perf sent"
_SUCCEEDED = "attempts that succeeded, timed by the client"


def _metric(name: str, key: str, unit: Unit, meaning: str) -> Metric:
    of = () if unit is Unit.COUNT else ("api", "{call}", "count")
    return Metric(f"api.{{call}}.{name}", unit, meaning, _REQUESTS, ("api", "{call}", key), (), of)


class Operation:
    """One operation for one purpose."""

    def __init__(self) -> None:
        self.count = 0
        self.retries = 0
        self.unknown = 0
        self.gone = 0
        self.errors: Counter[str] = Counter()
        self.messages = Messages()
        self.latency = Histogram()
        self.service = Histogram()
        self._first_due = math.inf
        self._last_ended = -math.inf

    def add(self, sample: Sample) -> None:
        """Take in one attempt."""
        self.count += 1
        if sample.due < self._first_due:
            self._first_due = sample.due
        if sample.ended > self._last_ended:
            self._last_ended = sample.ended
        if sample.attempt > 1:
            self.retries += 1
        if sample.error:
            self.errors[sample.error] += 1
            self.messages.add(sample.error, sample.message)
            self.unknown += sample.unknown
            return
        if sample.gone:
            self.gone += 1
            return
        self.latency.record(sample.ended - sample.due)
        self.service.record(sample.ended - sample.sent)

    @property
    def lasted_seconds(self) -> float:
        """From when the first was due to the end of the last; 0 for a single one."""
        return max(0.0, self._last_ended - self._first_due) if self.count > 1 else 0.0

    def merge(self, other: Operation) -> None:
        """Take in what another scenario saw."""
        self.count += other.count
        self.retries += other.retries
        self.unknown += other.unknown
        self.gone += other.gone
        self.errors.update(other.errors)
        self.messages.merge(other.messages)
        self.latency.merge(other.latency)
        self.service.merge(other.service)
        self._first_due = min(self._first_due, other._first_due)
        self._last_ended = max(self._last_ended, other._last_ended)

    def result(self) -> dict[str, Any]:
        """The figures."""
        failed = self.errors.total()
        return {
            "count": self.count,
            "errors": failed,
            "error_rate": failed / self.count if self.count else 0.0,
            "errors_by_kind": dict(self.errors),
            "errors_by_message": self.messages.result(),
            "retries": self.retries,
            "unknown": self.unknown,
            "gone": self.gone,
            "rate_per_second": self.count / self.lasted_seconds if self.lasted_seconds else None,
            "latency_seconds": self.latency.summary(FINE_QUANTILES),
            "service_seconds": self.service.summary(FINE_QUANTILES),
        }


class ApiMetrics(MetricFamily):
    """Requests by purpose and operation. A sample is an attempt, so a retried request counts each time.

    Latencies are of attempts that succeeded: a refusal is quick, and would make a failing server look fast.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        _metric("count", "count", Unit.COUNT, "Requests sent, each attempt by itself."),
        _metric("errors", "errors", Unit.COUNT, "Requests that failed."),
        _metric("error_rate", "error_rate", Unit.SHARE, "The share of requests that failed."),
        _metric("retries", "retries", Unit.COUNT, "Attempts after the first."),
        _metric("unknown", "unknown", Unit.COUNT, "Failures after which the work may be done all the same."),
        _metric(
            "gone", "gone", Unit.COUNT, "Reads of what somebody had deleted since it was listed: no errors."
        ),
        _metric(
            "rate",
            "rate_per_second",
            Unit.PER_SECOND,
            "Requests a second, from the first due to the last end.",
        ),
        distribution(
            "api.{call}.latency",
            "From when a request was due to the end of its answer: what a user of the API waits.",
            _SUCCEEDED,
            ("api", "{call}", "latency_seconds"),
            FINE_DISTRIBUTION,
        ),
        Metric(
            "api.{call}.latency.drift",
            Unit.CHANGE,
            "By what share of its median latency changed from the first second to the last (Theil-Sen), where the "
            "load lasted for a minute or more.",
            "each second's median",
            ("api", "{call}", "latency_trend", "change_share"),
            (),
            ("api", "{call}", "latency_trend", "points"),
        ),
        distribution(
            "api.{call}.service",
            "From when a request's headers were written to the end of its answer: server and network alone.",
            _SUCCEEDED,
            ("api", "{call}", "service_seconds"),
            FINE_DISTRIBUTION,
        ),
    )

    def __init__(self) -> None:
        self.operations: dict[tuple[str, str], Operation] = {}
        self._warmup = 0

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""
        key = (sample.purpose, sample.operation)
        operation = self.operations.get(key)
        if operation is None:
            operation = self.operations[key] = Operation()
        operation.add(sample)

    def on_warmup_sample(self, sample: Sample) -> None:
        """Count what is kept out of all else."""
        self._warmup += 1

    def merge(self, other: Self) -> None:
        """Take in what another scenario saw."""
        self._warmup += other._warmup
        for key, operation in dict(other.operations).items():
            self.operations.setdefault(key, Operation()).merge(operation)

    def result(self) -> dict[str, Any]:
        """`{purpose: {operation: figures}}`, and how many attempts fell into the warm-up."""
        by_purpose: dict[str, Any] = {}
        # A copy: where a test was stopped at once, its thread may add an operation at this very moment.
        for (purpose, name), operation in sorted(dict(self.operations).items()):
            by_purpose.setdefault(str(purpose), {})[name] = operation.result()
        return {**by_purpose, "warmup_requests": self._warmup}
