"""Looks at running scenarios from outside, and says how the test stands."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from kfp_perf.live.snapshot import ScenarioState, Snapshot
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfp_perf.pacing import Clock
    from kfp_perf.plan import Plan
    from kfp_perf.runners import BaseRunner
    from kfp_perf.scenario.model import TestScenario

_WINDOW_SECONDS = 5.0
_LOST = (Outcome.REFUSED.value, Outcome.LOST.value, Outcome.UNFINISHED.value)


class Watch:
    """Turns the counters of runners into snapshots; rates and quantiles are of the last few seconds."""

    def __init__(self, plan: Plan, target: str, clock: Clock, *, emulator: bool) -> None:
        self._plan = plan
        self._target = target
        self._clock = clock
        self._emulator = emulator
        self._began = clock.now()
        self._measuring = False
        self._looks: deque[tuple[float, int, list[tuple[float, float]]]] = deque()
        self.snapshot = Snapshot(plan.name, target, 0.0, plan.duration_seconds, [], emulator=emulator)

    def look(self, runners: Sequence[BaseRunner], t0: float | None, *, stopping: bool) -> None:
        """Make a new snapshot. `t0` is None while scenarios are still preparing."""
        now = self._clock.now()
        if t0 is not None and not self._measuring:
            # What was done to prepare is no load.
            self._measuring = True
            self._looks.clear()
        states = {runner.name: _state_of(runner) for runner in runners}
        errors: Counter[str] = Counter()
        recent: list[tuple[float, float]] = []
        for runner in runners:
            errors.update(dict(runner.progress.errors))
            recent += runner.progress.take_recent()
        requests = sum(state.requests for state in states.values())
        self._looks.append((now, requests, recent))
        while len(self._looks) > 2 and self._looks[1][0] <= now - _WINDOW_SECONDS:
            self._looks.popleft()
        since, before, _ = self._looks[0]
        latencies = sorted(latency for _, _, batch in self._looks for latency, _ in batch)
        lateness = sorted(late for _, _, batch in self._looks for _, late in batch)
        self.snapshot = Snapshot(
            name=self._plan.name,
            target=self._target,
            elapsed_seconds=0.0 if t0 is None else now - t0,
            planned_seconds=self._plan.duration_seconds,
            scenarios=[
                states.get(scenario.name or "") or _pending(scenario) for scenario in self._plan.scenarios
            ],
            requests_per_second=(requests - before) / (now - since) if now > since else 0.0,
            latency_p50=_at(latencies, 0.5),
            latency_p99=_at(latencies, 0.99),
            lateness_p99=_at(lateness, 0.99),
            errors=dict(errors.most_common(20)),
            stopping=stopping,
            emulator=self._emulator,
        )


def _at(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _pending(scenario: TestScenario) -> ScenarioState:
    return ScenarioState(
        name=scenario.name or "",
        mode=scenario.mode_name,
        phase="queued",
        start_seconds=scenario.start_seconds,
        end_seconds=scenario.start_seconds + scenario.run_seconds,
    )


def _state_of(runner: BaseRunner) -> ScenarioState:
    progress = runner.progress
    outcomes = dict(progress.outcomes)
    return ScenarioState(
        name=runner.name,
        mode=runner.scenario.mode_name,
        phase=runner.phase.value,
        start_seconds=runner.scenario.start_seconds,
        end_seconds=runner.scenario.start_seconds + runner.scenario.run_seconds,
        in_flight=progress.in_flight,
        succeeded=outcomes.get(Outcome.SUCCEEDED.value, 0),
        failed=outcomes.get(Outcome.FAILED.value, 0),
        lost=sum(outcomes.get(outcome, 0) for outcome in _LOST),
        requests=progress.requests,
        cleaned_up=progress.cleaned_up,
        to_clean_up=progress.to_clean_up,
        away=runner.outage.away,
    )
