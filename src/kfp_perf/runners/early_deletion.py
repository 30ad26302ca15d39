"""Deletion of the runs that have ended while others of the same load are still in flight.

Deletions and the final reports of runs wait at the same throttle, that of the API server's Kubernetes client. On
servers that it limits, eight deletions at a time delay the last ends by 20 s. One at a time delays them by a second
where the server kept up with the load, and by 20 s and more where it did not (the measurement is in
docs/capacity.md). So deletions are made one at a time, and after an overload only by the clean-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING

from kfp_perf.result.journal import Made, ObjectKind
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection

    from kfp_perf.config import TestConfig
    from kfp_perf.pacing import LoadOperation
    from kfp_perf.result.records import RunRecord
    from kfp_perf.scenario.model import TestScenario

GROWTH_SHARE = 0.025
"""The share of the runs due since the system filled by which those in flight may have grown."""
_LONGEST_WAIT_SECONDS = 5.0
"""How long the end of the scenario waits for a deletion that is under way; the clean-up then repeats it."""


def may_delete_early(scenario: TestScenario, config: TestConfig) -> bool:
    """Whether nothing needs the runs that have ended: with caching, later runs may reuse their results."""
    return config.keep != "all" and scenario.caching(config.CACHE_ENABLED) is False


def kept_up(before: int, now: int, due: int) -> bool:
    """Whether no more runs are in flight `now` than `before`, when the system had filled and `due` fewer were due.

    A small growth may be chance: the number in flight varies by at most two standard deviations of a Poisson
    distribution.
    """
    return now - before <= max(GROWTH_SHARE * due, 2.0 * math.sqrt(before))


class EarlyDeletion:
    """Deletes runs of which nothing more is needed: their record is written, and their operation is over.

    `delete` deletes objects, and returns a line for each that is left. After the first that is, no more are
    deleted: the clean-up tries again, and says what is wrong. `in_flight` is the number of runs in flight now,
    `measured_from` is when the load had filled the system.
    """

    def __init__(
        self,
        delete: Callable[[Collection[Made]], Awaitable[Collection[str]]],
        in_flight: Callable[[], int],
        measured_from: float,
    ) -> None:
        self._delete = delete
        self._in_flight = in_flight
        self._measured_from = measured_from
        self._filled: tuple[int, int] | None = (
            None  # runs in flight, and due, at the start of the measured time
        )
        self._halfway: dict[str, Made | None] = {}
        self._ready: asyncio.Queue[Made | None] = asyncio.Queue()
        self._stopped = False

    def enclosing(self, operation: LoadOperation, prefix: str) -> LoadOperation:
        """Return an operation that does the same, after which the run that it created is needed no more.

        The runs are named after their index, with this prefix.
        """

        async def enclosed(index: int, due: float) -> bool:
            if self._filled is None and due >= self._measured_from:
                self._filled = self._in_flight(), index
            try:
                return await operation(index, due)
            finally:
                self._one_of_both(f"{prefix}-{index}", None)

        return enclosed

    def recorded(self, record: RunRecord, *, experiment_id: str, keep_failed: bool) -> None:
        """Take note that the record of a run is written."""
        kept = keep_failed and record.outcome is Outcome.FAILED
        if record.seen_finished is not None and not kept:
            made = Made(ObjectKind.RUN, record.name, parent=experiment_id, id=record.run_id)
            self._one_of_both(record.name, made)

    def _one_of_both(self, name: str, made: Made | None) -> None:
        if name not in self._halfway:
            self._halfway[name] = made
        elif (found := self._halfway.pop(name) or made) is not None:
            self._ready.put_nowait(found)

    @contextlib.asynccontextmanager
    async def alongside(self, due: int) -> AsyncIterator[None]:
        """Delete runs while the body runs, the first that ended first; `due` of the load were due in all.

        None are deleted where the server did not keep up.
        """
        if self._filled is None or not kept_up(self._filled[0], self._in_flight(), due - self._filled[1]):
            yield
            return
        deleting = asyncio.ensure_future(self._one_by_one())
        try:
            yield
        finally:
            self._stopped = True
            self._ready.put_nowait(None)
            # A deletion that is cancelled may be done all the same, and would be asked for twice.
            await asyncio.wait({deleting}, timeout=_LONGEST_WAIT_SECONDS)
            deleting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await deleting

    async def _one_by_one(self) -> None:
        while (made := await self._ready.get()) is not None and not self._stopped:
            if await self._delete([made]):
                return
