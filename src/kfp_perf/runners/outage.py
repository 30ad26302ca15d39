"""How long the target has been away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfp_perf.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kfp_perf.result.records import Sample

#: What a gateway answers in place of an API server that is gone.
_ABSENT = frozenset({0, 502, 503, 504})
_WORTH_TELLING_SECONDS = 1.0
_MOST_TOLD = 20


class OutageWatch:
    """Knows since when not one request was answered by the API server itself.

    A server that answers with an error is there, whatever it says; one that refuses, hangs, or whose gateway
    answers for it is away.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._away_since: float | None = None
        self._last_error = ""
        self._outages: list[tuple[float, float]] = []

    def on_sample(self, sample: Sample) -> None:
        """Record one operation. Only its last attempt counts: earlier ones are older news."""
        if not sample.attempts:
            return
        if sample.status not in _ABSENT:
            if self._away_since is not None:
                if (
                    sample.ended - self._away_since >= _WORTH_TELLING_SECONDS
                    and len(self._outages) < _MOST_TOLD
                ):
                    self._outages.append((self._away_since, sample.ended))
                self._away_since = None
        else:
            self._last_error = sample.error
            if self._away_since is None:
                self._away_since = sample.sent or sample.due

    @property
    def away(self) -> bool:
        """Whether the last request got no answer."""
        return self._away_since is not None

    def remarks(self, start: float) -> Iterator[str]:
        """What to say of outages that were ridden out, with times since `start`."""
        for since, until in self._outages:
            yield f"the target did not answer for {until - since:.1f} s, from second {since - start:.0f} on"

    def limit_reached(self, now: float) -> TargetError | None:
        """The error to end with, if the target has been away for longer than the limit; else None."""
        if self._away_since is None or now - self._away_since < self._limit_seconds:
            return None
        return TargetError(
            f"The KFP API did not come back for {now - self._away_since:.0f} s (last failure: {self._last_error}).",
            "What was measured until then is kept. KFP_PERF_OUTAGE_LIMIT_SECONDS sets how long to wait.",
        )
