"""What a runner has done so far, in a form that another thread may read at any time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from kfp_perf.result.records import Outcome, Purpose

if TYPE_CHECKING:
    from kfp_perf.result.records import RunRecord, Sample


class Progress:
    """Counters of one scenario, written by its thread only.

    `answered` counts requests of the load that succeeded. `recent` holds (latency, lateness) in seconds of the
    requests since a reader last called `take_recent`.
    """

    #: More than this between two looks would only make a display slow.
    MOST_RECENT = 20_000

    def __init__(self) -> None:
        self.requests = 0
        self.answered = 0
        self.errors: Counter[str] = Counter()
        self.in_flight = 0
        self.longest_run_seconds = 0.0
        self.last_error = ""
        self.cleaned_up = 0
        self.to_clean_up = 0
        self.outcomes: Counter[str] = Counter()
        self._recent: list[tuple[float, float]] = []

    def on_sample(self, sample: Sample) -> None:
        """Take in one attempt of one request."""
        self.requests += 1
        if sample.error:
            self.errors[f"{sample.operation} {sample.error}"] += 1
        elif sample.purpose is Purpose.LOAD:
            self.answered += 1
            if len(self._recent) < self.MOST_RECENT:
                self._recent.append((sample.latency_seconds, sample.lateness_seconds))

    def on_run(self, record: RunRecord) -> None:
        """Take in a run at its end."""
        self.outcomes[record.outcome.value] += 1
        self.last_error = record.error or self.last_error
        if record.duration_seconds is not None:
            self.longest_run_seconds = max(self.longest_run_seconds, record.duration_seconds)

    def on_cleanup(self, done: int, total: int) -> None:
        """Take in how far the clean-up is."""
        self.cleaned_up, self.to_clean_up = done, total

    @property
    def ended(self) -> int:
        """Runs that came to their own end."""
        return self.outcomes[Outcome.SUCCEEDED.value] + self.outcomes[Outcome.FAILED.value]

    def take_recent(self) -> list[tuple[float, float]]:
        """Return what came since the last call. May lose a sample that comes at that very moment."""
        recent, self._recent = self._recent, []
        return recent
