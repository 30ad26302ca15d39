"""What the API did, by operation: how often, how fast, how wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from kfp_perf.metrics.histogram import Histogram

if TYPE_CHECKING:
    from kfp_perf.result.model import RunRecord, Sample


class _Operation:
    def __init__(self) -> None:
        self.count = 0
        self.retries = 0
        self.unknown = 0
        self.errors: Counter[str] = Counter()
        self.latency = Histogram()
        self.service = Histogram()

    def add(self, sample: Sample) -> None:
        self.count += 1
        self.retries += sample.attempt > 1
        self.unknown += sample.unknown
        if sample.error:
            self.errors[sample.error] += 1
            return
        self.latency.record(sample.latency_seconds)
        self.service.record(sample.service_seconds)

    def merge(self, other: _Operation) -> None:
        self.count += other.count
        self.retries += other.retries
        self.unknown += other.unknown
        self.errors.update(other.errors)
        self.latency.merge(other.latency)
        self.service.merge(other.service)

    def result(self) -> dict[str, Any]:
        failed = self.errors.total()
        return {
            "count": self.count,
            "errors": failed,
            "error_rate": failed / self.count if self.count else 0.0,
            "errors_by_kind": dict(self.errors),
            "retries": self.retries,
            "unknown": self.unknown,
            "latency_seconds": self.latency.summary(),
            "service_seconds": self.service.summary(),
        }


class ApiMetrics:
    """Requests by purpose and operation. A sample is an attempt, so a retried request counts each time.

    Latencies are of attempts that succeeded: a refusal is quick, and would make a failing server look fast.
    What was due before `measured_from` (warm-up) is counted, and kept out of everything else.
    """

    def __init__(self, measured_from: float = 0.0) -> None:
        self._measured_from = measured_from
        self._operations: dict[tuple[str, str], _Operation] = {}
        self._warmup = 0

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""
        if sample.due < self._measured_from:
            self._warmup += 1
            return
        key = (sample.purpose.value, sample.operation)
        operation = self._operations.get(key)
        if operation is None:
            operation = self._operations[key] = _Operation()
        operation.add(sample)

    def on_run(self, record: RunRecord) -> None:
        """Runs are another family's."""

    def merge(self, other: Self) -> None:
        """Take in what another scenario saw."""
        self._warmup += other._warmup
        for key, operation in other._operations.items():
            self._operations.setdefault(key, _Operation()).merge(operation)

    def result(self) -> dict[str, Any]:
        """`{purpose: {operation: figures}}`, and how many attempts fell into the warm-up."""
        by_purpose: dict[str, Any] = {}
        for (purpose, name), operation in sorted(self._operations.items()):
            by_purpose.setdefault(purpose, {})[name] = operation.result()
        return {**by_purpose, "warmup_requests": self._warmup}
