"""Outages of the target: times in which no request was answered by the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.errors import NO_ANSWER, TargetError
from kfp_perf.result.records import LOCAL_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.result.records import Sample

#: Failures that are not the target's: calls that kfp-perf cancelled, and resources that this machine ran out of.
_LOCAL_FAILURES = LOCAL_KINDS | {"cancelled", "no_connection"}
_SHORTEST_OUTAGE_SECONDS = 1.0
_MOST_OUTAGES = 20


class OutageWatch:
    """Detects outages: an outage lasts from the last answer, or from the first request that got none, to the next.

    An error status is an answer, except those that a gateway sends when it got none (`NO_ANSWER`). A request
    that fails while others are answered is no outage.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._last_answer = 0.0
        self._since: float | None = None
        self._last_failure = 0.0
        self._failures = 0
        self._last_error = ""
        self._outages: list[tuple[float, float]] = []

    def on_sample(self, sample: Sample) -> None:
        """Record the attempts of one operation. Operations come in the order in which they ended."""
        for attempt in sample.attempts:
            if attempt.error in _LOCAL_FAILURES:
                continue
            if attempt.status and attempt.status not in NO_ANSWER:
                self._end(attempt.ended)
                continue
            if attempt.ended <= self._last_answer:
                continue  # others were answered while this operation waited for its next attempt
            self._last_error = attempt.error
            self._last_failure = attempt.ended
            self._failures += 1
            if self._since is None:
                # Others may have been answered while this one was under way.
                self._since = max(attempt.sent or sample.due + sample.held_seconds, self._last_answer)

    def _end(self, answered: float) -> None:
        if answered <= self._last_answer:
            return  # an earlier attempt of an operation that was repeated
        self._last_answer = answered
        if self._since is None or answered <= self._since:
            return
        if answered - self._since >= _SHORTEST_OUTAGE_SECONDS and len(self._outages) < _MOST_OUTAGES:
            self._outages.append((self._since, answered))
        self._since = None
        self._failures = 0

    @property
    def away_since(self) -> float | None:
        """Since when no request was answered, where that is a second or longer; else None."""
        return self._since if self.away else None

    @property
    def away(self) -> bool:
        """Whether requests have gone unanswered for a second or longer, and none was answered since."""
        return self._since is not None and self._last_failure - self._since >= _SHORTEST_OUTAGE_SECONDS

    def remarks(self, start: float) -> Iterator[str]:
        """Yield a sentence for each outage that has ended, with times in seconds since `start`."""
        for since, until in self._outages:
            yield f"the target did not answer for {until - since:.1f} s, from second {since - start:.0f} on"

    def limit_reached(self, now: float) -> TargetError | None:
        """Return the error to end with if an outage lasts longer than the limit, else None.

        One failed request is evidence of an outage only for as long as it took itself: where requests are rare, the
        next one may well be answered.
        """
        if self._since is None:
            return None
        seconds = (now if self._failures > 1 else self._last_failure) - self._since
        if seconds < self._limit_seconds:
            return None
        return TargetError(
            f"The KFP API did not come back for {seconds:.0f} s (last failure: {self._last_error}).",
            "The measurements until then are kept. KFP_PERF_OUTAGE_LIMIT_SECONDS sets how long to wait.",
        )
