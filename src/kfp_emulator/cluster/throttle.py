"""The throttle of the API server's Kubernetes client: a token bucket, as in Go's client-go."""

from __future__ import annotations

from kfp_emulator.clock import SECOND


class Throttle:
    """Calls pass at `per_second`, the first `burst` at once; 0 calls a second is no throttle."""

    __slots__ = ("_burst", "_empty_until", "_interval")

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = SECOND / per_second if per_second else 0.0
        self._burst = burst
        self._empty_until = -float("inf")
        """When the bucket would be full again, had it no more takers, less the time that its burst is worth."""

    def take(self, now: int, calls: int = 1) -> int:
        """Take the turns of `calls` at `now`; return after how many microseconds the last of them passes."""
        if not self._interval:
            return 0
        start = max(self._empty_until, now - self._burst * self._interval)
        self._empty_until = start + calls * self._interval
        return max(0, round(self._empty_until - now))
