"""When to poll next, and in which way: decided by the cost of the server's answers."""

from __future__ import annotations

import math

from kfp_perf.client.protocol import MAXIMUM_PAGE_SIZE

# Without a given interval, looking at runs that have not ended takes about this share of the server's time. Runs
# that ended are not counted: each is read once however often we look, and counting them would make looks rare when
# many runs end, so that each look would find even more of them.
_SHARE = 0.05
SHORTEST_POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 30.0
LONGEST_OUTAGE_POLL_SECONDS = 10.0

# The cost of a request beside the time of its answer: authorization (a throttled call to Kubernetes on a multi-user
# server), logging, connections. With it, many small requests cost more than the sum of their times.
_OVERHEAD_SECONDS = 0.010
_SMOOTHING = 0.3
# Used until both have been measured.
_ASSUMED_PAGE_SECONDS = 0.050
_ASSUMED_GET_SECONDS = 0.005
# After this many polls in one way the other way is measured again: databases grow, and servers recover.
LOOKS_BEFORE_RETRY = 50
# After this many failed lists in a row each run is read singly, since GetRun may work where ListRuns does not.
_LIST_FAILURES = 3


class PollPolicy:
    """Decides when to poll and how, from the measured cost. `poll_seconds` is a fixed interval; None: by cost."""

    def __init__(self, poll_seconds: float | None) -> None:
        self._given = poll_seconds
        self._busy: float | None = None
        self._busy_now = 0.0
        self._failures = 0
        self._foreign_pages = 0
        self._gets_in_a_row = 0
        self._looks_without_list = 0
        self._list_failures = 0
        self.page_seconds: float | None = None
        self.get_seconds: float | None = None

    def page_took(self, seconds: float) -> None:
        """Add the time of one page of ListRuns."""
        self.page_seconds = _smooth(self.page_seconds, seconds)
        self._busy_now += seconds

    def get_took(self, seconds: float, *, ended: bool) -> None:
        """Add the time of one GetRun, and whether that run had ended."""
        self.get_seconds = _smooth(self.get_seconds, seconds)
        if not ended:
            self._busy_now += seconds

    def look_succeeded(self) -> None:
        """Record that a poll got answers."""
        self._failures = 0
        self._busy = _smooth(self._busy, self._busy_now)
        self._busy_now = 0.0

    def look_failed(self) -> None:
        """Record that a poll got no answer: the next pause is longer."""
        self._failures += 1
        self._busy_now = 0.0

    def pause(self) -> float:
        """The time until the next poll, in seconds."""
        if self._given is not None:
            regular = self._given
        else:
            regular = min(LONGEST_POLL_SECONDS, max(SHORTEST_POLL_SECONDS, (self._busy or 0.0) / _SHARE))
        if not self._failures:
            return regular
        doubled = regular * 2.0 ** min(self._failures, 20)
        return max(regular, min(LONGEST_OUTAGE_POLL_SECONDS, doubled))

    def swept(self, pages: int, runs: int) -> None:
        """Record how many pages a sweep for this many runs needed: runs of others are in the pages too."""
        self._gets_in_a_row = 0
        self._list_failures = 0
        self._foreign_pages = max(0, pages - pages_of(runs))

    def sweep_failed(self, *, for_good: bool) -> None:
        """Record that a list failed; `for_good`: the server answers, but cannot produce this list."""
        self._list_failures += 1
        if for_good or self._list_failures >= _LIST_FAILURES:
            self._list_failures = 0
            self._looks_without_list = LOOKS_BEFORE_RETRY

    def prefers_gets(self, runs: int) -> bool:
        """Whether to read this many runs singly, because that costs the server less than a sweep."""
        if self._looks_without_list > 0:
            self._looks_without_list -= 1
            return True
        page = _ASSUMED_PAGE_SECONDS if self.page_seconds is None else self.page_seconds
        get = _ASSUMED_GET_SECONDS if self.get_seconds is None else self.get_seconds
        pages = pages_of(runs) + self._foreign_pages
        if runs * (get + _OVERHEAD_SECONDS) >= pages * (page + _OVERHEAD_SECONDS):
            return False
        self._gets_in_a_row += 1
        return runs == 1 or self._gets_in_a_row % LOOKS_BEFORE_RETRY != 0


def pages_of(runs: int) -> int:
    """The number of pages that this many runs fill."""
    return max(1, -(-runs // MAXIMUM_PAGE_SIZE))


def _smooth(before: float | None, seconds: float) -> float:
    """Exponential smoothing that starts with the first value."""
    if before is None or not math.isfinite(before):
        return seconds
    return before + _SMOOTHING * (seconds - before)
