"""What every runner of ours does beside its work: write down what it makes, watch the target, and delete it all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import ApiError
from kfp_perf.result.journal import left_behind
from kfp_perf.result.records import Purpose
from kfp_perf.runners import remarks
from kfp_perf.runners.base import BaseRunner, Phase
from kfp_perf.runners.cleanup import clean_up
from kfp_perf.runners.prefill import PrefillReport, prefill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
    from pathlib import Path

    from kfp_perf.result.journal import Kind, Made

_WATCH_SECONDS = 1.0


class JournaledRunner(BaseRunner):
    """A runner that keeps a journal of what it makes, and deletes that in the end.

    Subclasses implement `run`; `making` and `alongside` are there for it, and `drive` is.
    """

    prefilled: PrefillReport | None = None

    async def prepare(self) -> None:
        """Make the rows that the scenario wants to find (`prefill`)."""
        if self.scenario.prefill is not None:
            self.prefilled = await prefill(self, self.scenario.prefill)

    def reports(self) -> dict[str, Any]:
        """The rows made beforehand, and what driving the load came to where there is a drive."""
        return {"prefill": self.prefilled} | ({"load": self._drive.report} if self._drive else {})

    def remarks(self) -> Iterator[str]:
        """The same in lines, where there is something amiss."""
        yield from remarks.of_prefill(self.prefilled)
        if self._drive is not None:
            yield from remarks.of_load(self._drive.report, self.scenario.max_in_flight)

    async def stop(self) -> None:
        """Delete what this runner made, except what is to be kept."""
        self.phase = Phase.CLEANING
        if self.journal is not None and self.config.keep != "all":
            await self._clean_up(self.journal.path)

    def owns(self, made: Made) -> bool:
        """Whether this runner made that object of the journal, which other runners write into as well."""
        return made.name.startswith(self.prefix)

    @contextlib.contextmanager
    def making(self, kind: Kind, name: str, *, parent: str = "") -> Iterator[Callable[[str], None]]:
        """Enclose the call that creates an object of this unique name; call the function yielded with its id.

        The journal has the intent before the request is sent. The entry is removed where the error proves that
        nothing was created; it stays where the outcome is unknown.
        """
        journal = self.journal
        if journal is None:
            yield lambda _id: None
            return
        journal.intend(kind, name, namespace=self.namespace, parent=parent)
        try:
            yield lambda made_id: journal.made(kind, name, made_id)
        except ApiError as error:
            if not error.outcome_unknown:
                journal.gone(kind, name)
            raise

    @contextlib.asynccontextmanager
    async def alongside(
        self, *work: Coroutine[Any, Any, None], close: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[None]:
        """Let coroutines run beside the body; `close` lets them end when it has ended.

        The runner is asked to stop when one of them fails, or when the target stays away for too long; that
        error is raised after the body. However the body ends, no operation of the drive is under way afterwards.
        """
        tasks = [asyncio.ensure_future(one) for one in work]
        watching = asyncio.ensure_future(self._watch(tasks))
        try:
            yield
        except BaseException:
            self.request_stop()
            raise
        finally:
            watching.cancel()
            # Where the body failed, the other operations still run: their runs are to be written down, and the
            # clean-up must not race with what they are making. The drive has raised its failure in the body.
            self.give_up()
            if self._drive is not None:
                with contextlib.suppress(Exception):
                    await self._drive.finish()
            if close is not None:
                await close()
            ends = await asyncio.gather(watching, *tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def give_up(self) -> None:
        """Let operations under way come to an end soon. They do so by themselves by default."""

    async def _watch(self, tasks: Sequence[asyncio.Future[None]]) -> None:
        """Ask the runner to stop when a task is over before its time, or when the target stays away."""
        while not any(task.done() for task in tasks):
            await self.clock.sleep_until(self.clock.now() + _WATCH_SECONDS)
            if (lost := self.outage.limit_reached(self.clock.now())) is not None:
                self.request_stop()
                raise lost
        self.request_stop()

    async def _clean_up(self, journal_path: Path) -> None:
        mine = [made for made in left_behind(journal_path) if self.owns(made)]
        to_delete = [made for made in mine if not made.kept]
        if not to_delete:
            return
        self.log.log(logging.DEBUG, "%s: deleting %d objects", self.name, len(to_delete))
        self.leftovers = await clean_up(
            to_delete,
            self.client.for_purpose(Purpose.CLEANUP),
            self.clock,
            deadline=self.clock.now() + self.config.cleanup_timeout_seconds,
            spared=frozenset(made.id for made in mine if made.kept),
            on_gone=lambda made: self.journal.gone(made.kind, made.name) if self.journal else None,
            on_progress=self.progress.on_cleanup,
        )
