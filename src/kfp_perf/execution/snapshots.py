"""The snapshots that displays show, from the counters of running scenarios."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.live.snapshot import ScenarioState, Snapshot
from kfp_perf.metrics.window_counters import runs_due
from kfp_perf.result.coarse_histogram import coarse_quantile, coarse_sum
from kfp_perf.result.counters import ScenarioCounters
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from kfp_perf.live.snapshot import ThresholdState
    from kfp_perf.pacing import Clock
    from kfp_perf.plan import Plan
    from kfp_perf.scenario.model import TestScenario

_WINDOW_SECONDS = 5.0
_RUNS_WINDOW_SECONDS = 60.0
_MOST_ERRORS = 20


class _Look(NamedTuple):
    at: float
    requests: int
    succeeded: int
    latency: NDArray[np.uint64]
    lateness: NDArray[np.uint64]


class SnapshotMaker:
    """Makes snapshots; rates and quantiles are of the last few seconds, by differences of cumulative counters."""

    def __init__(self, plan: Plan, target: str, clock: Clock, *, emulator: bool) -> None:
        self._plan = plan
        self._clock = clock
        self._measuring = False
        self._looks: deque[_Look] = deque()
        self.snapshot = Snapshot(plan.name, target, 0.0, plan.duration_seconds, [], emulator=emulator)

    def make(
        self,
        counters: Mapping[str, ScenarioCounters],
        t0: float | None,
        thresholds: Sequence[ThresholdState] = (),
        *,
        evidence: Sequence[str] = (),
        stopping: bool,
    ) -> Snapshot:
        """Make a new snapshot, with the thresholds and the sources of evidence so far.

        `t0` is None while scenarios are still preparing.
        """
        now = self._clock.now()
        if t0 is not None and not self._measuring:
            # The requests of the preparation are no load.
            self._measuring = True
            self._looks.clear()
        known = list(counters.values())
        self._looks.append(
            _Look(
                now,
                sum(one.attempts for one in known),
                sum(one.outcomes.get(Outcome.SUCCEEDED, 0) for one in known),
                coarse_sum(one.latency for one in known),
                coarse_sum(one.lateness for one in known),
            )
        )
        while len(self._looks) > 2 and self._looks[1].at <= now - _RUNS_WINDOW_SECONDS:
            self._looks.popleft()
        since, latest = self._since(now - _WINDOW_SECONDS), self._looks[-1]
        errors: Counter[str] = Counter()
        for one in known:
            errors.update(one.attempt_errors)
        latency, lateness = latest.latency - since.latency, latest.lateness - since.lateness
        start = now if t0 is None else t0
        due = sum(_runs_due(one) for one in known)
        self.snapshot = Snapshot(
            name=self._plan.name,
            target=self.snapshot.target,
            elapsed_seconds=now - start,
            planned_seconds=self._plan.duration_seconds,
            scenarios=[
                _state_of(scenario, counters.get(scenario.name or ""), start)
                for scenario in self._plan.scenarios
            ],
            requests_per_second=_rate(latest.requests - since.requests, latest.at - since.at),
            runs_per_minute=self._runs_per_minute(latest),
            latency_p50=coarse_quantile(latency, 0.5),
            latency_p99=coarse_quantile(latency, 0.99),
            lateness_p99=coarse_quantile(lateness, 0.99),
            runs_due=due,
            visible_p50=_median_of(coarse_sum(one.visible_seconds for one in known), due),
            errors=dict(errors.most_common(_MOST_ERRORS)),
            thresholds=list(thresholds),
            evidence=list(evidence),
            stopping=stopping,
            emulator=self.snapshot.emulator,
        )
        return self.snapshot

    def _since(self, moment: float) -> _Look:
        """The last snapshot before a time, or else the first."""
        earlier = [look for look in self._looks if look.at <= moment]
        return earlier[-1] if earlier else self._looks[0]

    def _runs_per_minute(self, latest: _Look) -> float:
        first = self._looks[0]
        return 60.0 * _rate(latest.succeeded - first.succeeded, latest.at - first.at)


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0.0 else 0.0


def _runs_due(counters: ScenarioCounters) -> int:
    """How many runs of a scenario were due until now; none where it starts none."""
    return runs_due(counters) if counters.outcomes else 0


def _median_of(succeeded: NDArray[np.uint64], due: int) -> float | None:
    """The median from due to visible success of `due` runs, of which all others rank above those that succeeded."""
    count = int(succeeded.sum())
    return coarse_quantile(succeeded, 0.5 * due / count) if count and due <= 2 * count else None


def _state_of(scenario: TestScenario, counters: ScenarioCounters | None, start: float) -> ScenarioState:
    found = counters or ScenarioCounters(scenario=scenario.name or "")
    return ScenarioState(
        name=scenario.name or "",
        mode=scenario.mode_name,
        phase=found.phase.value,
        start_seconds=scenario.start_seconds,
        end_seconds=scenario.start_seconds + scenario.run_seconds,
        in_flight=found.in_flight,
        succeeded=found.outcomes.get(Outcome.SUCCEEDED, 0),
        failed=found.outcomes.get(Outcome.FAILED, 0),
        lost=found.runs_lost,
        requests=found.attempts,
        cleaned_up=found.cleaned_up,
        to_clean_up=found.to_clean_up,
        away=found.away_since is not None,
        waiting_for=found.waiting_for,
        waiting_until=None if found.waiting_until is None else found.waiting_until - start,
    )
