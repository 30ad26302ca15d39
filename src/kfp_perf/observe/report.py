"""The observer's report on its own work."""

from __future__ import annotations

import logging

import msgspec

from kfp_perf.observe.run_analysis import ComponentTotals  # noqa: TC001  msgspec reads the annotations

_log = logging.getLogger(__name__)

# A hostile server could invent a new state for every answer.
_MOST_KINDS = 50


class ObserverReport(msgspec.Struct):
    """The requests of the observer, and the anomalies of the answers.

    `sweeps` are passes over lists of runs, `pages` their requests, `gets` requests for single runs, `rereadings`
    further requests for runs that had ended before their tasks were complete, `lookups` searches by name.
    `sweep_ticks` and `get_ticks` count the polls in each of the two ways, chosen by `page_seconds` and
    `get_seconds`, the smoothed times of one request. `poll_seconds` is the pause between two polls: the latest, and
    its extremes. `tasks_late` runs showed their end before their final tasks; the tasks of `incomplete` runs
    were given up. `seen_late_seconds`: the mean, over `ends_seen` runs, of the time from the last poll that showed
    a run in flight to the one that showed its end: an upper bound of the mean delay in seeing an end. `failures`
    counts failed requests of polls. `anomalies` counts, by name, behaviour that a KFP server should not have.
    `components` has each component's totals. `offset_low_seconds` and `offset_high_seconds`: the API server's clock
    minus ours lies between them; it was stepped `clock_steps` times. The times of `clock_conflicts` runs contradict
    each other, which proves that the clocks of the API server and the workflow controller differ.
    """

    ticks: int = 0
    sweep_ticks: int = 0
    get_ticks: int = 0
    sweeps: int = 0
    pages: int = 0
    gets: int = 0
    rereadings: int = 0
    lookups: int = 0
    adopted: int = 0
    vanished: int = 0
    never_seen: int = 0
    failures: int = 0
    tasks_late: int = 0
    incomplete: int = 0
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
    clock_steps: int = 0
    clock_conflicts: int = 0
    anomalies: dict[str, int] = {}
    components: dict[str, ComponentTotals] = {}

    @property
    def requests(self) -> int:
        """The number of the observer's requests."""
        return self.pages + self.gets + self.rereadings + self.lookups

    def count_anomaly(self, kind: str, text: str) -> None:
        """Count something that a KFP server should not do, and log it the first time."""
        if kind not in self.anomalies and len(self.anomalies) >= _MOST_KINDS:
            kind = "others"
        if kind not in self.anomalies:
            _log.warning("Unexpected answer of the server: %s", text)
        self.anomalies[kind] = self.anomalies.get(kind, 0) + 1

    def add_end(self, seconds: float) -> None:
        """Add the time between the last poll that showed a run in flight and the one that showed its end."""
        self.ends_seen += 1
        mean = self.seen_late_seconds or 0.0
        self.seen_late_seconds = mean + (seconds - mean) / self.ends_seen
        self.longest_seen_late_seconds = max(seconds, self.longest_seen_late_seconds or 0.0)

    def add_pause(self, seconds: float) -> None:
        """Add the pause before the next poll."""
        self.poll_seconds = seconds
        self.shortest_poll_seconds = min(seconds, self.shortest_poll_seconds or seconds)
        self.longest_poll_seconds = max(seconds, self.longest_poll_seconds or seconds)
