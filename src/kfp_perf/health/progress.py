"""Scenarios that make no progress, named while something can still be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.result.counters import ScenarioPhase

if TYPE_CHECKING:
    from kfp_perf.runners import BaseRunner

#: Without progress for so long, or for this many of its longest runs, a scenario is named; at the latest after
#: this share of its time, so before its end.
PATIENCE_SECONDS = 60.0
_PATIENCE_RUNS = 3.0
_SHARE_OF_TIME = 0.5
_SHORTEST_PATIENCE_SECONDS = 5.0
_MOST_STALLS = 100
_IDLE = frozenset({ScenarioPhase.WAITING, ScenarioPhase.ENDED})


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
    phase: Phase
    done: int
    since: float
    stall: Stall | None = None


class ProgressWatch:
    """Knows when each scenario last got something done: a run ended, a request of the load answered well.

    While a scenario prepares and cleans up, every request counts, as there are no others.
    """

    def __init__(self) -> None:
        self.stalls: list[Stall] = []
        self._marks: dict[str, _Mark] = {}

    def look(self, runner: BaseRunner, now: float) -> Stall | None:
        """Look at a scenario; return a stall that has just been found, or None."""
        phase, done = runner.phase, _done(runner)
        mark = self._marks.get(runner.name)
        if mark is None or mark.phase is not phase or mark.done != done or runner.resting:
            if mark is not None and mark.stall is not None:
                mark.stall.until = now
            self._marks[runner.name] = _Mark(phase, done, now)
            return None
        if phase in _IDLE or mark.stall is not None or now - mark.since < patience_seconds(runner):
            return None
        mark.stall = Stall(runner.name, phase.value, mark.since, None, _told(runner, now - mark.since))
        if len(self.stalls) < _MOST_STALLS:
            self.stalls.append(mark.stall)
        return mark.stall

    def stalled(self) -> list[str]:
        """The names of the scenarios that make no progress now."""
        return [name for name, mark in self._marks.items() if mark.stall is not None]


def patience_seconds(runner: BaseRunner) -> float:
    """How long a scenario may go without progress before it is named."""
    patience = max(PATIENCE_SECONDS, _PATIENCE_RUNS * runner.progress.longest_run_seconds)
    # Runs in flight take their time, and nothing is known of it yet.
    if runner.phase is not ScenarioPhase.RUNNING or runner.progress.in_flight:
        return patience
    return max(_SHORTEST_PATIENCE_SECONDS, min(patience, _SHARE_OF_TIME * runner.scenario.run_seconds))


def _done(runner: BaseRunner) -> int:
    progress = runner.progress
    if runner.phase in {ScenarioPhase.RUNNING, ScenarioPhase.DRAINING}:
        return progress.answered + progress.ended
    return progress.requests


def _told(runner: BaseRunner, seconds: float) -> str:
    progress = runner.progress
    last = f", the last: {progress.last_error}" if progress.last_error else ""
    return (
        f"no progress for {seconds:.0f} s while {runner.phase.value}: {progress.in_flight} in flight, "
        f"{progress.ended} runs ended, {sum(progress.errors.copy().values())} errors{last}"
    )
