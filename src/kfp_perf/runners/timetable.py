"""When a schedule is due, and which of its runs came for which moment."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.scenario.cron import firings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Place(NamedTuple):
    """Where a run stands in the timetable: its slot (None: none is so), and whether that had a run before."""

    slot: float | None
    doubled: bool = False


class Timetable:
    """The slots of one schedule, in whole seconds on the server's clock, and which of them got their run.

    A schedule of KFP counts from its creation: cron fires at the first match after it, an interval for the first
    time when it has passed once (backend/src/crd/controller/scheduledworkflow/util of kubeflow/pipelines). Slots
    are exact, since the controller reckons in whole seconds from slot to slot, not from run to run.
    """

    def __init__(
        self, created_at: float, *, cron: str | None = None, interval_seconds: float | None = None
    ) -> None:
        self._slots = _slots(int(created_at), cron, interval_seconds)
        self._next = next(self._slots, None)
        self._open: dict[int, None] = {}  # in order
        self._taken: set[int] = set()

    def place(self, scheduled_at: float | None, created_at: float | None) -> Place:
        """Find the slot of a run from the times that the server shows (whole seconds).

        A server that shows no slot of its own (`scheduled_at` is then the creation) starts missed runs one by one,
        so the run is taken to be that of the earliest slot that still waits for one.
        """
        if scheduled_at is None and created_at is None:
            return Place(None)
        told = int(created_at or 0 if scheduled_at is None else scheduled_at)
        self._reach(max(told, int(created_at or 0)) + 1)
        # A second more or less is a matter of rounding.
        for slot in (told, told - 1, told + 1):
            if slot in self._open:
                return self._take(slot)
            if slot in self._taken:
                return Place(slot, doubled=True)
        if created_at is not None and told == int(created_at):
            waiting = next(iter(self._open), None)
            if waiting is not None and waiting <= told:
                return self._take(waiting)
        return Place(None)

    def waiting(self, until: float) -> list[float]:
        """Return the slots up to a time that no run has come for, earliest first."""
        self._reach(until)
        return [slot for slot in self._open if slot <= until]

    def _take(self, slot: int) -> Place:
        del self._open[slot]
        self._taken.add(slot)
        return Place(slot)

    def _reach(self, until: float) -> None:
        while self._next is not None and self._next <= until:
            self._open[self._next] = None
            self._next = next(self._slots, None)


def _slots(created: int, cron: str | None, interval_seconds: float | None) -> Iterator[int]:
    if cron is not None:
        return (int(when.timestamp()) for when in firings(cron, datetime.fromtimestamp(created, UTC)))
    if interval_seconds is not None:
        interval = int(interval_seconds)
        return itertools.count(created + interval, interval)
    return iter(())
