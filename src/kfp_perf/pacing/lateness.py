"""How punctual the generator is: the delay of each start, and the delay that any start would meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp_perf.pacing.clock import Clock

#: A delay beyond this is late. The API answers in 10 to 200 ms, so it would be a good part of a latency.
LATE_SECONDS = 0.1
#: How often the event loop's delay is felt.
FEEL_EVERY_SECONDS = 0.05


class Lateness:
    """Counters of one scenario, written by its thread only, that another thread may read at any time.

    `starts`: operations that were started, `late_starts`: more than `LATE_SECONDS` after they were due, and
    `longest_start_seconds`. `moments`, `late_moments` and `longest_lag_seconds`: the same of an operation that
    would have been due at one of many even moments, whether there was one or not: the event loop's lag, as long
    as it is `felt`.
    """

    def __init__(self) -> None:
        self.felt = False
        self.starts = 0
        self.late_starts = 0
        self.longest_start_seconds = 0.0
        self.moments = 0
        self.late_moments = 0
        self.longest_lag_seconds = 0.0

    def fields(self) -> dict[str, bool | int | float]:
        """The fields of `ScenarioCounters` that are counted here."""
        return {
            "lag_is_measured": self.felt,
            "starts": self.starts,
            "late_starts": self.late_starts,
            "longest_start_seconds": self.longest_start_seconds,
            "moments": self.moments,
            "late_moments": self.late_moments,
            "longest_lag_seconds": self.longest_lag_seconds,
        }

    def started(self, late_seconds: float) -> None:
        """Take in a start; a wait that was wanted (a limit on operations in flight) is no delay."""
        self.starts += 1
        if late_seconds > LATE_SECONDS:
            self.late_starts += 1
        if late_seconds > self.longest_start_seconds:
            self.longest_start_seconds = late_seconds

    def woke(self, late_seconds: float) -> None:
        """Take in how late the event loop woke a sleeper.

        While it slept, the moments that were to follow could not be felt, and would have been late too. They are
        counted as such, or a loop that is blocked for a minute would show one late moment.
        """
        self.longest_lag_seconds = max(self.longest_lag_seconds, late_seconds)
        self.moments += 1 + int(late_seconds / FEEL_EVERY_SECONDS)
        if late_seconds > LATE_SECONDS:
            self.late_moments += 1 + int((late_seconds - LATE_SECONDS) / FEEL_EVERY_SECONDS)


async def feel_lag(clock: Clock, lateness: Lateness) -> None:
    """Sleep and wake until cancelled, and note how late each waking is."""
    lateness.felt = True
    try:
        while True:
            when = clock.now() + FEEL_EVERY_SECONDS
            await clock.sleep_until(when)
            lateness.woke(max(0.0, clock.now() - when))
    finally:
        lateness.felt = False
