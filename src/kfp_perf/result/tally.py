"""The counters of a scenario while it runs, written by its thread only."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kfp_perf.result.coarse_histogram import CoarseHistogram, coarse_sum
from kfp_perf.result.counters import CallCounters
from kfp_perf.result.records import LOCAL_KINDS, CallOutcome, Outcome, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kfp_perf.result.records import RunRecord, Sample

_MOST_ERROR_KINDS = 200


class _Call:
    """The operations of one kind that ended."""

    __slots__ = ("ended", "failed", "latency")

    def __init__(self) -> None:
        self.ended = 0
        self.latency = CoarseHistogram()
        self.failed: CoarseHistogram | None = None

    def counters(self) -> CallCounters:
        return CallCounters(
            ended=self.ended,
            latency=self.latency.counts.tobytes(),
            failed=b"" if self.failed is None else self.failed.counts.tobytes(),
        )


class Tally:
    """The counters of a scenario under way, written by its thread only."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.operations = 0
        self.answered = 0
        self.errors = 0
        self.calls = 0
        self.attempts = 0
        self.attempt_errors: Counter[str] = Counter()
        self.local_failures = 0
        self.last_error = ""
        self.outcomes: Counter[str] = Counter()
        self.longest_run_seconds = 0.0
        self.cleaned_up = 0
        self.to_clean_up = 0
        self._cleaning_since = 0.0
        #: When the clean-up will be over at the rate so far; None: not known yet.
        self.cleaned_up_at: float | None = None
        self._lateness = CoarseHistogram()
        self._visible = CoarseHistogram()
        self._failed = CoarseHistogram()
        self._calls: dict[tuple[str, str], _Call] = {}

    def on_sample(self, sample: Sample) -> None:
        """Count one operation and its attempts."""
        self.calls += 1
        self.attempts += len(sample.attempts)
        if sample.outcome is not CallOutcome.ANSWERED or len(sample.attempts) > 1:
            self._count_errors(sample)
        if sample.purpose is not Purpose.LOAD:
            return
        self.operations += 1
        call = self._calls.get((sample.operation, sample.variant))
        if call is None:
            call = self._calls[sample.operation, sample.variant] = _Call()
        call.ended += 1
        if sample.outcome is CallOutcome.ANSWERED:
            self.answered += 1
            call.latency.record(sample.ended - sample.due)
        elif sample.outcome is not CallOutcome.GONE:
            call.failed = call.failed or CoarseHistogram()
            call.failed.record(sample.ended - sample.due)
        if (late := sample.lateness_seconds) is not None:
            self._lateness.record(late)

    def _count_errors(self, sample: Sample) -> None:
        if sample.outcome is CallOutcome.GONE:
            return
        if sample.outcome is not CallOutcome.ANSWERED and sample.purpose is Purpose.LOAD:
            self.errors += 1
        for attempt in sample.attempts:
            if attempt.error:
                kind = f"{sample.operation} {attempt.error}"
                if kind not in self.attempt_errors and len(self.attempt_errors) >= _MOST_ERROR_KINDS:
                    kind = "others"
                self.attempt_errors[kind] += 1
                self.local_failures += attempt.error in LOCAL_KINDS

    def on_run(self, record: RunRecord, now: float) -> None:
        """Count a run at its end, which became known at `now`, in seconds since the Unix epoch."""
        self.outcomes[record.outcome.value] += 1
        self.last_error = record.error or self.last_error
        if record.duration_seconds is not None:
            self.longest_run_seconds = max(self.longest_run_seconds, record.duration_seconds)
        if record.outcome is Outcome.SUCCEEDED and record.seen_finished is not None:
            self._visible.record(record.seen_finished - record.due)
        elif record.outcome is not Outcome.CUT_OFF:
            self._failed.record(now - record.due)

    def on_cleanup(self, done: int, total: int, now: float) -> None:
        """Record how far the clean-up is, at a time in seconds since the Unix epoch."""
        if not self.to_clean_up:
            self._cleaning_since = now
        self.cleaned_up, self.to_clean_up = done, total
        if done:
            self.cleaned_up_at = now + (now - self._cleaning_since) / done * (total - done)

    def _by_call(self) -> dict[str, CallCounters]:
        # A copy in one step of the interpreter, as in `_copied`.
        return {
            f"{operation}.{variant}" if variant else operation: call.counters()
            for (operation, variant), call in tuple(self._calls.items())
        }

    def _all_latencies(self) -> bytes:
        latencies = [call.latency.counts.tobytes() for call in tuple(self._calls.values())]
        return latencies[0] if len(latencies) == 1 else coarse_sum(latencies).tobytes()

    @property
    def ended(self) -> int:
        """Runs that succeeded or failed."""
        return self.outcomes[Outcome.SUCCEEDED.value] + self.outcomes[Outcome.FAILED.value]

    def fields(self) -> dict[str, object]:
        """Return the fields of `ScenarioCounters` that are counted here. Another thread may call this."""
        return {
            "in_flight": self.in_flight,
            "operations": self.operations,
            "answered": self.answered,
            "errors": self.errors,
            "calls": self.calls,
            "attempts": self.attempts,
            "attempt_errors": _copied(self.attempt_errors),
            "local_failures": self.local_failures,
            "last_error": self.last_error,
            "outcomes": _copied(self.outcomes),
            "longest_run_seconds": self.longest_run_seconds,
            "visible_seconds": self._visible.counts.tobytes(),
            "failed_seconds": self._failed.counts.tobytes(),
            "by_call": self._by_call(),
            "cleaned_up": self.cleaned_up,
            "to_clean_up": self.to_clean_up,
            "latency": self._all_latencies(),
            "lateness": self._lateness.counts.tobytes(),
        }


def _copied(counts: Mapping[str, int]) -> dict[str, int]:
    """Copy in one step of the interpreter, since the scenario's thread may add a key at any time."""
    return dict(counts)
