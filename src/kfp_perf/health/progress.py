"""Scenarios that make no progress, named while something can still be done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.result.counters import ScenarioPhase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kfp_perf.result.counters import ScenarioCounters
    from kfp_perf.scenario.model import TestScenario

#: Without progress for this long, or for this many of its longest runs, a scenario is stalled; at the latest after
#: this share of its time, so before its end.
PATIENCE_SECONDS = 60.0
_PATIENCE_RUNS = 3.0
_SHARE_OF_TIME = 0.5
_SHORTEST_PATIENCE_SECONDS = 5.0
_MOST_STALLS = 100
#: Scenarios are checked several times a second. Of a longer time without a check only this much counts: the
#: generator itself was suspended, and a scenario could make no progress.
_LONGEST_LOOK_SECONDS = 2.0
_IDLE = frozenset({ScenarioPhase.QUEUED, ScenarioPhase.WAITING, ScenarioPhase.ENDED})


@dataclass(slots=True)
class Stall:
    """A time without progress; `until` is None while it lasts. Times are seconds since the Unix epoch."""

    scenario: str
    phase: str
    since: float
    until: float | None
    text: str

    def document(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {
            "scenario": self.scenario,
            "phase": self.phase,
            "since": self.since,
            "until": self.until,
            "text": self.text,
        }


@dataclass(slots=True)
class _Mark:
    phase: ScenarioPhase
    done: int
    since: float
    stall: Stall | None = None
    looked: float = 0.0
    unseen_seconds: float = 0.0

    def passed(self, now: float) -> float:
        """The time without progress so far; time without checks is left out."""
        self.unseen_seconds += max(0.0, now - self.looked - _LONGEST_LOOK_SECONDS)
        self.looked = now
        return now - self.since - self.unseen_seconds


class ProgressWatch:
    """Finds scenarios without progress: no run has ended, and no operation of the load was answered.

    While a scenario prepares and cleans up, every request counts, as there are no others.
    """

    def __init__(self, scenarios: Iterable[TestScenario] = ()) -> None:
        self.stalls: list[Stall] = []
        self._run_seconds = {scenario.name or "": scenario.run_seconds for scenario in scenarios}
        self._marks: dict[str, _Mark] = {}

    def look(self, counters: ScenarioCounters, now: float) -> Stall | None:
        """Check a scenario; return a stall that has just been found, or None."""
        phase, done = counters.phase, _done(counters)
        mark = self._marks.get(counters.scenario)
        if mark is None or mark.phase is not phase or mark.done != done or counters.resting:
            if mark is not None and mark.stall is not None:
                mark.stall.until = now
            self._marks[counters.scenario] = _Mark(phase, done, now, looked=now)
            return None
        passed = mark.passed(now)
        patience = patience_seconds(counters, self._run_seconds.get(counters.scenario, math.inf))
        if phase in _IDLE or mark.stall is not None or passed < patience:
            return None
        text = _text_of(counters, passed)
        mark.stall = Stall(counters.scenario, phase.value, mark.since, None, text)
        if len(self.stalls) < _MOST_STALLS:
            self.stalls.append(mark.stall)
        return mark.stall

    def stalled(self) -> list[str]:
        """The names of the scenarios that make no progress now."""
        return [name for name, mark in self._marks.items() if mark.stall is not None]


def patience_seconds(counters: ScenarioCounters, run_seconds: float) -> float:
    """How long a scenario may go without progress before it is named; `run_seconds` is how long its load lasts."""
    patience = max(PATIENCE_SECONDS, _PATIENCE_RUNS * counters.longest_run_seconds)
    # Runs in flight take their time, and nothing is known of it yet.
    if counters.phase is not ScenarioPhase.RUNNING or counters.in_flight:
        return patience
    return max(_SHORTEST_PATIENCE_SECONDS, min(patience, _SHARE_OF_TIME * run_seconds))


def _done(counters: ScenarioCounters) -> int:
    if counters.phase in {ScenarioPhase.RUNNING, ScenarioPhase.DRAINING}:
        return counters.answered + counters.ended
    return counters.attempts


def _text_of(counters: ScenarioCounters, seconds: float) -> str:
    last = f", the last: {counters.last_error}" if counters.last_error else ""
    return (
        f"no progress for {seconds:.0f} s while {counters.phase.value}: {counters.in_flight} in flight, "
        f"{counters.ended} runs ended, {sum(counters.attempt_errors.values())} errors{last}"
    )
