"""Whether a failed call is repeated, and after how long.

A call that changes something is repeated only where it certainly was not done: no byte was sent, or the answer was
429. An idempotent call is repeated also after a lost answer, and after a status of `NO_ANSWER`.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from kfp_perf.errors import NO_ANSWER, ApiError, ApiInterrupted, ApiStatusError, ApiUnreachable
from kfp_perf.statistics.random_streams import random_stream

FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 10.0
LONGEST_RETRY_AFTER_SECONDS = 30.0

# A repetition changes neither a certificate, nor a generator that has run out of connections.
_LASTING_KINDS = frozenset({"tls", "no_connection"})


class RetryPolicy:
    """At most `retries` repetitions, with exponential back-off and full jitter.

    Full jitter draws each wait uniformly between zero and the bound: "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015. `seed` makes the waits repeatable.
    """

    def __init__(self, retries: int, seed: int | None = None) -> None:
        self._retries = retries
        self._random = random_stream(seed, "retries")

    def delay(
        self, error: ApiError, attempt: int, *, repeatable: bool, retry_after: float | None
    ) -> float | None:
        """Return how many seconds to wait before the next attempt; None: there is no next attempt.

        `attempt` counts from 1; `retry_after` is the wait that the server asked for, in seconds.
        """
        if attempt > self._retries or not may_repeat(error, repeatable=repeatable):
            return None
        bound = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))
        drawn = self._random.uniform(0.0, bound)
        if retry_after is None:
            return drawn
        return max(drawn, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))


def may_repeat(error: ApiError, *, repeatable: bool) -> bool:
    """Return whether a call may be repeated after this error; `repeatable`: the call is idempotent."""
    match error:
        case ApiUnreachable():
            return error.kind not in _LASTING_KINDS
        case ApiInterrupted():
            return repeatable and error.kind not in _LASTING_KINDS
        case ApiStatusError(status=429):
            return True
        case ApiStatusError():
            return repeatable and error.status in NO_ANSWER
    return False


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number or a date (RFC 9110, 10.2.3), else None."""
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal() and text.isascii():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds)
