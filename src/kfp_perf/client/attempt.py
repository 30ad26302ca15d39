"""The state of an attempt under way, and what attempts cost the generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class AttemptState:
    """One attempt while it is under way.

    `sent`, `ended`, `status` and `received_bytes` are as in `Attempt`; `retry_after` is the text of the answer's
    Retry-After header; `queued_at` is since when it waited for a connection (0.0: it did not).
    """

    __slots__ = ("ended", "now", "queued_at", "received_bytes", "retry_after", "sent", "status")

    def __init__(self, now: Callable[[], float]) -> None:
        self.sent = 0.0
        self.ended = 0.0
        self.status = 0
        self.received_bytes = 0
        self.retry_after = ""
        self.now = now
        self.queued_at = 0.0


class ConnectionCounters:
    """What making calls costs this side; counters that another thread may read at any time.

    `requests`: attempts under way now, each of which has a connection, or waits for one. `most_requests`: the
    most there were. `limit`: how many connections there may be. `waited`: attempts that found all of them taken,
    and waited for `waited_seconds`. `decode_seconds`: time spent on turning answers into objects.
    """

    __slots__ = (
        "attempts",
        "decode_seconds",
        "limit",
        "most_requests",
        "requests",
        "waited",
        "waited_seconds",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.attempts = 0
        self.requests = 0
        self.most_requests = 0
        self.waited = 0
        self.waited_seconds = 0.0
        self.decode_seconds = 0.0

    def fields(self) -> dict[str, int | float]:
        """The fields of `ScenarioCounters` that are counted here."""
        return {
            "connections_limit": self.limit,
            "connections_requested": self.attempts,
            "connections_waited": self.waited,
            "connections_waited_seconds": self.waited_seconds,
            "most_requests_at_once": self.most_requests,
            "decode_seconds": self.decode_seconds,
        }

    def began(self, attempt: AttemptState) -> None:
        """Take in an attempt that asks for a connection."""
        self.attempts += 1
        self.requests += 1
        if self.requests > self.most_requests:
            self.most_requests = self.requests
        if self.requests > self.limit:
            attempt.queued_at = attempt.now()

    def ended(self, attempt: AttemptState) -> None:
        """Take in that an attempt needs its connection no more."""
        self.requests -= 1
        if attempt.queued_at:
            self.waited += 1
            self.waited_seconds += (attempt.sent or attempt.now()) - attempt.queued_at
