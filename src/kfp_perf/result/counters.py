"""Cumulative counters of a scenario, for the display, the health checks and the execution."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from kfp_perf.result.records import Outcome


class ScenarioPhase(StrEnum):
    """The phase that a scenario is in."""

    QUEUED = "queued"
    PREPARING = "preparing"
    WAITING = "waiting"
    RUNNING = "running"
    DRAINING = "finishing"
    CLEANING = "cleaning up"
    ENDED = "ended"


class CallCounters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The operations of the load of one kind that ended, by any outcome.

    `latency` is a coarse histogram of those that were answered, `failed` one of those that were not, from due to
    the end of the last attempt. Reads of what others had deleted are in neither.
    """

    ended: int = 0
    latency: bytes = b""
    failed: bytes = b""


class ScenarioCounters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scenario at one time. All counts are cumulative: readers take differences, so a lost one loses nothing.

    `at` and all other times are in seconds since the Unix epoch. `waiting_for` is what the scenario waits for
    (empty: nothing in particular) and `waiting_until` until when at most. `resting`: nothing is under way
    because nothing is due. `due` to `in_flight` count operations of the load, `operations`, `answered` and
    `errors` those of the load that ended, `attempts` and `attempt_errors` (by operation and kind) HTTP requests
    for every purpose. `outcomes` counts runs. `local_failures` are attempts that failed because this machine had
    no descriptors or ports left. `latency` and `lateness` are coarse histograms of answered operations of the load
    (`coarse_histogram`), `visible_seconds` one of runs that succeeded, from due until that was seen, and
    `failed_seconds` one of all others but those cut off, from due until that was known. `by_call` has the
    operations of the load by name, list reads also by variant (`ListRuns.newest`). `starts`, `moments` and what
    follows them are as in `Lateness`; `connections_*` and `decode_seconds` as in `ConnectionCounters`. `away_since`
    is the time since when no request was answered (None: the last one was).
    """

    scenario: str
    at: float = 0.0
    phase: ScenarioPhase = ScenarioPhase.QUEUED
    waiting_for: str = ""
    waiting_until: float | None = None
    resting: bool = False
    due: int = 0
    started: int = 0
    held_back: int = 0
    never_started: int = 0
    in_flight: int = 0
    outcomes: dict[str, int] = {}
    longest_run_seconds: float = 0.0
    visible_seconds: bytes = b""
    failed_seconds: bytes = b""
    by_call: dict[str, CallCounters] = {}
    operations: int = 0
    answered: int = 0
    errors: int = 0
    calls: int = 0
    attempts: int = 0
    attempt_errors: dict[str, int] = {}
    last_error: str = ""
    local_failures: int = 0
    latency: bytes = b""
    lateness: bytes = b""
    lag_is_measured: bool = False
    starts: int = 0
    late_starts: int = 0
    longest_start_seconds: float = 0.0
    moments: int = 0
    late_moments: int = 0
    longest_lag_seconds: float = 0.0
    connections_limit: int = 0
    connections_requested: int = 0
    connections_waited: int = 0
    connections_waited_seconds: float = 0.0
    most_requests_at_once: int = 0
    decode_seconds: float = 0.0
    away_since: float | None = None
    cleaned_up: int = 0
    to_clean_up: int = 0

    @property
    def ended(self) -> int:
        """Runs that succeeded or failed."""
        return self.outcomes.get(Outcome.SUCCEEDED, 0) + self.outcomes.get(Outcome.FAILED, 0)

    @property
    def runs_lost(self) -> int:
        """Runs that were due and neither succeeded nor failed on the server."""
        return sum(self.outcomes.values()) - self.ended
