"""The records that a test produces: attempts, samples and runs.

Every time is in seconds since the Unix epoch on the client's `Clock` (which never steps back); times that the
server gave are whole seconds on the server's clock, and named `*_at`. Differences are in seconds.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec


class Purpose(StrEnum):
    """What a call was made for. Only `load` counts as load; the others are reported separately."""

    LOAD = "load"
    OBSERVE = "observe"
    SETUP = "setup"
    CLEANUP = "cleanup"


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request of an operation.

    `sent` is when its headers were written (0.0: never), `ended` when its answer was complete or it failed.
    `status` is the HTTP status (0: no answer). `error` is empty for a success, else a short kind (`503`, `timeout`,
    `refused`, `reset`, `answer`); `message` is then the text of the error, without secrets. `unknown`: the server
    may have done the work although the attempt failed.
    """

    sent: float
    ended: float
    status: int = 200
    error: str = ""
    message: str = ""
    unknown: bool = False
    received_bytes: int = 0

    @property
    def service_seconds(self) -> float:
        """From headers written to the complete answer: server and network. 0 where nothing was sent."""
        return self.ended - self.sent if self.sent else 0.0


#: The kinds of errors of attempts that failed because this machine had no descriptors or local ports left.
LOCAL_KINDS = frozenset({"descriptors", "ports"})


class CallOutcome(StrEnum):
    """How an operation ended. All but `answered` and `gone` rank above every answered one in latencies."""

    ANSWERED = "answered"
    FAILED = "failed"
    GONE = "gone"  # it read what another client had deleted: neither an answer to measure nor an error
    CUT_OFF = "cut_off"  # the end of the test cancelled it
    NEVER_STARTED = "never_started"  # it was due, but held back until the end of the load


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One finished operation: one call that the load asked for, with its attempts.

    `due` is when it should have started and never moves: not for retries, held-back or queued operations. `ended`
    is the end of its last attempt. `operation` is the RPC's name (`ListRuns`), `variant` the kind of a list read
    (`client.protocol.VARIANTS`). `held_seconds` is how long `maxInFlight` kept it back after it was due.
    """

    operation: str
    due: float
    ended: float
    attempts: tuple[Attempt, ...] = ()
    outcome: CallOutcome = CallOutcome.ANSWERED
    purpose: Purpose = Purpose.LOAD
    variant: str = ""
    held_seconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether it succeeded."""
        return self.outcome is CallOutcome.ANSWERED

    @property
    def latency_seconds(self) -> float:
        """From due to the end of the last attempt, back-off included: what a user of the API waits."""
        return self.ended - self.due

    @property
    def lateness_seconds(self) -> float | None:
        """What the generator, or its wait for a connection, added: due to first headers, less `held_seconds`.

        None where nothing was sent.
        """
        sent = self.attempts[0].sent if self.attempts else 0.0
        return sent - self.due - self.held_seconds if sent else None

    @property
    def sent(self) -> float:
        """When the last attempt's headers were written; 0.0 where nothing was sent."""
        return self.attempts[-1].sent if self.attempts else 0.0

    @property
    def error(self) -> str:
        """The kind of the error that ended it; empty unless it failed."""
        return self.attempts[-1].error if self.outcome is CallOutcome.FAILED and self.attempts else ""

    @property
    def message(self) -> str:
        """The text of the last attempt's error; empty where it had none."""
        return self.attempts[-1].message if self.attempts else ""

    @property
    def status(self) -> int:
        """The last attempt's HTTP status; 0 where there was no answer."""
        return self.attempts[-1].status if self.attempts else 0


class Outcome(StrEnum):
    """The outcome of a run that a scenario was to start; every run that was due has one, except those cut off."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"  # the server refused to create it, or could not be reached
    LOST = "lost"  # its creation got no answer and no list ever showed its name, or it vanished
    UNFINISHED = "unfinished"  # still in flight after the whole grace period
    NEVER_STARTED = "never_started"  # due, and held back until the end of the load
    CUT_OFF = "cut_off"  # in flight when the test was cut short: counts in no rate


class TaskSpan(msgspec.Struct, frozen=True, array_like=True):
    """A task of a run, with the start of its pod, in seconds since the run's creation.

    The error of each time is below a second. `waited_for`: it is on the critical path. `state` is KFP's, or
    `CACHED`.
    """

    name: str
    begin: float
    end: float
    waited_for: bool = False
    state: str = ""


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run from its due time to its end; a line of `runs.jsonl`.

    `created_at`, `scheduled_at`, `finished_at`: the server's whole seconds, None where it gave none. `running_at`:
    when the API server got the report that the run is running, so it had started by then. `seen_running` and
    `seen_finished`: when an answer first showed it so; `seen_unfinished`: when one last showed it in flight, so its
    end became visible in (seen_unfinished, seen_finished]. `duration_seconds` is from creation to finish, with an
    error of at most `duration_error_seconds`. `phases` are its parts by name (see `observe.PHASES`), each with an
    error of at most its entry in `phase_errors`. `clock_conflict`: the times of the run contradict each other in
    this way (`finished_before_created`, `started_before_created`, `finished_in_the_future`,
    `longer_than_followed`), which proves that the clocks of the API server and the workflow controller differ; the
    duration and the phases `queue` and `visible` are left out then. `tasks_complete`: the server showed the final
    tasks of the run. If a run that ended lacks them, the phases that need them are left out, and whether the run
    was cached is unknown. `cached`: nothing of it was executed, all results came from the cache. `tasks`: those of
    a run that has ended; in `runs.jsonl` only of the few that were among the slowest of their scenario when they
    ended, for `tasks.jsonl` has them all. `error`: why it did not end well, without secrets.

    Runs that a schedule started have its `recurring_run_id`, and the `slot` that they were due in, on the
    server's clock (None: the schedule has no such slot). `doubled`: an earlier run has that slot already.
    `drift_seconds` is from the slot to the creation, with an error of at most `drift_error_seconds`. Their `due` is
    the slot on our clock. A slot without a run is a record of its own, with the outcome `refused`.
    """

    scenario: str
    name: str
    run_id: str = ""
    outcome: Outcome = Outcome.LOST
    state: str = ""
    due: float
    sent: float = 0.0
    ended: float = 0.0
    attempts: int = 0
    adopted: bool = False
    warmup: bool = False
    created_at: float | None = None
    scheduled_at: float | None = None
    finished_at: float | None = None
    running_at: float | None = None
    seen_running: float | None = None
    seen_unfinished: float | None = None
    seen_finished: float | None = None
    duration_seconds: float | None = None
    duration_error_seconds: float | None = None
    clock_conflict: str = ""
    cached: bool = False
    tasks_complete: bool = False
    phases: dict[str, float] = {}
    phase_errors: dict[str, float] = {}
    tasks: list[TaskSpan] = []
    recurring_run_id: str = ""
    slot: float | None = None
    doubled: bool = False
    drift_seconds: float | None = None
    drift_error_seconds: float | None = None
    error: str = ""

    @property
    def created(self) -> bool:
        """Whether the server is known to have created this run."""
        return bool(self.run_id)

    @property
    def left(self) -> float:
        """When the run left: its end was seen, or it was refused or lost. `inf`: it did not."""
        if self.seen_finished is not None:
            return self.seen_finished
        if self.outcome in {Outcome.REFUSED, Outcome.LOST}:
            return self.seen_unfinished or self.ended or self.due
        return math.inf

    @property
    def seen_for_seconds(self) -> float:
        """The least time that an unfinished run was in flight: from its creation to the last poll that showed it.

        It was created before CreateRun's answer came, or, where a schedule made it, by the end of its drift.
        """
        drift = (self.drift_seconds or 0.0) + (self.drift_error_seconds or 0.0)
        return max(0.0, (self.seen_unfinished or 0.0) - (self.ended or self.due + drift))

    def row(self) -> dict[str, Any]:
        """The record as one flat row: each phase and its error in a column `phase_<name>[_error]_seconds`."""
        row = {name: getattr(self, name) for name in self.__struct_fields__}
        phases, errors, _ = row.pop("phases"), row.pop("phase_errors"), row.pop("tasks")
        row["outcome"] = self.outcome.value
        row |= {f"phase_{name}_seconds": seconds for name, seconds in phases.items()}
        return row | {f"phase_{name}_error_seconds": seconds for name, seconds in errors.items()}
