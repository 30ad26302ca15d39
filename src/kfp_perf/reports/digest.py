"""What reports need of a test's runs, taken in one pass: a test may have had a million."""

from __future__ import annotations

import heapq
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.result.records import RunRecord

MOST_SLOWEST = 10


def _times() -> array[float]:
    return array("d")


@dataclass(slots=True)
class ScenarioRuns:
    """The runs of one scenario, in seconds: those that succeeded and executed, and those that had not ended."""

    durations: array[float] = field(default_factory=_times)
    censored: array[float] = field(default_factory=_times)


@dataclass(slots=True)
class RunDigest:
    """The runs of a whole test. Times are seconds since the Unix epoch on the client's clock.

    `created` and `over` are times at which runs came into being and were seen to be over, `given_up` those at which
    nobody looked at them any more though they had not ended; the dots are (time when
    it was over, duration in seconds); `drifts` are (slot on the server's clock, seconds until its run was created).
    `with_tasks` has each scenario's slowest run of which the tasks are known, and its seconds.
    """

    scenarios: dict[str, ScenarioRuns] = field(default_factory=dict)
    created: array[float] = field(default_factory=_times)
    over: array[float] = field(default_factory=_times)
    given_up: array[float] = field(default_factory=_times)
    succeeded: list[tuple[float, float]] = field(default_factory=list)
    failed: list[tuple[float, float]] = field(default_factory=list)
    cached: list[tuple[float, float]] = field(default_factory=list)
    unfinished: list[tuple[float, float]] = field(default_factory=list)
    drifts: list[tuple[float, float]] = field(default_factory=list)
    with_tasks: dict[str, tuple[float, RunRecord]] = field(default_factory=dict)
    runs: int = 0
    latest: float = 0.0
    _heap: list[tuple[float, int, RunRecord]] = field(default_factory=list)

    @property
    def slowest(self) -> list[tuple[float, RunRecord]]:
        """The runs that took longest, with their seconds; unfinished ones count for as long as they were seen."""
        return [(seconds, record) for seconds, _, record in sorted(self._heap, reverse=True)]

    def add(self, record: RunRecord) -> None:
        """Take in one run."""
        self.runs += 1
        if record.slot is not None and record.drift_seconds is not None and not record.doubled:
            self.drifts.append((record.slot, record.drift_seconds))
        over = record.seen_finished or record.seen_unfinished or record.ended or record.due
        self.latest = max(self.latest, over)
        if record.created:
            self.created.append(record.ended or record.due)
            if record.outcome in {Outcome.SUCCEEDED, Outcome.FAILED}:
                self.over.append(over)
            else:
                self.given_up.append(over)
        if not record.warmup:
            self._add_duration(record, over)

    def _add_duration(self, record: RunRecord, over: float) -> None:
        scenario = self.scenarios.setdefault(record.scenario, ScenarioRuns())
        if record.outcome is Outcome.UNFINISHED:
            seconds = record.seen_for_seconds
            scenario.censored.append(seconds)
            self.unfinished.append((over, seconds))
        elif record.duration_seconds is None:
            return
        else:
            seconds = record.duration_seconds
            if record.outcome is not Outcome.SUCCEEDED:
                self.failed.append((over, seconds))
                return
            if record.cached:
                self.cached.append((over, seconds))
                return
            scenario.durations.append(seconds)
            self.succeeded.append((over, seconds))
        self._rank(seconds, record)

    def _rank(self, seconds: float, record: RunRecord) -> None:
        if record.tasks and seconds > self.with_tasks.get(record.scenario, (-1.0, record))[0]:
            self.with_tasks[record.scenario] = (seconds, record)
        entry = (seconds, self.runs, record)
        if len(self._heap) < MOST_SLOWEST:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)


def digest(runs: Iterable[RunRecord]) -> RunDigest:
    """Take all runs in."""
    taken = RunDigest()
    for record in runs:
        taken.add(record)
    return taken
