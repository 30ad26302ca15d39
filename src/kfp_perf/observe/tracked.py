"""The state of a run in flight."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from kfp_perf.result.records import Outcome, RunRecord

if TYPE_CHECKING:
    import asyncio

    from kfp_perf.observe.times import TimeSpan
    from kfp_perf.result.records import TaskSpan


@dataclass(slots=True, eq=False, kw_only=True)
class TrackedRun:
    """A run from when its creation is due until its record is written.

    The runner fills in the creation, the observer the state and the end; `record` makes the frozen `RunRecord`,
    which documents the fields. `phases` holds the estimates by name. `followed_since` is when the
    observer began to follow the run, on our clock, `end` the future that reports its end while it is followed.
    """

    scenario: str
    name: str
    due: float
    run_id: str = ""
    outcome: Outcome = Outcome.LOST
    state: str = ""
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
    phases: dict[str, TimeSpan] | None = None
    tasks: list[TaskSpan] | None = None
    recurring_run_id: str = ""
    slot: float | None = None
    doubled: bool = False
    drift_seconds: float | None = None
    drift_error_seconds: float | None = None
    error: str = ""
    followed_since: float = 0.0
    end: asyncio.Future[TrackedRun] | None = None

    @property
    def created(self) -> bool:
        """Whether the server is known to have created this run."""
        return bool(self.run_id)

    def record(self) -> RunRecord:
        """The current state of the run as a frozen value."""
        phases = self.phases or {}
        return RunRecord(
            **{name: getattr(self, name) for name in _COPIED},
            phases={name: phase.value for name, phase in phases.items()},
            phase_errors={name: phase.error for name, phase in phases.items()},
            tasks=[*(self.tasks or ())],
        )


_COPIED = tuple(
    field.name
    for field in fields(TrackedRun)
    if field.name not in {"phases", "tasks", "followed_since", "end"}
)
