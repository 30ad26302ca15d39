"""What really happened, in microseconds, for comparison with what a client measures.

Every event has a number; a reader asks for all since the last one it saw. The log is a ring: a reader that
comes too late gets the number of events that it missed first.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kfp_emulator.cluster.requests import TruthEvent

DEFAULT_CAPACITY = 500_000
_CHUNK = 2_000


class TruthLog:
    """A bounded log of events: what happened to which run and task, at which true microsecond."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._ring: list[tuple[str, str, str, int]] = []
        self._next = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def record(self, event: TruthEvent) -> None:
        """Append an event of the cluster."""
        self._append(event.run_id, event.what, event.task or "", event.at_us)

    def created(self, run_id: str, at_us: int) -> None:
        """The API server stamped `created_at` of a run that it has made since."""
        self._append(run_id, "created", "", at_us)

    def accepted(self, run_id: str, at_us: int) -> None:
        """CreateRun (or a schedule) made a run."""
        self._append(run_id, "accepted", "", at_us)

    def visible(self, run_id: str, at_us: int) -> None:
        """A report of a run arrived: its content can be seen."""
        self._append(run_id, "visible", "", at_us)

    def tasks_visible(self, run_id: str, at_us: int) -> None:
        """The tasks of a report were written, after its run."""
        self._append(run_id, "tasks_visible", "", at_us)

    def _append(self, run_id: str, what: str, task: str, at_us: int) -> None:
        event = (run_id, what, task, at_us)
        if self._next < self._capacity:
            self._ring.append(event)
        else:
            self._ring[self._next % self._capacity] = event
        self._next += 1
        if self._waiting:
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)
            self._waiting.clear()

    @property
    def oldest(self) -> int:
        """The number of the oldest event that is still held."""
        return max(0, self._next - self._capacity)

    @property
    def next(self) -> int:
        """The number that the next event will have."""
        return self._next

    def read(self, since: int, limit: int, run_id: str = "") -> tuple[int, list[dict[str, Any]]]:
        """Return events from number `since` on, at most `limit`, and the number to continue from."""
        start = max(since, self.oldest)
        stop = min(start + limit, self._next)
        held = ((number, self._ring[number % self._capacity]) for number in range(start, stop))
        return max(start, stop), [
            _document(number, event) for number, event in held if not run_id or event[0] == run_id
        ]

    async def stream(self, since: int, *, follow: bool, run_id: str = "") -> AsyncIterator[bytes]:
        """Yield the events since `since` as lines of JSON; with `follow`, also those to come."""
        missed = self.oldest - since
        if missed > 0:
            yield msgspec.json.encode({"missed": missed}) + b"\n"
        while True:
            since, events = self.read(since, _CHUNK, run_id)
            if events:
                yield b"".join(msgspec.json.encode(event) + b"\n" for event in events)
            elif since < self._next:
                continue
            elif not follow:
                return
            else:
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.add(future)
                await future


def _document(number: int, event: tuple[str, str, str, int]) -> dict[str, Any]:
    run_id, what, task, at_us = event
    document: dict[str, Any] = {"n": number, "run_id": run_id, "what": what, "at_us": at_us}
    if task:
        document["task"] = task
    return document
