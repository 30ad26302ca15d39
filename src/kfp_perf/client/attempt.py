"""One attempt of a call, and what all of them cost this side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Attempt:
    """One attempt of a call, filled in as it goes.

    `due`, `sent` and `ended` are as in `Sample`; `status` and `received_bytes` are the answer's;
    `retry_after` is the text of its Retry-After header; `queued_at` says since when all connections were taken
    (0.0: there was one). `held` is how long the load itself kept it back after it was due.
    """

    __slots__ = (
        "due",
        "ended",
        "held",
        "now",
        "number",
        "queued_at",
        "received_bytes",
        "retry_after",
        "sent",
        "status",
    )

    def __init__(self, number: int, due: float, now: Callable[[], float]) -> None:
        self.number = number
        self.due = due
        self.sent = 0.0
        self.ended = 0.0
        self.status = 0
        self.received_bytes = 0
        self.retry_after = ""
        self.now = now
        self.queued_at = 0.0
        self.held = 0.0


class Burden:
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

    def began(self, attempt: Attempt) -> None:
        """Take in an attempt that asks for a connection."""
        self.attempts += 1
        self.requests += 1
        if self.requests > self.most_requests:
            self.most_requests = self.requests
        if self.requests > self.limit:
            attempt.queued_at = attempt.now()

    def ended(self, attempt: Attempt) -> None:
        """Take in that an attempt needs its connection no more."""
        self.requests -= 1
        if attempt.queued_at:
            self.waited += 1
            self.waited_seconds += (attempt.sent or attempt.now()) - attempt.queued_at
