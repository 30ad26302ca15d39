"""Lateness of the generator: the delay of each start, and the lag of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp_perf.pacing.clock import Clock

#: A longer delay counts as late. The API answers in 10 to 200 ms, so such a delay would distort a latency.
LATE_SECONDS = 0.1
#: How often the event loop's lag is measured.
MEASURE_EVERY_SECONDS = 0.05


class Lateness:
    """Counters of one scenario, written by its thread only; another thread may read them at any time.

    `starts`: operations that were started, `late_starts`: those more than `LATE_SECONDS` after they were due, and
    `longest_start_seconds`. `moments`, `late_moments` and `longest_lag_seconds`: the same for the event loop's
    lag, sampled at regular times whether an operation was due or not, while it `is_measured`.
    """

    def __init__(self) -> None:
        self.is_measured = False
        self.starts = 0
        self.late_starts = 0
        self.longest_start_seconds = 0.0
        self.moments = 0
        self.late_moments = 0
        self.longest_lag_seconds = 0.0

    def fields(self) -> dict[str, bool | int | float]:
        """The fields of `ScenarioCounters` that are counted here."""
        return {
            "lag_is_measured": self.is_measured,
            "starts": self.starts,
            "late_starts": self.late_starts,
            "longest_start_seconds": self.longest_start_seconds,
            "moments": self.moments,
            "late_moments": self.late_moments,
            "longest_lag_seconds": self.longest_lag_seconds,
        }

    def started(self, late_seconds: float) -> None:
        """Count a start. A wait for the limit on operations in flight is no delay."""
        self.starts += 1
        if late_seconds > LATE_SECONDS:
            self.late_starts += 1
        if late_seconds > self.longest_start_seconds:
            self.longest_start_seconds = late_seconds

    def woke(self, late_seconds: float) -> None:
        """Count how late the event loop woke a sleeper.

        The moments that passed during the delay could not be sampled and would have been late too. They are
        counted as late; otherwise a loop that is blocked for a minute would show one late moment.
        """
        self.longest_lag_seconds = max(self.longest_lag_seconds, late_seconds)
        self.moments += 1 + int(late_seconds / MEASURE_EVERY_SECONDS)
        if late_seconds > LATE_SECONDS:
            self.late_moments += 1 + int((late_seconds - LATE_SECONDS) / MEASURE_EVERY_SECONDS)


async def measure_lag(clock: Clock, lateness: Lateness) -> None:
    """Sleep and wake until cancelled, and record how late each waking is."""
    lateness.is_measured = True
    try:
        while True:
            when = clock.now() + MEASURE_EVERY_SECONDS
            await clock.sleep_until(when)
            lateness.woke(max(0.0, clock.now() - when))
    finally:
        lateness.is_measured = False
