"""The base of the built-in runners: journals what it creates, detects outages, and cleans up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from kfp_perf.errors import ApiError, InputError, Problem
from kfp_perf.pipelines.find import find_pipeline
from kfp_perf.pipelines.package import read_pipeline
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.result.journal import ObjectKind, left_behind
from kfp_perf.result.records import Purpose
from kfp_perf.runners import remarks
from kfp_perf.runners.adoption import create_or_adopt
from kfp_perf.runners.base import BaseRunner
from kfp_perf.runners.cleanup import clean_up
from kfp_perf.runners.prefill import prefill

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Collection,
        Coroutine,
        Iterable,
        Iterator,
        Sequence,
    )
    from pathlib import Path

    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Experiment, Pipeline
    from kfp_perf.pacing import LoadOperation
    from kfp_perf.pipelines.package import PipelinePackage
    from kfp_perf.result.journal import Made
    from kfp_perf.runners.reports import PrefillReport
    from kfp_perf.scenario.model import TestScenario

Created = TypeVar("Created")

_WATCH_SECONDS = 1.0


class JournaledRunner(BaseRunner):
    """A runner that keeps a journal of the objects that it creates, and deletes them at the end.

    Subclasses implement `run` with the help of `drive_load`, `making` and `alongside`.
    """

    prefilled: PrefillReport | None = None

    def __init__(self, test_scenario: TestScenario, **given: Any) -> None:
        super().__init__(test_scenario, **given)
        #: Ids by kind and name of what was created without a journal; empty where no answer came.
        self._unjournaled: dict[tuple[ObjectKind, str], str] = {}

    async def prepare(self) -> None:
        """Create the rows of the scenario's `prefill`."""
        if self.scenario.prefill is not None:
            self.prefilled = await prefill(self, self.scenario.prefill)

    def pipeline(self) -> PipelinePackage:
        """Return the scenario's pipeline: the one that the plan has read, else the one in the file that it names.

        Raises InputError where it names none, or one that is not valid.
        """
        if self.package is not None:
            return self.package
        if not self.scenario.pipeline_file_name:
            what = f"is missing: mode {self.scenario.mode_name} needs a pipeline"
            raise InputError(Problem(f"{self.name}: pipelineFileName", what, "name a compiled pipeline"))
        return read_pipeline(find_pipeline(self.scenario.pipeline_file_name, self.config.pipeline_folders))

    def reports(self) -> dict[str, Any]:
        """Return the reports of the prefill and, where there is a drive, of the load."""
        return {"prefill": self.prefilled} | ({"load": self._drive.report} if self._drive else {})

    def remarks(self) -> Iterator[str]:
        """Yield a sentence for each thing that went wrong in them."""
        yield from remarks.of_prefill(self.prefilled)
        if self._drive is not None:
            yield from remarks.of_load(self._drive.report, self.scenario.max_in_flight)

    async def stop(self) -> None:
        """Delete what this runner created, except what is to be kept.

        Nothing is deleted without a journal; everything created is then in `leftovers`.
        """
        self.phase = ScenarioPhase.CLEANING
        if self.journal is not None and self.config.keep != "all":
            await self._clean_up(self.journal.path)
        if self._unjournaled:
            self.leftovers += [
                f"{kind.value} {name}{f' ({made_id})' * bool(made_id)}: there is no journal to delete it by"
                for (kind, name), made_id in self._unjournaled.items()
            ]
            self.warnings.append(
                f"{len(self._unjournaled):,} objects were left on the server, because the runner has no journal"
            )

    def owns(self, made: Made) -> bool:
        """Return whether this runner created an object of the journal, which all runners of a test share."""
        return made.name.startswith(self.prefix)

    @contextlib.contextmanager
    def making(self, kind: ObjectKind, name: str, *, parent: str = "") -> Iterator[Callable[[str], None]]:
        """Enclose the call that creates an object of this unique name; call the function yielded with its id.

        The journal has the intent before the request is sent. The entry is removed where the error proves that
        nothing was created; it stays where the outcome is unknown.
        """
        journal = self.journal
        if journal is None:
            with self._remembering((kind, name)) as made:
                yield made
            return
        journal.intend(kind, name, namespace=self.namespace, parent=parent)
        try:
            yield lambda made_id: journal.made(kind, name, made_id)
        except ApiError as error:
            if not error.outcome_unknown:
                journal.gone(kind, name)
            raise

    @contextlib.contextmanager
    def _remembering(self, key: tuple[ObjectKind, str]) -> Iterator[Callable[[str], None]]:
        """Do as `making` does, in memory."""
        self._unjournaled[key] = ""
        try:
            yield lambda made_id: self._unjournaled.update({key: made_id})
        except ApiError as error:
            if not error.outcome_unknown:
                del self._unjournaled[key]
            raise

    def not_made(self, kind: ObjectKind, name: str) -> None:
        """Remove an object whose creation failed from the journal, because the server does not have it."""
        if self.journal is not None:
            self.journal.gone(kind, name)
        self._unjournaled.pop((kind, name), None)

    async def create_or_adopt(
        self,
        create: Callable[[], Awaitable[Created]],
        find: Callable[[], Awaitable[Created | None]],
        *,
        repeats: int | None = None,
    ) -> Created:
        """Create an object of a unique name, or find it by its name; see `adoption.create_or_adopt`.

        `repeats` is how often the creation may be repeated (default: the configured number of retries).
        """
        repeats = self.config.retries if repeats is None else repeats
        return await create_or_adopt(create, find, clock=self.clock, stop=self.stop_signal, repeats=repeats)

    async def create_experiment(self, client: KfpClient, name: str) -> Experiment:
        """Create an experiment of a unique name, with its entry in the journal."""
        with self.making(ObjectKind.EXPERIMENT, name) as made:
            experiment = await self.create_or_adopt(
                lambda: client.create_experiment(name, namespace=self.namespace),
                lambda: client.find_experiment(name, namespace=self.namespace),
            )
            made(experiment.experiment_id)
        return experiment

    async def create_pipeline(self, client: KfpClient, name: str, content: bytes) -> Pipeline:
        """Upload a pipeline under a unique name, with its entry in the journal."""
        with self.making(ObjectKind.PIPELINE, name) as made:
            pipeline = await self.create_or_adopt(
                lambda: client.upload_pipeline(content, name=name, namespace=self.namespace),
                lambda: client.find_pipeline(name, namespace=self.namespace),
            )
            made(pipeline.pipeline_id)
        return pipeline

    async def drive_load(self, operation: LoadOperation, skipped: Callable[[int, float], None]) -> None:
        """Start each operation of the load when it is due, from the start of the scenario, until all have ended."""
        self.start()
        drive = self.drive(operation, skipped)
        async with self.alongside():
            await drive.run()
            self.phase = ScenarioPhase.DRAINING
            await drive.finish()

    @contextlib.asynccontextmanager
    async def alongside(
        self, *work: Coroutine[Any, Any, None], close: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[None]:
        """Run coroutines beside the body; `close` lets them end after it.

        The runner is asked to stop when one of them fails, or when an outage reaches its limit; that error is
        raised after the body. However the body ends, no operation of the drive is under way afterwards.
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
            # Where the body failed, the other operations still run. Their runs are to be recorded, and the clean-up
            # must not race with what they create. The drive has raised its failure in the body.
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
        """Make operations in flight end soon. Does nothing by default: they end by themselves."""

    async def _watch(self, tasks: Sequence[asyncio.Future[None]]) -> None:
        """Stop the runner when a task ends too early, or when an outage reaches its limit."""
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
        self.progress.on_cleanup(0, len(to_delete), self.clock.now())
        self.leftovers = await self.delete(
            to_delete,
            spared=frozenset(made.id for made in mine if made.kept),
            on_progress=lambda done, total: self.progress.on_cleanup(done, total, self.clock.now()),
        )

    async def delete(
        self,
        objects: Iterable[Made],
        *,
        spared: Collection[str] = (),
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> list[str]:
        """Delete objects, and write that to the journal; return a line for each that is left. See `clean_up`."""
        return await clean_up(
            objects,
            self.client.for_purpose(Purpose.CLEANUP),
            self.clock,
            patience_seconds=self.config.cleanup_timeout_seconds,
            spared=spared,
            on_gone=lambda made: self.journal.gone(made.kind, made.name) if self.journal else None,
            on_progress=on_progress,
        )
