"""The use of one resource over the windows of a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfp_perf.health.bounds import FEWEST_WINDOWS, SMALLEST_SHARE

if TYPE_CHECKING:
    from kfp_perf.health.bounds import Bound

#: From this utilisation on, the machine is the reason why a thread did not run in time.
_BUSY_MACHINE = 0.95
_THROTTLED = 0.05


@dataclass(frozen=True, slots=True)
class Saturation:
    """A saturated resource; `scenario` is empty where it belongs to the whole process."""

    resource: str
    scenario: str
    text: str

    def __str__(self) -> str:
        return f"{self.scenario}: {self.text}" if self.scenario else self.text


class ResourceTally:
    """Adds up for how long a resource was beyond its bound, window by window.

    Windows are longer than `window_seconds` where the observing thread was itself delayed.
    """

    def __init__(self, resource: str, scenario: str, bound: Bound, window_seconds: float) -> None:
        self.seconds = 0.0
        self.seconds_beyond = 0.0
        self.worst: float | None = None
        self._window_seconds = window_seconds
        self._resource = resource
        self._scenario = scenario
        self._bound = bound
        self._sum = 0.0
        self._busy_beyond = 0.0
        self._throttled_beyond = 0.0

    def add(
        self,
        value: float,
        seconds: float,
        *,
        machine_busy: float | None = None,
        throttled: float | None = None,
    ) -> None:
        """Add a window. `machine_busy` and `throttled` are shares of it, None where they are unknown."""
        self.seconds += seconds
        self._sum += value * seconds
        if self.worst is None or (value < self.worst if self._bound.at_least else value > self.worst):
            self.worst = value
        if self._bound.broken_by(value):
            self.seconds_beyond += seconds
            self._busy_beyond += (machine_busy or 0.0) * seconds
            self._throttled_beyond += (throttled or 0.0) * seconds

    @property
    def mean(self) -> float:
        """The mean over all of the time."""
        return self._sum / self.seconds if self.seconds else 0.0

    @property
    def exceeded(self) -> bool:
        """Whether the resource was beyond its bound for long enough to count."""
        if self._bound.at_once:
            return self.seconds_beyond > 0.0
        return (
            # Windows have the wanted length within a millisecond.
            self.seconds_beyond > (FEWEST_WINDOWS - 0.5) * self._window_seconds
            and self.seconds_beyond >= SMALLEST_SHARE * self.seconds
        )

    def saturation(self) -> Saturation:
        """Describe how the bound was exceeded."""
        bound = self._bound
        beyond = "below" if bound.at_least else "beyond"
        worst = _format(self.worst or 0.0, bound.unit)
        text = (
            f"{self._resource} ({bound.what}) was {beyond} {_format(bound.limit, bound.unit)} for "
            f"{self.seconds_beyond:.0f} of {self.seconds:.0f} s, at worst {worst}{self._why()}"
        )
        return Saturation(self._resource, self._scenario, text)

    def document(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {
            "unit": self._bound.unit,
            "limit": self._bound.limit,
            "mean": self.mean,
            "worst": self.worst,
            "seconds": self.seconds,
            "seconds_beyond": self.seconds_beyond,
        }

    def _why(self) -> str:
        """The cause of lateness, as far as the machine's counters show it."""
        if self._resource not in {"event_loop", "start_lateness"}:
            return ""
        if (held := self._throttled_beyond / self.seconds_beyond) > _THROTTLED:
            return f"; the container's CPU limit held this process for {held:.0%} of that time"
        if (busy := self._busy_beyond / self.seconds_beyond) > _BUSY_MACHINE:
            return f"; the machine's CPUs were busy for {busy:.0%} of that time"
        return "; the machine had CPU to spare, so something blocked the thread or held Python's lock"


def _format(value: float, unit: str) -> str:
    if unit == "seconds":
        return f"{value:.0f} s"
    return f"{value / 1e6:,.0f} MB" if unit == "bytes" else f"{value:.1%}" if value < 0.01 else f"{value:.0%}"
