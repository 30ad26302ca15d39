"""What the observer says about its own work."""

from __future__ import annotations

import logging

import msgspec

from kfp_perf.observe.components import ComponentTotals  # noqa: TC001  msgspec reads the annotations

_log = logging.getLogger(__name__)

# A hostile server could invent a new state for every answer.
_MOST_KINDS = 50


class ObserverReport(msgspec.Struct):
    """What observing took, and what was odd about the answers.

    `sweeps` are walks over lists of runs, `pages` their requests, `gets` requests for single runs, `lookups`
    searches by name. `sweep_ticks` and `get_ticks` say how often each strategy was chosen, by
    `page_seconds` and `get_seconds`, the smoothed times of one request. `poll_seconds` is the pause between two
    looks: the latest, and its extremes.
    `seen_late_seconds`: the mean, over `ends_seen` runs, of the time from the last look that showed a run in flight
    to the one that showed its end. An end was seen so much later than it was visible at most.
    `anomalies` counts by name what a KFP server should not do. `components` has each component's totals.
    `offset_low_seconds` and `offset_high_seconds`: the API server's clock minus ours lies between them.
    """

    ticks: int = 0
    sweep_ticks: int = 0
    get_ticks: int = 0
    sweeps: int = 0
    pages: int = 0
    gets: int = 0
    lookups: int = 0
    adopted: int = 0
    vanished: int = 0
    never_seen: int = 0
    failures: int = 0
    page_seconds: float | None = None
    get_seconds: float | None = None
    poll_seconds: float | None = None
    shortest_poll_seconds: float | None = None
    longest_poll_seconds: float | None = None
    ends_seen: int = 0
    seen_late_seconds: float | None = None
    longest_seen_late_seconds: float | None = None
    offset_low_seconds: float | None = None
    offset_high_seconds: float | None = None
    clock_conflicts: int = 0
    anomalies: dict[str, int] = {}
    components: dict[str, ComponentTotals] = {}

    @property
    def requests(self) -> int:
        """How many calls observing took."""
        return self.pages + self.gets + self.lookups

    def odd(self, kind: str, what: str) -> None:
        """Count something that a KFP server should not do, and say it in the log the first time."""
        if kind not in self.anomalies and len(self.anomalies) >= _MOST_KINDS:
            kind = "others"
        if kind not in self.anomalies:
            _log.warning("The server's answers are odd: %s", what)
        self.anomalies[kind] = self.anomalies.get(kind, 0) + 1

    def saw_end(self, seconds: float) -> None:
        """Note how long before the look that showed a run's end it had last been seen in flight."""
        self.ends_seen += 1
        mean = self.seen_late_seconds or 0.0
        self.seen_late_seconds = mean + (seconds - mean) / self.ends_seen
        self.longest_seen_late_seconds = max(seconds, self.longest_seen_late_seconds or 0.0)

    def paused(self, seconds: float) -> None:
        """Note the pause before the next look."""
        self.poll_seconds = seconds
        self.shortest_poll_seconds = min(seconds, self.shortest_poll_seconds or seconds)
        self.longest_poll_seconds = max(seconds, self.longest_poll_seconds or seconds)
