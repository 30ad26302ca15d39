"""The scheduled-workflow controller: when recurring runs start runs, and what those are called.

Follows backend/src/crd/controller/scheduledworkflow of kubeflow/pipelines: the controller looks at each schedule
every so often (30 s), and again a while (10 s) after it started a run; each look starts at most one. So a run
starts late by design, and missed slots are caught up one look at a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kfp_emulator.clock import SECOND
from kfp_emulator.cluster.controller_stats import ScheduleStats
from kfp_emulator.cluster.cron import parse_cron
from kfp_emulator.cluster.nodes import fnv1a
from kfp_emulator.cluster.timing import Draws

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.clock import Clock, Event
    from kfp_emulator.cluster.timing import Profile

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9-]+")
_LONGEST_NAME = 25
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_RESTING = 0.1
"""How often, in seconds, a schedule is looked at whose next slot is not known to be later, without a resync."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a recurring run is triggered by: cron, or an interval, or neither, which is one run at once.

    Times are seconds of the epoch.
    """

    cron: str = ""
    interval_seconds: int = 0
    start_time: int | None = None
    end_time: int | None = None


@dataclass(slots=True, eq=False)
class RecurringRun:
    """A recurring run in its controller; `last_slot` and `last_index` are kept in its resource."""

    id: str
    name: str
    created_at: int
    """Microseconds on the cluster's clock, as slots are."""
    trigger: Trigger
    enabled: bool = True
    max_concurrency: int = 1
    catchup: bool = True
    swf_name: str = ""
    last_slot: int | None = None
    last_index: int = 0
    active: set[str] = field(default_factory=set)
    """The ids of its runs that have not ended."""
    event: Event | None = None
    look_at: int = 0


@dataclass(frozen=True, slots=True)
class Firing:
    """A run that is to be started: its name, its slot (seconds), its number from 1, and the true time."""

    recurring_run: RecurringRun
    name: str
    slot: int
    index: int
    at: int


class ScheduleController:
    """Starts the runs of recurring runs.

    `start_run` is called with each Firing; it returns the id of the run, which counts as active until
    `run_ended` is called with it, or None where it could not be started: the slot is tried again at the next look.
    Slots are reckoned on the cluster's clock, which is `ahead` of the true one by so many microseconds.
    """

    def __init__(
        self,
        profile: Profile,
        clock: Clock,
        start_run: Callable[[Firing], str | None],
        *,
        seed: int = 0,
        ahead: int = 0,
    ) -> None:
        self._ahead = ahead
        self._resync = round(profile.schedule_resync_seconds * SECOND)
        self._wait = round(profile.schedule_wait_seconds * SECOND)
        self._clock = clock
        self._start_run = start_run
        self._seed = seed
        self.stats = ScheduleStats()
        self._recurring: dict[str, RecurringRun] = {}
        self._of_run: dict[str, RecurringRun] = {}

    def add(self, recurring: RecurringRun) -> None:
        """Add a recurring run, a new one or one of a kept store; `swf_name` is set where it is empty."""
        if not recurring.swf_name:
            recurring.swf_name = swf_name(recurring.name, self._seed, recurring.id)
        self._recurring[recurring.id] = recurring
        for run_id in recurring.active:
            self._of_run[run_id] = recurring
        self._look_at(recurring, self._clock.now() + self._wait)

    def set_enabled(self, recurring_run_id: str, *, enabled: bool) -> None:
        """Enable or disable a recurring run; its active runs are not touched."""
        recurring = self._recurring.get(recurring_run_id)
        if recurring is not None and recurring.enabled != enabled:
            recurring.enabled = enabled
            self._look_at(recurring, self._clock.now() + self._wait)

    def remove(self, recurring_run_id: str) -> None:
        """Remove a recurring run; its runs continue."""
        recurring = self._recurring.pop(recurring_run_id, None)
        if recurring is None:
            return
        for run_id in recurring.active:
            self._of_run.pop(run_id, None)
        if recurring.event is not None:
            recurring.event.cancel()

    def run_ended(self, run_id: str) -> str:
        """Take a run that has ended, or was deleted, off the active ones; return its recurring run, "" if none."""
        recurring = self._of_run.pop(run_id, None)
        if recurring is None:
            return ""
        recurring.active.discard(run_id)
        self._look_at(recurring, self._clock.now() + self._wait)
        return recurring.id

    def get(self, recurring_run_id: str) -> RecurringRun | None:
        """Return a recurring run, with what the controller keeps of it."""
        return self._recurring.get(recurring_run_id)

    def reset(self) -> None:
        """Remove all recurring runs."""
        for recurring_run_id in list(self._recurring):
            self.remove(recurring_run_id)

    def _look_at(self, recurring: RecurringRun, at: int) -> None:
        event = recurring.event
        if event is not None:
            if event.callback is not None and recurring.look_at <= at:
                return
            event.cancel()
        recurring.look_at = at
        recurring.event = self._clock.call_at(at, lambda: self._look(recurring))

    def _look(self, recurring: RecurringRun) -> None:
        now = self._clock.now()
        shown = (now + self._ahead) // SECOND
        slot = next_slot(recurring, shown)
        started = False
        free = recurring.enabled and len(recurring.active) < recurring.max_concurrency
        if free and slot is not None and slot <= shown:
            started = self._start(recurring, slot, now)
            slot = next_slot(recurring, shown)
        self.stats.looked(self._wait / SECOND if started else 0.0)
        if started:
            self._look_at(recurring, now + self._wait)
        elif self._resync:
            self._look_at(recurring, now + self._resync)
        elif free and slot is not None:
            self._look_at(recurring, max(slot * SECOND - self._ahead, now + round(_RESTING * SECOND)))

    def _start(self, recurring: RecurringRun, slot: int, now: int) -> bool:
        index = recurring.last_index + 1
        firing = Firing(recurring, run_name(recurring.swf_name, index), slot, index, now)
        run_id = self._start_run(firing)
        if run_id is None:
            return False
        recurring.last_index = index
        recurring.last_slot = slot
        recurring.active.add(run_id)
        self._of_run[run_id] = recurring
        return True


def swf_name(name: str, seed: int, recurring_run_id: str) -> str:
    """Return the Kubernetes name of a ScheduledWorkflow: lower case, cut to 25, and five random letters."""
    base = _NOT_IN_A_NAME.sub("", name.lower())[:_LONGEST_NAME] or "job-"
    draws = Draws(seed, recurring_run_id)
    return base + "".join(_SUFFIX[draws.below(f"swf:{index}", len(_SUFFIX))] for index in range(5))


def run_name(swf: str, index: int) -> str:
    """Return the name of the run number `index` of a schedule."""
    numbered = f"{swf}-{index}"
    return f"{numbered}-{fnv1a(numbered)}"


def next_slot(recurring: RecurringRun, now: int) -> int | None:
    """Return the second for which the next run is due, in the past where some were missed; None if there is none.

    With a start time and no run yet, an interval counts from the start time (the source's own test says so).
    """
    trigger = recurring.trigger
    created = recurring.created_at // SECOND
    if trigger.cron:
        return _next_cron(recurring, created, now)
    if trigger.interval_seconds:
        return _next_interval(recurring, created, now)
    return created if recurring.last_slot is None else None


def _last(recurring: RecurringRun, created: int) -> int:
    if recurring.last_slot is not None:
        return recurring.last_slot
    return created if recurring.trigger.start_time is None else recurring.trigger.start_time


def _next_cron(recurring: RecurringRun, created: int, now: int) -> int | None:
    trigger = recurring.trigger
    schedule = parse_cron(trigger.cron)
    last = _last(recurring, created)
    if trigger.start_time is not None:
        last = max(last, trigger.start_time)
    slot = schedule.next(last)
    if slot is None or (trigger.end_time is not None and trigger.end_time < slot):
        return None
    if recurring.catchup:
        return slot
    return schedule.latest(slot, now if trigger.end_time is None else min(now, trigger.end_time))


def _next_interval(recurring: RecurringRun, created: int, now: int) -> int | None:
    trigger = recurring.trigger
    last, interval = _last(recurring, created), trigger.interval_seconds
    if trigger.start_time is not None and trigger.start_time > last:
        slot = trigger.start_time
    else:
        slot = last + interval
        if trigger.end_time is not None and trigger.end_time < slot:
            return None
    if recurring.catchup or now < slot + interval:
        return slot
    return trigger.end_time if trigger.end_time is not None and trigger.end_time < now else now
