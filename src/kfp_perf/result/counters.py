"""Cumulative counters of a scenario, for the display, the health checks and the execution."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from kfp_perf.result.records import CallOutcome, Outcome, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from kfp_perf.result.records import RunRecord, Sample


class ScenarioPhase(StrEnum):
    """The phase that a scenario is in."""

    QUEUED = "queued"
    PREPARING = "preparing"
    WAITING = "waiting"
    RUNNING = "running"
    DRAINING = "finishing"
    CLEANING = "cleaning up"
    ENDED = "ended"


# Bins of a coarse histogram: 64 a decade from 1 us, so that a quantile is at most 3.7 % too high.
_BINS_A_DECADE = 64
_DECADES = 10
_BINS = _BINS_A_DECADE * _DECADES
_LOG_OF_MICROSECOND = -6 * _BINS_A_DECADE


class CoarseHistogram:
    """Counts of times by bin; recording one costs a logarithm, copying all of them a few microseconds."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts = array("Q", bytes(8 * _BINS))

    def record(self, seconds: float) -> None:
        """Count one time; less than a microsecond counts as one, more than about an hour in the last bin."""
        if seconds > 1e-6:
            place = int(_BINS_A_DECADE * math.log10(seconds)) - _LOG_OF_MICROSECOND
            self.counts[place if place < _BINS else _BINS - 1] += 1
        else:
            self.counts[0] += 1


def coarse_counts(counts: bytes) -> NDArray[np.uint64]:
    """Return the counts of a `CoarseHistogram` from the bytes in `ScenarioCounters`."""
    return np.frombuffer(counts, dtype=np.uint64) if counts else np.zeros(_BINS, dtype=np.uint64)


def coarse_quantile(counts: NDArray[np.uint64], share: float) -> float | None:
    """Return the upper bound of the bin that holds this quantile, in seconds; None where nothing was counted."""
    ranks = np.cumsum(counts)
    total = int(ranks[-1])
    if not total:
        return None
    place = int(np.searchsorted(ranks, max(1, math.ceil(share * total - 1e-6))))
    return float(10.0 ** ((place + 1 + _LOG_OF_MICROSECOND) / _BINS_A_DECADE))


#: The shortest time of each bin of a coarse histogram, in seconds.
COARSE_BOTTOMS = 10.0 ** ((np.arange(_BINS) + _LOG_OF_MICROSECOND) / _BINS_A_DECADE)
#: And the longest.
COARSE_TOPS = COARSE_BOTTOMS * 10.0 ** (1.0 / _BINS_A_DECADE)


class CallCounters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The operations of the load of one kind that ended, by any outcome.

    `latency` is a coarse histogram of those that were answered, `failed` one of those that were not, from due to
    the end of the last attempt. Reads of what others had deleted are in neither.
    """

    ended: int = 0
    latency: bytes = b""
    failed: bytes = b""


class ScenarioCounters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scenario at one time. All counts are cumulative: readers take differences, so a lost one loses nothing.

    `at` and all other times are in seconds since the Unix epoch. `waiting_for` is what the scenario waits for
    (empty: nothing in particular) and `waiting_until` until when at most. `resting`: nothing is under way
    because nothing is due. `due` to `in_flight` count operations of the load, `operations`, `answered` and
    `errors` those of the load that ended, `attempts` and `attempt_errors` (by operation and kind) HTTP requests
    for every purpose. `outcomes` counts runs. `local_failures` are attempts that failed because this machine had
    no descriptors or ports left. `latency` and `lateness` are coarse histograms of answered operations of the load
    (`coarse_counts`), `visible_seconds` one of runs that succeeded, from due until that was seen, and
    `failed_seconds` one of all others but those cut off, from due until that was known. `by_call` has the
    operations of the load by name, list reads also by variant (`ListRuns.newest`). `starts`, `moments` and what
    follows them are as in `Lateness`; `connections_*` and `decode_seconds` as in `ConnectionCounters`. `away_since`
    is the time since when no request was answered (None: the last one was).
    """

    scenario: str
    at: float = 0.0
    phase: ScenarioPhase = ScenarioPhase.QUEUED
    waiting_for: str = ""
    waiting_until: float | None = None
    resting: bool = False
    due: int = 0
    started: int = 0
    held_back: int = 0
    never_started: int = 0
    in_flight: int = 0
    outcomes: dict[str, int] = {}
    longest_run_seconds: float = 0.0
    visible_seconds: bytes = b""
    failed_seconds: bytes = b""
    by_call: dict[str, CallCounters] = {}
    operations: int = 0
    answered: int = 0
    errors: int = 0
    calls: int = 0
    attempts: int = 0
    attempt_errors: dict[str, int] = {}
    last_error: str = ""
    local_failures: int = 0
    latency: bytes = b""
    lateness: bytes = b""
    lag_is_measured: bool = False
    starts: int = 0
    late_starts: int = 0
    longest_start_seconds: float = 0.0
    moments: int = 0
    late_moments: int = 0
    longest_lag_seconds: float = 0.0
    connections_limit: int = 0
    connections_requested: int = 0
    connections_waited: int = 0
    connections_waited_seconds: float = 0.0
    most_requests_at_once: int = 0
    decode_seconds: float = 0.0
    away_since: float | None = None
    cleaned_up: int = 0
    to_clean_up: int = 0

    @property
    def ended(self) -> int:
        """Runs that succeeded or failed."""
        return self.outcomes.get(Outcome.SUCCEEDED, 0) + self.outcomes.get(Outcome.FAILED, 0)

    @property
    def runs_lost(self) -> int:
        """Runs that were due and neither succeeded nor failed on the server."""
        return sum(self.outcomes.values()) - self.ended


#: Kinds of failed attempts that this machine caused: see `client.failures`.
LOCAL_KINDS = frozenset({"descriptors", "ports"})
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
        calls = tuple(self._calls.values())
        if len(calls) == 1:
            return calls[0].latency.counts.tobytes()
        total = coarse_counts(b"").copy()
        for call in calls:
            total += np.frombuffer(call.latency.counts, dtype=np.uint64)
        return total.tobytes()

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
