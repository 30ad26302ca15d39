"""What reports need of a test's runs, collected in one pass: a test may have had a million."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kfp_perf.reports.run_states import RunStates
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.result.records import RunRecord

MOST_SLOWEST = 10


def _times() -> array[float]:
    return array("d")


@dataclass(slots=True)
class ScenarioRuns:
    """The runs of one scenario, without those of its warm-up; times in seconds.

    `durations` are of runs that succeeded and executed, `visible` from due until a success was seen. `unfinished`
    and `cut_off` say for how long those without an end were followed. `due` counts the runs that were due, without
    those cut off. The dots are (time when the run was over, duration). `states` has the warm-up too.
    """

    due: int = 0
    durations: array[float] = field(default_factory=_times)
    visible: array[float] = field(default_factory=_times)
    unfinished: array[float] = field(default_factory=_times)
    cut_off: array[float] = field(default_factory=_times)
    succeeded: list[tuple[float, float]] = field(default_factory=list)
    failed: list[tuple[float, float]] = field(default_factory=list)
    cached: list[tuple[float, float]] = field(default_factory=list)
    without_end: list[tuple[float, float]] = field(default_factory=list)
    states: RunStates = field(default_factory=RunStates)


@dataclass(slots=True)
class RunDigest:
    """The runs of a whole test. Times are seconds since the Unix epoch on the client's clock.

    `created` and `over` are times at which runs came into being and were seen to be over, `given_up` those at which
    runs without an end were last looked at; `drifts` are (slot on the server's clock, seconds
    until its run was created). `with_tasks` has each scenario's slowest run of which the tasks are known, and its
    seconds. `clock_conflicts` counts runs whose times contradict each other, by how.
    """

    scenarios: dict[str, ScenarioRuns] = field(default_factory=dict)
    created: array[float] = field(default_factory=_times)
    over: array[float] = field(default_factory=_times)
    given_up: array[float] = field(default_factory=_times)
    drifts: list[tuple[float, float]] = field(default_factory=list)
    with_tasks: dict[str, tuple[float, RunRecord]] = field(default_factory=dict)
    clock_conflicts: Counter[str] = field(default_factory=Counter)
    incomplete: int = 0
    runs: int = 0
    latest: float = 0.0
    _heap: list[tuple[float, int, RunRecord]] = field(default_factory=list)

    @property
    def slowest(self) -> list[tuple[float, RunRecord]]:
        """The runs that took longest, with their seconds: of one without an end, how long it was followed."""
        return [(seconds, record) for seconds, _, record in sorted(self._heap, reverse=True)]

    def add(self, record: RunRecord) -> None:
        """Add one run."""
        self.runs += 1
        if record.slot is not None and record.drift_seconds is not None and not record.doubled:
            self.drifts.append((record.slot, record.drift_seconds))
        over = record.seen_finished or record.seen_unfinished or record.ended or record.due
        self.latest = max(self.latest, over)
        ended = record.outcome in {Outcome.SUCCEEDED, Outcome.FAILED}
        if record.created:
            self.created.append(record.ended or record.due)
            (self.over if ended else self.given_up).append(over)
        scenario = self.scenarios.setdefault(record.scenario, ScenarioRuns())
        scenario.states.add(record)
        if record.warmup:
            return
        scenario.due += record.outcome is not Outcome.CUT_OFF
        if record.clock_conflict:
            self.clock_conflicts[record.clock_conflict] += 1
        self.incomplete += ended and not record.tasks_complete
        self._add_duration(scenario, record, over)

    def _add_duration(self, scenario: ScenarioRuns, record: RunRecord, over: float) -> None:
        if record.outcome is Outcome.SUCCEEDED and record.seen_finished is not None:
            scenario.visible.append(record.seen_finished - record.due)
        if record.outcome is Outcome.UNFINISHED or (record.outcome is Outcome.CUT_OFF and record.created):
            seconds = record.seen_for_seconds
            (scenario.unfinished if record.outcome is Outcome.UNFINISHED else scenario.cut_off).append(
                seconds
            )
            scenario.without_end.append((over, seconds))
        elif record.duration_seconds is None:
            return
        else:
            seconds = record.duration_seconds
            if record.outcome is not Outcome.SUCCEEDED:
                scenario.failed.append((over, seconds))
                return
            if record.cached:
                scenario.cached.append((over, seconds))
                return
            scenario.durations.append(seconds)
            scenario.succeeded.append((over, seconds))
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
    """Collect all runs."""
    collected = RunDigest()
    for record in runs:
        collected.add(record)
    return collected
