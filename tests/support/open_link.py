"""A scenario's engine where there is no other scenario."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kfp_perf.pacing import RealClock, StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.counters import ScenarioCounters


@dataclass
class OpenLink:
    """A `Link` that keeps nobody waiting: time zero was `seconds_ago` when the scenario is prepared."""

    seconds_ago: float = 0.0
    stop: StopSignal = field(default_factory=StopSignal)
    counters: Callable[[], ScenarioCounters] | None = None

    def prepared(self) -> float:
        return RealClock().now() - self.seconds_ago

    def watch(self, counters: Callable[[], ScenarioCounters]) -> None:
        self.counters = counters
