"""The slots of a schedule, and the matching of its runs to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from kfp_perf.scenario.cron import firings

if TYPE_CHECKING:
    from collections.abc import Iterator


_ROUNDING = 1
_MOST_APART = 5
"""Seconds by which a slot may differ from the one computed here; always less than half an interval."""


class SlotMatch(NamedTuple):
    """The slot of a run (None: it has none), and whether an earlier run has that slot already."""

    slot: float | None
    doubled: bool = False


class Timetable:
    """The slots of one schedule, in whole seconds on the server's clock, and which of them got their run.

    A schedule of KFP counts from its creation: cron fires at the first match after it, an interval for the first
    time when it has passed once (backend/src/crd/controller/scheduledworkflow/util of kubeflow/pipelines). The
    controller computes in whole seconds from slot to slot, not from run to run. It counts from the resource's
    creation, which may differ from the API server's `created_at` by a few seconds, so a slot that the server shows
    takes precedence.

    There are no slots `lasts_seconds` after the creation, so that a wrong time of the server, however far off,
    does not make the table endless.
    """

    def __init__(
        self,
        created_at: float,
        *,
        lasts_seconds: float,
        cron: str | None = None,
        interval_seconds: float | None = None,
    ) -> None:
        self._slots = _slots(int(created_at), int(created_at + lasts_seconds), cron, interval_seconds)
        self._next = next(self._slots, None)
        self._open: dict[int, None] = {}  # in order
        self._taken: set[int] = set()
        gap = int(interval_seconds or 0)
        self._nearby = _nearest_first(max(_ROUNDING, min(_MOST_APART, (gap - 1) // 2)))

    def place(self, scheduled_at: float | None, created_at: float | None) -> SlotMatch:
        """Find the slot of a run from the times that the server shows (whole seconds).

        A server that shows no slot (`scheduled_at` is then the creation) starts missed runs one by one, so the run
        is assigned to the earliest slot without a run.
        """
        if scheduled_at is None and created_at is None:
            return SlotMatch(None)
        created = None if created_at is None else int(created_at)
        stated = int(created_at or 0 if scheduled_at is None else scheduled_at)
        is_slot = stated != created
        self._reach(max(stated, created or 0) + _MOST_APART)
        for apart in self._nearby if is_slot else _nearest_first(_ROUNDING):
            slot = stated + apart
            if slot in self._open or slot in self._taken:
                doubled = slot in self._taken
                self._take(slot)
                return SlotMatch(stated if is_slot else slot, doubled)
        if not is_slot:
            waiting = next(iter(self._open), None)
            if waiting is not None and waiting <= stated:
                self._take(waiting)
                return SlotMatch(waiting)
        return SlotMatch(None)

    def waiting(self, until: float) -> list[float]:
        """Return the slots up to a time that have no run, earliest first."""
        self._reach(until)
        return [slot for slot in self._open if slot <= until]

    def _take(self, slot: int) -> None:
        self._open.pop(slot, None)
        self._taken.add(slot)

    def _reach(self, until: float) -> None:
        while self._next is not None and self._next <= until:
            self._open[self._next] = None
            self._next = next(self._slots, None)


def _slots(created: int, end: int, cron: str | None, interval_seconds: float | None) -> Iterator[int]:
    if cron is not None:
        first, last = (datetime.fromtimestamp(moment, UTC) for moment in (created, end))
        return (int(when.timestamp()) for when in firings(cron, first, last))
    if interval_seconds is not None:
        interval = int(interval_seconds)
        return iter(range(created + interval, end + 1, interval))
    return iter(())


def _nearest_first(most: int) -> tuple[int, ...]:
    return tuple(sorted(range(-most, most + 1), key=abs))
