"""When a call that failed is made again, and after how long.

What changes the server is repeated only where it certainly was not done: no byte was sent, or the server said
429. What comes to the same when done twice is repeated also after a lost answer and a gateway's 502, 503, 504.
"""

from __future__ import annotations

import random
from datetime import UTC
from email.utils import parsedate_to_datetime

from kfp_perf.errors import ApiError, ApiInterrupted, ApiStatusError, ApiUnreachable

FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 10.0
LONGEST_RETRY_AFTER_SECONDS = 30.0

_PASSING_STATUSES = frozenset({502, 503, 504})
# Trying again mends neither a certificate, nor a generator that has run out of connections.
_LASTING_KINDS = frozenset({"tls", "no_connection"})


class RetryPolicy:
    """Decides on repetitions: at most `retries`, exponential back-off with full jitter.

    Full jitter, a time drawn evenly from zero to the bound, spreads the herd best: "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015. `seed` makes the waits repeatable.
    """

    def __init__(self, retries: int, seed: int | None = None) -> None:
        self._retries = retries
        self._random = random.Random(seed)

    def delay(
        self, error: ApiError, attempt: int, *, repeatable: bool, retry_after: float | None
    ) -> float | None:
        """How many seconds to wait before the next attempt; None: do not try again.

        `attempt` counts from 1; `retry_after` is what the server asked for, in seconds.
        """
        if attempt > self._retries or not may_repeat(error, repeatable=repeatable):
            return None
        bound = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))
        drawn = self._random.uniform(0.0, bound)
        if retry_after is None:
            return drawn
        return max(drawn, min(retry_after, LONGEST_RETRY_AFTER_SECONDS))


def may_repeat(error: ApiError, *, repeatable: bool) -> bool:
    """Whether a call may be made again after this error; `repeatable`: doing it twice comes to doing it once."""
    match error:
        case ApiUnreachable():
            return error.kind not in _LASTING_KINDS
        case ApiInterrupted():
            return repeatable and error.kind not in _LASTING_KINDS
        case ApiStatusError(status=429):
            return True
        case ApiStatusError():
            return repeatable and error.status in _PASSING_STATUSES
    return False


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3). None for neither."""
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
