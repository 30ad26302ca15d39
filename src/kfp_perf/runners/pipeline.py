"""PIPELINE_RUN: runs of one pipeline in the default experiment, each followed to its end."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Any

from kfp_perf.client import ListQuery
from kfp_perf.client.messages import RunSpec
from kfp_perf.errors import ApiError, RunnerError
from kfp_perf.observe import Observer, TrackedRun, shape_of
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.result.journal import ObjectKind
from kfp_perf.result.records import CallOutcome, Outcome, Purpose, Sample
from kfp_perf.runners import remarks
from kfp_perf.runners.early_deletion import EarlyDeletion, may_delete_early
from kfp_perf.runners.journaled import JournaledRunner
from kfp_perf.runners.repeated import RepeatedWarnings

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from kfp_perf.client import KfpClient
    from kfp_perf.observe import Dag
    from kfp_perf.pacing import Drive, LoadOperation
    from kfp_perf.result.records import RunRecord
    from kfp_perf.scenario.model import TestScenario

_SHORTEST_DEFAULT_GRACE_SECONDS = 120.0
_LOOK_AT_GRACE_SECONDS = 1.0
#: How long a run of unknown outcome keeps its slot: the server shows runs as soon as they are created.
_LOST_HOLDS_SLOT_SECONDS = 5.0
#: How many runs are terminated at a time: each such call costs the API server a throttled call to Kubernetes.
_PARALLEL_TERMINATIONS = 8
#: KFP's error text for the termination of a run that has already ended.
_NOT_IN_FLIGHT = "Row not found"
#: How many runs that are followed no longer are remembered, so that waiting for one does not record it again.
_MOST_ENDED = 1000


class PipelineRunner(JournaledRunner):
    """Keeps runs of a pipeline coming by the scenario's load, follows each to its end, and deletes them."""

    experiment_id: str = ""
    pipeline_id: str = ""
    pipeline_version_id: str = ""
    #: Whether runs that have ended are deleted while the last ones are followed to their end.
    deletes_early: bool = False
    _early: EarlyDeletion | None = None

    def __init__(self, test_scenario: TestScenario, **given: Any) -> None:
        super().__init__(test_scenario, **given)
        self._followed: dict[TrackedRun, asyncio.Future[TrackedRun]] = {}
        self._ended: dict[str, TrackedRun] = {}  # the last runs that are followed no longer, by id
        self._lost: set[asyncio.Future[None]] = set()
        self._given_up = False
        self._given_up_at = math.inf
        self._not_terminated = RepeatedWarnings(self.log)
        self._terminations = asyncio.Semaphore(_PARALLEL_TERMINATIONS)

    async def prepare(self) -> None:
        """Upload the pipeline under a unique name, find or create the experiment, create the rows of `prefill`."""
        client = self.client.for_purpose(Purpose.SETUP)
        self.pipeline_id, self.pipeline_version_id, shape = await self._upload(client)
        self.experiment_id = await self.provide_experiment(client)
        self.observer = Observer(
            self.client.for_purpose(Purpose.OBSERVE),
            self.clock,
            namespace=self.namespace,
            experiment_id=self.experiment_id,
            poll_seconds=self.scenario.poll_seconds,
            shape=shape,
            on_record=self.write_run,
        )
        await super().prepare()

    async def provide_experiment(self, client: KfpClient) -> str:
        """Return the id of the experiment of the runs: the namespace's `Default`, which is created if missing.

        Other scenarios and other clients may create it at the same time.
        """
        name, namespace = "Default", self.namespace
        found = await client.find_experiment(name, namespace=namespace)
        if found is None:
            # It belongs to the namespace from now on, as the server's own would, so it is not deleted.
            found = await self.create_or_adopt(
                lambda: client.create_experiment(name, namespace=namespace),
                lambda: client.find_experiment(name, namespace=namespace),
            )
        return found.experiment_id

    async def run(self) -> None:
        """Start runs until `end_at`, follow those in flight through the grace period, then terminate them."""
        self.start()
        operation: LoadOperation = self.run_once
        if self.deletes_early and self.journal is not None and may_delete_early(self.scenario, self.config):
            self._early = EarlyDeletion(self.delete, lambda: self.progress.in_flight, self.measured_from)
            operation = self._early.enclosing(self.run_once, self.prefix)
        drive = self.drive(operation, self.skip)
        try:
            async with self.alongside(self.observer.run(), close=self.observer.aclose):
                await drive.run()
                self.phase = ScenarioPhase.DRAINING
                async with self._early.alongside(drive.due()) if self._early else contextlib.nullcontext():
                    await self._drain(self._finish_all(drive))
        finally:
            await asyncio.gather(*self._lost, return_exceptions=True)
            self._not_terminated.summarize()
        self._refuse_total_failure()

    async def _finish_all(self, drive: Drive) -> None:
        """Wait for all operations, and for the search for lost runs."""
        await drive.finish()
        while self._lost:
            await asyncio.wait(self._lost)

    def reports(self) -> dict[str, Any]:
        """Add the observer's report."""
        return super().reports() | {"observer": self.observer.report()}

    def remarks(self) -> Iterator[str]:
        """Add what the server did not show of runs."""
        yield from super().remarks()
        yield from remarks.of_observation(self.observer.report())

    def write_run(self, record: RunRecord) -> None:
        """Record a run that was counted already; it may be deleted if its end was seen."""
        super().write_run(record)
        if self._early is not None:
            self._early.recorded(
                record, experiment_id=self.experiment_id, keep_failed=self.config.keep == "failed"
            )

    async def run_once(self, index: int, due: float) -> bool:
        """Create one run and follow it to its end. Return whether the server created it."""
        tracked = TrackedRun(
            scenario=self.name, name=f"{self.prefix}-{index}", due=due, warmup=due < self.measured_from
        )
        self.progress.in_flight += 1
        try:
            await self._create(tracked)
            following = asyncio.ensure_future(self._see_through(tracked))
            if tracked.outcome is Outcome.LOST and not await self._shows_up(tracked, following):
                self._lost.add(following)
                following.add_done_callback(self._lost.discard)
                return False
            await following
        finally:
            self.progress.in_flight -= 1
        return tracked.created

    def skip(self, index: int, due: float) -> None:
        """Record a run that was due and never started."""
        self.record_sample(Sample("CreateRun", due, self.end_at, outcome=CallOutcome.NEVER_STARTED))
        tracked = TrackedRun(
            scenario=self.name, name=f"{self.prefix}-{index}", due=due, warmup=due < self.measured_from
        )
        tracked.outcome = Outcome.NEVER_STARTED
        tracked.error = "maxInFlight held it back until the end of the load"
        self.record_run(tracked.record())

    async def _see_through(self, tracked: TrackedRun) -> None:
        """Follow a run that may have been created, and record its end."""
        ended = tracked.outcome is not Outcome.REFUSED and await self._see_end(tracked)
        self._settle(tracked, recorded=ended)

    async def _shows_up(self, tracked: TrackedRun, following: asyncio.Future[None]) -> bool:
        """Wait shortly for a run whose creation got no answer. The search for it continues, but frees the slot."""
        pausing = asyncio.ensure_future(
            self.clock.sleep_until(self.clock.now() + _LOST_HOLDS_SLOT_SECONDS, self.stop_signal)
        )
        either: set[asyncio.Future[Any]] = {following, pausing}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        pausing.cancel()
        return following.done() or tracked.created

    async def wait_for_run_to_finish(self, run_id: str) -> RunRecord:
        """Follow a run until its end is seen, or until the runner gives up; return its record.

        For subclasses: the run is one that this runner follows already or has just followed (the last
        `_MOST_ENDED`), or one that the subclass has created. Such a run is recorded as a run of the scenario, due
        at the time of the call; it is terminated and counts as unfinished if the runner gives up.
        """
        if run_id in self._ended:
            return self._ended[run_id].record()
        for followed, seen in self._followed.items():
            if followed.run_id == run_id:
                await asyncio.wait({seen})
                return followed.record()
        now = self.clock.now()
        tracked = TrackedRun(
            scenario=self.name, name=run_id, due=now, run_id=run_id, warmup=now < self.measured_from
        )
        self.progress.in_flight += 1
        try:
            ended = await self._see_end(tracked)
        finally:
            self.progress.in_flight -= 1
        self._settle(tracked, recorded=ended)
        return tracked.record()

    async def _see_end(self, tracked: TrackedRun) -> bool:
        """Follow a run until its end is seen, or until the runner gives up; return whether its end was seen.

        If so, the observer writes its record when its tasks are complete. A run whose creation got no answer is
        looked for by its name. A run that is still in flight in the end is terminated, and counts as unfinished.
        """
        if not self._given_up:
            seen = self._followed[tracked] = self.observer.watch(tracked)
            try:
                await seen
            except asyncio.CancelledError:
                if not self._given_up:
                    raise
            else:
                self._remember(tracked)
                return True
            finally:
                del self._followed[tracked]
        if self.stop_signal.is_set():
            tracked.outcome = Outcome.CUT_OFF
        elif tracked.run_id:
            tracked.outcome = Outcome.UNFINISHED
        if tracked.run_id:
            self._remember(tracked)
            await self._terminate(tracked)
        return False

    def _remember(self, tracked: TrackedRun) -> None:
        """Remember a run that is followed no longer, so that it is not recorded twice."""
        if not tracked.run_id:
            return
        self._ended[tracked.run_id] = tracked
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    # -- creating ---------------------------------------------------------------------------------------------

    async def _upload(self, client: KfpClient) -> tuple[str, str, Dag]:
        package = self.pipeline()
        content = package.content(self.scenario.caching(self.config.CACHE_ENABLED))
        pipeline = await self.create_pipeline(client, self.prefix, content)
        newest = ListQuery(page_size=1, sort_by="created_at desc")
        versions = await client.list_pipeline_versions(pipeline.pipeline_id, newest)
        if not versions.items:
            raise RunnerError(
                f"The pipeline {self.prefix} was uploaded, but the server shows no version of it."
            )
        return pipeline.pipeline_id, versions.items[0].pipeline_version_id, shape_of(package.spec)

    async def _create(self, tracked: TrackedRun) -> None:
        spec = RunSpec(
            name=tracked.name,
            experiment_id=self.experiment_id,
            pipeline_id=self.pipeline_id,
            pipeline_version_id=self.pipeline_version_id,
            parameters=self.scenario.params,
        )

        def sent(sample: Sample) -> None:
            tracked.sent, tracked.ended, tracked.attempts = sample.sent, sample.ended, len(sample.attempts)

        try:
            with self.making(ObjectKind.RUN, tracked.name, parent=self.experiment_id) as made:
                run = await self.client.create_run(spec, due=tracked.due, on_sample=sent)
                made(run.run_id)
        except ApiError as error:
            tracked.error = str(error)
            if not error.outcome_unknown or (error.work_ended and not await self._may_exist(tracked)):
                tracked.outcome = Outcome.REFUSED
        else:
            tracked.run_id = run.run_id
            tracked.created_at = run.created_at
            tracked.scheduled_at = run.scheduled_at
            tracked.state = run.state

    async def _may_exist(self, tracked: TrackedRun) -> bool:
        """Look a run up by its name, once, after KFP itself answered its creation with an error.

        KFP answers many requests that it refuses with 500, so the status alone proves nothing. A run that is found
        is adopted. Where the look-up fails, the run may exist, and the observer looks for it.
        """
        client = self.client.for_purpose(Purpose.OBSERVE)
        try:
            run = await client.find_run(tracked.name, experiment_id=self.experiment_id)
        except ApiError:
            return True
        if run is None:
            self.not_made(ObjectKind.RUN, tracked.name)
            return False
        tracked.run_id, tracked.created_at, tracked.adopted = run.run_id, run.created_at, True
        return True

    def _settle(self, tracked: TrackedRun, *, recorded: bool) -> None:
        """Count a run's end and write it to the journal, and to the result too unless that is `recorded`."""
        if self.journal is not None:
            if tracked.adopted:
                self.journal.made(ObjectKind.RUN, tracked.name, tracked.run_id)
            if tracked.outcome is Outcome.FAILED and self.config.keep == "failed":
                self._keep(tracked.name)
        if recorded:
            self.progress.on_run(tracked.record(), self.clock.now())
        else:
            self.record_run(tracked.record())

    def _keep(self, name: str) -> None:
        """Keep a run, with the experiment and the pipeline that are needed to examine it."""
        if self.journal is not None:
            self.journal.keep(ObjectKind.RUN, name)
            self.journal.keep(ObjectKind.EXPERIMENT, self.prefix)
            self.journal.keep(ObjectKind.PIPELINE, self.prefix)

    # -- ending -----------------------------------------------------------------------------------------------

    async def _drain(self, under_way: Coroutine[Any, Any, None]) -> None:
        """Wait for runs in flight during the grace period, then give up on the rest."""
        finishing = asyncio.ensure_future(under_way)
        while not finishing.done() and not self.stop_signal.is_set():
            now, until = self.clock.now(), self.end_at + self._grace_seconds()
            if now >= until:
                break
            # Checked repeatedly, because the grace period grows with the longest run.
            pause = self.clock.sleep_until(min(until, now + _LOOK_AT_GRACE_SECONDS), self.stop_signal)
            pausing = asyncio.ensure_future(pause)
            await asyncio.wait({finishing, pausing}, return_when=asyncio.FIRST_COMPLETED)
            pausing.cancel()
        self.give_up()
        await finishing

    def give_up(self) -> None:
        """Follow no run any longer: those in flight are terminated, and count as unfinished."""
        if not self._given_up:
            self._given_up = True
            self._given_up_at = self.clock.now()
        for seen in tuple(self._followed.values()):
            seen.cancel()

    def _grace_seconds(self) -> float:
        given = self.scenario.grace_seconds
        if given is not None:
            return given
        return max(_SHORTEST_DEFAULT_GRACE_SECONDS, 2 * self.progress.longest_run_seconds)

    async def _terminate(self, tracked: TrackedRun) -> None:
        """Terminate a run that stays on the server, unless the target is away.

        A run that the clean-up deletes is stopped by that; a call to terminate it would double the time needed.
        """
        if self.journal is not None and self.config.keep != "all":
            return
        patience = self._given_up_at + self.config.cleanup_timeout_seconds - self.clock.now()
        try:
            async with asyncio.timeout(patience), self._terminations:
                if not self.outage.away:
                    await self.client.for_purpose(Purpose.CLEANUP).terminate_run(tracked.run_id)
        except (ApiError, TimeoutError) as error:
            if _NOT_IN_FLIGHT not in str(error):
                self._not_terminated.add("terminate a run", f"{tracked.name}: {str(error) or 'no time left'}")

    def waiting(self) -> tuple[str, float | None]:
        """While runs are in flight after the load: these, until the end of the grace period."""
        if self.phase is ScenarioPhase.DRAINING and self.progress.in_flight:
            if self._given_up:
                return f"{self.progress.in_flight:,} runs to be terminated", None
            return (
                f"{self.progress.in_flight:,} {'run' if self.progress.in_flight == 1 else 'runs'} in flight",
                self.end_at + self._grace_seconds(),
            )
        return super().waiting()

    def _refuse_total_failure(self) -> None:
        outcomes = self.progress.outcomes
        tried = sum(outcomes.values())
        if tried and not outcomes[Outcome.SUCCEEDED.value] and not self.stop_signal.is_set():
            counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
            last = f" The last error: {self.progress.last_error}" if self.progress.last_error else ""
            raise RunnerError(f"Not one of {tried} runs succeeded ({counts}).{last}")
