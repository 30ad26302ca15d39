"""How far the API server's clock is ahead of ours: an interval that every created run narrows.

CreateRun stamps `created_at` with the API server's own clock while the call is under way, in whole seconds. So
with the call sent at s and ended at e on our clock, and `created_at` c, the true creation lies in [s, e] on our
clock and in [c, c + 1) on the server's: the offset lies in [c - e, c + 1 - s]. Intervals of many calls are
intersected. Clocks drift apart, so what is known is widened with time, by the most that NTP slews a clock; an
intersection that comes out empty means that a clock has stepped (or that a bracket was wrong), and is counted.
"""

from __future__ import annotations

from typing import NamedTuple

# adjtimex(2) slews a clock by at most 500 parts per million.
DRIFT_SECONDS_PER_SECOND = 500e-6


class Interval(NamedTuple):
    """A closed interval of times or differences, in seconds."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The best single value."""
        return (self.low + self.high) / 2

    @property
    def half_width(self) -> float:
        """How far off the middle may be."""
        return (self.high - self.low) / 2

    def intersect(self, other: Interval) -> Interval | None:
        """What both hold; None where they have nothing in common."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else None

    def shift(self, other: Interval) -> Interval:
        """The sums of what both hold."""
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)


class ClockOffset:
    """The server's clock minus ours, from creations; `conflicts` counts steps of a clock."""

    def __init__(self) -> None:
        self.brackets = 0
        self.conflicts = 0
        self._known: Interval | None = None
        self._known_at = 0.0

    def bracket(self, created_at: float, sent: float, ended: float) -> None:
        """Take in a creation: the server's whole second, and when the call was sent and ended on our clock."""
        self.brackets += 1
        told = Interval(created_at - ended, created_at + 1.0 - sent)
        known = self.at(ended)
        common = told if known is None else known.intersect(told)
        if common is None:
            self.conflicts += 1
            common = told
        self._known, self._known_at = common, max(ended, self._known_at)

    def at(self, moment: float) -> Interval | None:
        """The interval that the offset lies in at a moment of our clock; None before the first creation."""
        if self._known is None:
            return None
        drift = DRIFT_SECONDS_PER_SECOND * abs(moment - self._known_at)
        return Interval(self._known.low - drift, self._known.high + drift)
