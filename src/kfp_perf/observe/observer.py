"""Follows many runs to their end with few requests: one observer for each scenario.

A poll is a sweep over the list of runs in flight, which shows at once all that have not ended; only those that it
no longer shows are read by id. Where that costs the server less, each run is read by id instead. Each part of a
poll may fail independently.
"""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING

from kfp_perf.client.failures import shorten
from kfp_perf.client.messages import RunState
from kfp_perf.errors import ApiError
from kfp_perf.observe.poll_policy import PollPolicy
from kfp_perf.observe.reads import DetailsReader, ParallelReads
from kfp_perf.observe.report import ObserverReport
from kfp_perf.observe.run_analysis import (
    KNOWN_STATES,
    NOT_ANALYSED,
    Components,
    RunAnalysis,
    analyse,
    fill_in,
    fill_in_tasks,
    running_at,
)
from kfp_perf.observe.sweep import NameLookup, is_of_the_request, sweep
from kfp_perf.observe.task_details import Completeness, Node, completeness, entries_of, read_nodes
from kfp_perf.observe.times import ClockOffset
from kfp_perf.result.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Run
    from kfp_perf.observe.tracked import TrackedRun
    from kfp_perf.pacing import Clock
    from kfp_perf.pipelines.shape import Dag
    from kfp_perf.result.records import RunRecord

_log = logging.getLogger(__name__)

#: A run of more nodes is analysed in a thread of its own: 1,200 nodes of a loop of 400 items take 0.1 to 0.4 s, in
#: which the event loop would send no requests.
LARGE_RUN_NODES = 200


class Observer:
    """Follows runs until their final state is seen. Belongs to one event loop.

    Runs are listed in `experiment_id`, or else in the `namespace`. `poll_seconds` is the pause between two polls;
    None: it follows the time that the server takes to answer. `shape` is that of the pipeline, if all runs have the
    same: it determines the phases of runs whose tasks run in parallel.

    `on_record` is called with the record of each run that has ended, vanished or was never found, when its tasks
    are complete or given up, which may be after `watch` reported its end. Without it no tasks are read.
    """

    def __init__(
        self,
        client: KfpClient,
        clock: Clock,
        *,
        namespace: str = "",
        experiment_id: str | None = None,
        poll_seconds: float | None = None,
        shape: Dag | None = None,
        on_record: Callable[[RunRecord], None] | None = None,
    ) -> None:
        self.offset = ClockOffset()
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._experiment_id = experiment_id or ""
        self._policy = PollPolicy(poll_seconds)
        self._report = ObserverReport()
        self._lookup = NameLookup(
            client, clock, self._report, namespace=namespace, experiment_id=self._experiment_id
        )
        self._looking_up: asyncio.Task[None] | None = None
        self._reads = ParallelReads(clock, self._read)
        self._details = DetailsReader(clock, self._reread, self._finish)
        self._analysing = asyncio.Semaphore(1)
        self._followed: dict[asyncio.Future[TrackedRun], TrackedRun] = {}
        self._wake: asyncio.Future[bool] | None = None
        self._closed = False
        self._idle = False
        self._shape = shape
        self._components = Components()
        self._on_record = on_record

    def watch(self, tracked: TrackedRun) -> asyncio.Future[TrackedRun]:
        """Follow a run; the future gives the same run when its end was first seen, before its tasks are complete.

        The run has its `run_id`; or only its unique name where its creation got no answer: then it is adopted when
        the server shows the name, or returned as unknown after a while. Cancel the future to stop following; then
        there is no record. The future is cancelled if the observer is closed already.
        """
        future: asyncio.Future[TrackedRun] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.cancel()
            return future
        self._followed[future] = tracked
        tracked.end, tracked.followed_since = future, self._clock.now()
        future.add_done_callback(self._forget)
        if tracked.run_id and tracked.created_at is not None and tracked.sent and not tracked.adopted:
            self.offset.bracket(tracked.created_at, tracked.sent, tracked.ended)
        self._rouse()
        return future

    def in_flight(self) -> int:
        """The number of runs that are followed."""
        return len(self._followed)

    def report(self) -> ObserverReport:
        """The observer's report so far."""
        report = self._report
        report.page_seconds, report.get_seconds = self._policy.page_seconds, self._policy.get_seconds
        report.clock_steps, report.components = self.offset.steps, self._components.totals
        ahead = self.offset.at(self._clock.now())
        if ahead is not None:
            report.offset_low_seconds, report.offset_high_seconds = ahead
        return report

    async def run(self) -> None:
        """Poll until closed. Failures of the target lengthen the pauses, and do not end it."""
        while not self._closed:
            if not self._followed:
                await self._sleep(math.inf)
                continue
            pause = self._policy.pause()
            self._report.add_pause(pause)
            await self._sleep(self._clock.now() + pause)
            if await self._look():
                self._policy.look_succeeded()
            else:
                self._policy.look_failed()

    async def aclose(self) -> None:
        """End `run`, cancel the futures of runs in flight, and write the records that wait for tasks.

        The tasks are read a last time; that takes no longer than `reads.CLOSING_SECONDS`.
        """
        self._closed = True
        for future in tuple(self._followed):
            future.cancel()
            self._forget(future)
        self._rouse()
        if self._looking_up is not None:
            self._looking_up.cancel()
            await asyncio.gather(self._looking_up, return_exceptions=True)
        await self._reads.aclose()
        await self._details.aclose()

    # -- waiting ----------------------------------------------------------------------------------------------

    async def _sleep(self, until: float) -> None:
        """Wait. A new run ends only a wait without end; closing ends any."""
        self._wake = asyncio.get_running_loop().create_future()
        self._idle = until == math.inf
        try:
            await self._clock.sleep_until(until, None, self._wake)
        finally:
            self._wake = None

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done() and (self._idle or self._closed):
            self._wake.set_result(False)

    def _forget(self, future: asyncio.Future[TrackedRun]) -> None:
        tracked = self._followed.pop(future, None)
        if tracked is not None:
            tracked.end = None

    # -- looking ----------------------------------------------------------------------------------------------

    async def _look(self) -> bool:
        """Poll every run that is followed once; return whether the server answered."""
        if not self._followed:
            return True
        self._report.ticks += 1
        self._look_up_names()
        wanted = {tracked.run_id: tracked for tracked in self._followed.values() if tracked.run_id}
        if not wanted:
            return True
        if self._policy.prefers_gets(len(wanted)):
            self._report.get_ticks += 1
            return await self._reads.each(wanted.values())
        self._report.sweep_ticks += 1
        missing = await self._sweep(wanted)
        if missing is None:
            return False
        return await self._reads.each(missing.values())

    def _look_up_names(self) -> None:
        """Start a search for runs by name, unless all have an id, or one is in progress."""
        if self._looking_up is not None and self._looking_up.done():
            self._looking_up.result()
            self._looking_up = None
        nameless = [tracked for tracked in self._followed.values() if not tracked.run_id]
        if nameless and self._looking_up is None:
            self._looking_up = asyncio.ensure_future(self._look_up(nameless))

    async def _look_up(self, nameless: list[TrackedRun]) -> None:
        for tracked in await self._lookup.look(nameless):
            self._never_found(tracked)

    async def _sweep(self, wanted: dict[str, TrackedRun]) -> dict[str, TrackedRun] | None:
        """List the runs in flight; return those wanted that are not among them. None: the server did not answer."""
        missing = dict(wanted)
        try:
            async for sighting in sweep(
                self._client,
                self._clock,
                self._policy,
                self._report,
                wanted.keys(),
                namespace=self._namespace,
                experiment_id=self._experiment_id,
                created=[tracked.created_at for tracked in wanted.values()],
            ):
                tracked = missing.get(sighting.run.run_id)
                if tracked is not None and not sighting.run.is_final:
                    del missing[sighting.run.run_id]
                    self._saw_unfinished(tracked, sighting.run, sighting.asked, sighting.answered)
        except ApiError as error:
            own = is_of_the_request(error)
            self._policy.sweep_failed(for_good=own)
            if not own:
                self._failed("Listing runs", error)
                return None
            # One run too large to be encoded makes every page that holds it fail, for as long as it is in flight.
            self._report.count_anomaly(
                f"list_failed:{error.kind}", f"runs cannot be listed, so each is read by itself: {error}"
            )
        return missing

    async def _read(self, tracked: TrackedRun) -> bool:
        """Read one run; return whether the server answered."""
        asked = self._clock.now()
        self._report.gets += 1
        try:
            run = await self._client.get_run(tracked.run_id)
        except ApiError as error:
            if error.says_gone:
                self._vanished(tracked, error)
            elif is_of_the_request(error):
                text = f"the run {tracked.run_id} cannot be read: {error}"
                self._report.count_anomaly(f"get_failed:{error.kind}", text)
            else:
                self._failed(f"Reading the run {tracked.run_id}", error)
                return False
            return True
        answered = self._clock.now()
        ended = run.is_final or (
            bool(run.state) and run.state not in KNOWN_STATES and run.finished_at is not None
        )
        self._policy.get_took(answered - asked, ended=ended)
        if not ended:
            self._saw_unfinished(tracked, run, asked, answered)
        else:
            self._saw_finished(tracked, run, answered)
        return True

    async def _reread(self, tracked: TrackedRun) -> Completeness | None:
        """Read a run again whose tasks were not complete."""
        self._report.rereadings += 1
        try:
            run = await self._client.get_run(tracked.run_id)
        except ApiError as error:
            _log.debug("Reading the tasks of the run %s failed: %s", tracked.run_id, error)
            return None if error.says_gone else Completeness.UNDER_WAY
        if not run.is_final:
            return Completeness.UNDER_WAY
        return await self._complete(tracked, run, read_nodes(run))

    # -- what was seen ----------------------------------------------------------------------------------------

    def _failed(self, doing: str, error: ApiError) -> None:
        self._report.failures += 1
        _log.debug("%s failed: %s", doing, error)

    def _saw_unfinished(self, tracked: TrackedRun, run: Run, asked: float, answered: float) -> None:
        if tracked.seen_unfinished is not None and asked < tracked.seen_unfinished:
            return  # a late answer: a later request was answered before
        tracked.state = run.state
        tracked.running_at = tracked.running_at or running_at(run)
        tracked.seen_unfinished = asked
        if run.state == RunState.RUNNING and tracked.seen_running is None:
            tracked.seen_running = answered
        if run.state and run.state not in KNOWN_STATES:
            state = run.state[:40]
            self._report.count_anomaly(f"unknown_state:{state}", f"a run is in the state {state!r}")

    def _saw_finished(self, tracked: TrackedRun, run: Run, answered: float) -> None:
        """Report the end at once, and write the record when the tasks are complete."""
        if not self._resolve(tracked):
            return
        tracked.seen_finished = answered
        if tracked.seen_unfinished is not None:
            self._report.add_end(answered - tracked.seen_unfinished)
        if run.state not in KNOWN_STATES:
            state = run.state[:40]
            self._report.count_anomaly(f"unknown_state:{state}", f"a run ended in the state {state!r}")
        nodes = [] if self._on_record is None else read_nodes(run)
        found = completeness(nodes)
        needed, large = _is_needed(run, found), len(nodes) > LARGE_RUN_NODES
        self._fill_in(tracked, run, self._analyse(nodes) if needed and not large else NOT_ANALYSED)
        if self._on_record is None or tracked.tasks_complete:
            self._finish(tracked)
            return
        self._report.tasks_late += found is not Completeness.COMPLETE
        self._details.add(
            tracked, found, partial(self._complete, tracked, run, nodes) if needed and large else None
        )

    async def _complete(self, tracked: TrackedRun, run: Run, nodes: list[Node]) -> Completeness:
        """Fill in what the tasks of a run that has ended show; return whether they are complete."""
        found = completeness(nodes)
        if not _is_needed(run, found):
            return found
        if len(nodes) <= LARGE_RUN_NODES:
            analysis = self._analyse(nodes)
        else:
            async with self._analysing:
                analysis = await asyncio.to_thread(self._analyse, nodes)
        self._fill_in(tracked, run, analysis)
        return found

    def _analyse(self, nodes: list[Node]) -> RunAnalysis:
        return analyse(entries_of(nodes, self._shape), self._shape)

    def _fill_in(self, tracked: TrackedRun, run: Run, analysis: RunAnalysis) -> None:
        """Fill in the fields of a run that has ended."""
        fill_in(tracked, run, analysis, self.offset, shorten(self._client.redact(run.error_message)))
        if analysis.complete:
            fill_in_tasks(tracked, analysis)
            if not tracked.warmup:
                self._components.add(analysis)

    def _never_found(self, tracked: TrackedRun) -> None:
        if self._resolve(tracked):
            self._report.never_seen += 1
            tracked.outcome = Outcome.LOST
            self._write(tracked)

    def _vanished(self, tracked: TrackedRun, error: ApiError) -> None:
        if self._resolve(tracked):
            self._report.vanished += 1
            tracked.outcome = Outcome.LOST
            tracked.error = f"vanished: {error.message}"
            self._write(tracked)

    def _finish(self, tracked: TrackedRun) -> None:
        """Count the anomalies of a run that has ended, and write its record."""
        if not tracked.tasks_complete and self._on_record is not None:
            self._report.incomplete += 1
        if tracked.created_at is None or tracked.finished_at is None:
            self._report.count_anomaly("time_missing", "a run that has ended has no creation time, or no end")
        if tracked.clock_conflict:
            self._report.clock_conflicts += 1
            text = f"the times of the run {tracked.run_id} contradict each other: {tracked.clock_conflict}"
            self._report.count_anomaly(tracked.clock_conflict, text)
        self._write(tracked)

    def _write(self, tracked: TrackedRun) -> None:
        if self._on_record is not None:
            self._on_record(tracked.record())

    def _resolve(self, tracked: TrackedRun) -> bool:
        """Stop following a run, and resolve its future; return False if it was no longer followed."""
        future = tracked.end
        if future is None or future.done():
            return False
        self._forget(future)
        future.set_result(tracked)
        return True


def _is_needed(run: Run, found: Completeness) -> bool:
    """Whether the analysis of nodes would show anything: incomplete ones show only which tasks failed."""
    return found is Completeness.COMPLETE or run.state != RunState.SUCCEEDED
