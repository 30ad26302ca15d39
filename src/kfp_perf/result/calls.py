"""`calls.jsonl`: a line for each second and operation, with counts of what ended in it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.result.records import CallOutcome, Purpose

if TYPE_CHECKING:
    from kfp_perf.result.records import Sample

#: The most distinct error texts counted in one second of an operation; the rest counts under OTHERS.
MOST_MESSAGES = 20
OTHERS = "other messages"
_LONGEST = 300
# Ids, our own names, moments, hashes, and numbers too long for a status, an exit code or a well-known port.
_VARYING = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|\bkfp-perf-[a-z0-9-]+"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.]*(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b[0-9a-f]{12,}\b"
    r"|\d{5,}"
)


def alike(text: str) -> str:
    """Return the first line of a message, at most 300 characters, with `…` for the parts that vary."""
    line = text.strip().split("\n", 1)[0]
    return _VARYING.sub("…", line[:_LONGEST])


class CallSecond(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The operations of one kind that ended in one second; a line of `calls.jsonl`.

    `second` is in seconds since the Unix epoch. `count` is of operations by any outcome, `answered`, `gone`,
    `cut_off` and `never_started` by theirs, `failed` by the kind of error; `attempts` counts HTTP requests,
    `retries` those after the first of their operation, `attempt_errors` those that failed by kind, `unknown`
    those after which the work may have been done. `latency_sum` and `latency_max` are of answered operations,
    in seconds. `first_due` is the earliest due time, `last_ended` the latest end. `messages` are `(kind, text,
    count)` of failed operations, with `…` for the parts that vary.
    """

    second: int
    operation: str
    purpose: Purpose = Purpose.LOAD
    variant: str = ""
    warmup: bool = False
    count: int = 0
    answered: int = 0
    attempts: int = 0
    retries: int = 0
    failed: dict[str, int] = {}
    attempt_errors: dict[str, int] = {}
    unknown: int = 0
    gone: int = 0
    cut_off: int = 0
    never_started: int = 0
    latency_sum: float = 0.0
    latency_max: float = 0.0
    first_due: float = 0.0
    last_ended: float = 0.0
    messages: tuple[tuple[str, str, int], ...] = ()


class CallCounts:
    """The counts of one `CallSecond` while the second lasts."""

    __slots__ = (
        *("answered", "attempt_errors", "attempts", "count", "cut_off", "failed", "first_due", "gone"),
        *("last_ended", "latency_max", "latency_sum", "messages", "never_started", "retries", "unknown"),
    )

    def __init__(self) -> None:
        self.count = self.answered = self.attempts = self.retries = 0
        self.unknown = self.gone = self.cut_off = self.never_started = 0
        self.latency_sum = self.latency_max = 0.0
        self.first_due = float("inf")
        self.last_ended = 0.0
        self.failed: Counter[str] | None = None
        self.attempt_errors: Counter[str] | None = None
        self.messages: Counter[tuple[str, str]] | None = None

    def add(self, sample: Sample) -> None:
        """Count one operation."""
        attempts = len(sample.attempts)
        self.count += 1
        self.attempts += attempts
        if sample.due < self.first_due:
            self.first_due = sample.due
        if sample.ended > self.last_ended:
            self.last_ended = sample.ended
        if sample.outcome is CallOutcome.ANSWERED:
            latency = sample.ended - sample.due
            self.answered += 1
            self.latency_sum += latency
            if latency > self.latency_max:
                self.latency_max = latency
            if attempts == 1:
                return
        self._add_trouble(sample, attempts)

    def _add_trouble(self, sample: Sample, attempts: int) -> None:
        if attempts > 1:
            self.retries += attempts - 1
        match sample.outcome:
            case CallOutcome.GONE:
                self.gone += 1
                return
            case CallOutcome.CUT_OFF:
                self.cut_off += 1
            case CallOutcome.NEVER_STARTED:
                self.never_started += 1
            case CallOutcome.FAILED:
                self.failed = Counter() if self.failed is None else self.failed
                self.failed[sample.error] += 1
                self._add_message(sample.error, alike(sample.message))
        for attempt in sample.attempts:
            if attempt.error:
                self.attempt_errors = Counter() if self.attempt_errors is None else self.attempt_errors
                self.attempt_errors[attempt.error] += 1
                self.unknown += attempt.unknown

    def _add_message(self, kind: str, text: str) -> None:
        self.messages = Counter() if self.messages is None else self.messages
        key = (kind, text)
        if key not in self.messages and len(self.messages) >= MOST_MESSAGES:
            key = ("", OTHERS)
        self.messages[key] += 1

    def line(
        self, second: int, operation: str, purpose: Purpose, variant: str, *, warmup: bool
    ) -> CallSecond:
        """Return the line of the second that is over."""
        return CallSecond(
            second=second,
            operation=operation,
            purpose=purpose,
            variant=variant,
            warmup=warmup,
            count=self.count,
            answered=self.answered,
            attempts=self.attempts,
            retries=self.retries,
            failed=dict(self.failed or {}),
            attempt_errors=dict(self.attempt_errors or {}),
            unknown=self.unknown,
            gone=self.gone,
            cut_off=self.cut_off,
            never_started=self.never_started,
            latency_sum=self.latency_sum,
            latency_max=self.latency_max,
            first_due=self.first_due,
            last_ended=self.last_ended,
            messages=tuple((kind, text, times) for (kind, text), times in (self.messages or {}).items()),
        )
