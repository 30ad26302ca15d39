"""One resource over the windows of a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.health.bounds import FEWEST_WINDOWS, SMALLEST_SHARE

if TYPE_CHECKING:
    from kfp_perf.health.bounds import Bound

#: A machine as busy as this explains why a thread of ours was not run in time.
_BUSY_MACHINE = 0.95
_THROTTLED = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """A resource that gave way; `scenario` is empty where it is the whole process's."""

    resource: str
    scenario: str
    text: str

    def __str__(self) -> str:
        return f"{self.scenario}: {self.text}" if self.scenario else self.text


class Tally:
    """Counts the windows in which a resource was beyond its bound."""

    def __init__(self, resource: str, scenario: str, bound: Bound) -> None:
        self.windows = 0
        self.beyond = 0
        self.worst: float | None = None
        self._resource = resource
        self._scenario = scenario
        self._bound = bound
        self._sum = 0.0
        self._busy_beyond = 0.0
        self._throttled_beyond = 0.0

    def add(self, value: float, *, machine_busy: float | None = None, throttled: float | None = None) -> None:
        """Take in a window. `machine_busy` and `throttled` are shares of it, None where they are not known."""
        self.windows += 1
        self._sum += value
        if self.worst is None or (value < self.worst if self._bound.at_least else value > self.worst):
            self.worst = value
        if self._bound.broken_by(value):
            self.beyond += 1
            self._busy_beyond += machine_busy or 0.0
            self._throttled_beyond += throttled or 0.0

    @property
    def mean(self) -> float:
        """The mean over all windows."""
        return self._sum / self.windows if self.windows else 0.0

    @property
    def gave_way(self) -> bool:
        """Whether the resource was beyond its bound often enough to count."""
        return self.beyond >= FEWEST_WINDOWS and self.beyond >= SMALLEST_SHARE * self.windows

    def finding(self) -> Finding:
        """The same in words."""
        bound = self._bound
        beyond = "below" if bound.at_least else "beyond"
        text = (
            f"{self._resource} ({bound.what}) was {beyond} {_told(bound.limit, bound.unit)} in {self.beyond} of "
            f"{self.windows} windows, at worst {_told(self.worst or 0.0, bound.unit)}{self._why()}"
        )
        return Finding(self._resource, self._scenario, text)

    def document(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {
            "unit": self._bound.unit,
            "limit": self._bound.limit,
            "mean": self.mean,
            "worst": self.worst,
            "windows": self.windows,
            "windows_beyond": self.beyond,
        }

    def _why(self) -> str:
        """What lateness comes of, as far as the machine tells."""
        if self._resource not in {"event_loop", "start_lateness"}:
            return ""
        if (held := self._throttled_beyond / self.beyond) > _THROTTLED:
            return f"; the container's CPU limit held this process for {held:.0%} of that time"
        if (busy := self._busy_beyond / self.beyond) > _BUSY_MACHINE:
            return f"; the machine's CPUs were busy for {busy:.0%} of that time"
        return "; the machine had CPU to spare, so something blocked the thread or held Python's lock"


def _told(value: float, unit: str) -> str:
    return f"{value / 1e6:,.0f} MB" if unit == "bytes" else f"{value:.0%}"
