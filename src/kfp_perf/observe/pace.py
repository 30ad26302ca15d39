"""How often to look, and in which way: by what the server's answers cost."""

from __future__ import annotations

import math

from kfp_perf.client.query import MAXIMUM_PAGE_SIZE

# Without a given interval, looking at runs that have not ended takes the server about this share of its time. What
# ended is asked for once, however often one looks: were that counted, many ends would make looks rare, and then
# looks would find many ends.
_SHARE = 0.05
SHORTEST_POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 30.0
LONGEST_OUTAGE_POLL_SECONDS = 10.0

# What a request costs beside its answer's time: authorization (in a multi-user server a throttled call to
# Kubernetes), logs, connections. It makes many small requests dearer than their times say.
_OVERHEAD_SECONDS = 0.010
_SMOOTHING = 0.3
# Before the first page: about as much slower than a single run as it is larger.
_ASSUMED_PAGE_SECONDS = 0.050
_ASSUMED_GET_SECONDS = 0.005
# Each so many looks, the dearer way is measured again, since databases grow and servers recover.
LOOKS_BEFORE_SECOND_THOUGHT = 50


class Pace:
    """Measures what looks cost, and decides on the next one. `poll_seconds`: a fixed interval, None: by cost."""

    def __init__(self, poll_seconds: float | None) -> None:
        self._given = poll_seconds
        self._busy: float | None = None
        self._busy_now = 0.0
        self._failures = 0
        self._foreign_pages = 0
        self._gets_in_row = 0
        self._looks_without_sweep = 0
        self.page_seconds: float | None = None
        self.get_seconds: float | None = None

    def page_took(self, seconds: float) -> None:
        """Take in the time of a page."""
        self.page_seconds = _smooth(self.page_seconds, seconds)
        self._busy_now += seconds

    def get_took(self, seconds: float, *, ended: bool) -> None:
        """Take in the time of a single run, and whether it was seen to have ended."""
        self.get_seconds = _smooth(self.get_seconds, seconds)
        if not ended:
            self._busy_now += seconds

    def looked(self) -> None:
        """Take in that a look succeeded as a whole."""
        self._failures = 0
        self._busy = _smooth(self._busy, self._busy_now)
        self._busy_now = 0.0

    def failed(self) -> None:
        """Take in that a look failed as a whole."""
        self._failures += 1
        self._busy_now = 0.0

    def pause(self) -> float:
        """How long to wait before the next look, in seconds."""
        if self._given is not None:
            regular = self._given
        else:
            regular = min(LONGEST_POLL_SECONDS, max(SHORTEST_POLL_SECONDS, (self._busy or 0.0) / _SHARE))
        if not self._failures:
            return regular
        doubled = regular * 2.0 ** min(self._failures, 20)
        return max(regular, min(LONGEST_OUTAGE_POLL_SECONDS, doubled))

    def swept(self, pages: int, runs: int) -> None:
        """Take in how many pages a sweep for so many runs took: other people's runs fill pages too."""
        self._gets_in_row = 0
        self._foreign_pages = max(0, pages - pages_of(runs))

    def sweep_failed(self) -> None:
        """Take in that the list cannot be had, though the server is there."""
        self._looks_without_sweep = LOOKS_BEFORE_SECOND_THOUGHT

    def prefers_gets(self, runs: int) -> bool:
        """Whether to ask for each of so many runs, since that costs the server less than a sweep."""
        if self._looks_without_sweep > 0:
            self._looks_without_sweep -= 1
            return True
        page = _ASSUMED_PAGE_SECONDS if self.page_seconds is None else self.page_seconds
        get = _ASSUMED_GET_SECONDS if self.get_seconds is None else self.get_seconds
        pages = pages_of(runs) + self._foreign_pages
        if runs * (get + _OVERHEAD_SECONDS) >= pages * (page + _OVERHEAD_SECONDS):
            return False
        self._gets_in_row += 1
        return runs == 1 or self._gets_in_row % LOOKS_BEFORE_SECOND_THOUGHT != 0


def pages_of(runs: int) -> int:
    """How many pages so many runs take."""
    return max(1, -(-runs // MAXIMUM_PAGE_SIZE))


def _smooth(before: float | None, seconds: float) -> float:
    """Exponential smoothing, from the first value on."""
    if before is None or not math.isfinite(before):
        return seconds
    return before + _SMOOTHING * (seconds - before)
