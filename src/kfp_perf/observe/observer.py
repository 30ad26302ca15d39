"""Following runs to their end, many with few requests: one observer for each scenario.

A look at the server is a sweep over the list of runs in flight, which shows at once all that are not finished;
only what it no longer shows is asked for by id. Where that costs the server less, each run is asked for instead.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from kfp_perf.client.failures import shorten
from kfp_perf.client.messages import RunState
from kfp_perf.client.query import MAXIMUM_PAGE_SIZE, ListQuery, Operator, Predicate
from kfp_perf.errors import ApiAnswerError, ApiError, ApiStatusError
from kfp_perf.observe.clock_offset import ClockOffset
from kfp_perf.observe.components import Components
from kfp_perf.observe.durations import duration
from kfp_perf.observe.entries import settled
from kfp_perf.observe.pace import Pace
from kfp_perf.observe.phases import phases_of
from kfp_perf.observe.reading import read_run
from kfp_perf.observe.report import ObserverReport
from kfp_perf.observe.sweep import sweep
from kfp_perf.observe.waterfall import spans_of
from kfp_perf.observe.why import why
from kfp_perf.result.records import Outcome, RunRecord

if TYPE_CHECKING:
    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Run
    from kfp_perf.observe.reading import Reading
    from kfp_perf.pacing import Clock
    from kfp_perf.pipelines.shape import Dag

_log = logging.getLogger(__name__)

#: How long a run whose creation got no answer is looked for by its name.
ADOPTION_SECONDS = 60.0
#: How many single runs are asked for at a time.
PARALLEL_GETS = 16
_NAMES_PER_LOOKUP = 50
# How often a run is read again whose entries are behind its state.
_INCOMPLETE_READINGS = 2
_KNOWN_STATES = frozenset(RunState)
# Failures of one run's answer, as for a run too large for the server to write: they say nothing of the others.
_OWN_FAILURES = frozenset({400, 500, 501})


class _Watch:
    """A run that is being followed."""

    __slots__ = ("future", "incomplete", "record", "since")

    def __init__(self, record: RunRecord, future: asyncio.Future[RunRecord], since: float) -> None:
        self.record = record
        self.future = future
        self.since = since
        self.incomplete = 0


class Observer:
    """Follows runs until their final state is seen. Belongs to one event loop.

    Runs are looked for in `experiment_id`, or else in the `namespace`. `poll_seconds` is the pause between two
    looks; None: it follows the time that the server takes to answer. `last_success` is when the server last
    gave an answer (0.0: never). `shape` is that of the pipeline, if all runs are of one: it is what tells the
    phases of runs whose tasks run side by side. `tasks`: records of runs that ended get their tasks.
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
        tasks: bool = True,
    ) -> None:
        self.last_success = 0.0
        self.offset = ClockOffset()
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._experiment_id = experiment_id or ""
        self._pace = Pace(poll_seconds)
        self._report = ObserverReport()
        self._watches: dict[asyncio.Future[RunRecord], _Watch] = {}
        self._wake: asyncio.Future[bool] | None = None
        self._closed = False
        self._shape = shape
        self._components = Components()
        self._tasks = tasks
        self._idle = False

    def watch(self, record: RunRecord) -> asyncio.Future[RunRecord]:
        """Follow a run; the future gives the same record, filled in, when the run's end was seen.

        The record has its `run_id`; or only its unique name where its creation got no answer: then it is
        adopted when the server shows the name, or given back as unknown after a while. Cancel the future to
        stop following. It comes cancelled where the observer is closed already.
        """
        future: asyncio.Future[RunRecord] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.cancel()
            return future
        self._watches[future] = _Watch(record, future, self._clock.now())
        future.add_done_callback(self._forget)
        if record.run_id and record.created_at is not None and record.sent and not record.adopted:
            self.offset.bracket(record.created_at, record.sent, record.ended)
        self._rouse()
        return future

    def in_flight(self) -> int:
        """How many runs are being followed."""
        return len(self._watches)

    def report(self) -> ObserverReport:
        """What observing took until now."""
        report = self._report
        report.page_seconds, report.get_seconds = self._pace.page_seconds, self._pace.get_seconds
        report.clock_conflicts, report.components = self.offset.conflicts, self._components.totals
        ahead = self.offset.at(self._clock.now())
        if ahead is not None:
            report.offset_low_seconds, report.offset_high_seconds = ahead
        return report

    async def run(self) -> None:
        """Look, and look again, until closed. Failures of the target are ridden out."""
        while not self._closed:
            if not self._watches:
                await self._sleep(math.inf)
                continue
            pause = self._pace.pause()
            self._report.paused(pause)
            await self._sleep(self._clock.now() + pause)
            try:
                await self._look()
            except ApiError as error:
                self._report.failures += 1
                self._pace.failed()
                _log.debug("Looking at runs failed: %s", error)
            else:
                self._pace.looked()

    async def aclose(self) -> None:
        """Let `run` end, and cancel the futures of runs that are still followed."""
        self._closed = True
        for future in tuple(self._watches):
            future.cancel()
        self._rouse()

    # -- waiting ----------------------------------------------------------------------------------------------

    async def _sleep(self, until: float) -> None:
        """Wait. A new run ends only the wait without end, closing ends any."""
        self._wake = asyncio.get_running_loop().create_future()
        self._idle = until == math.inf
        try:
            await self._clock.sleep_until(until, None, self._wake)
        finally:
            self._wake = None

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done() and (self._idle or self._closed):
            self._wake.set_result(False)

    def _forget(self, future: asyncio.Future[RunRecord]) -> None:
        self._watches.pop(future, None)

    # -- looking ----------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Look once at every run that is followed."""
        if not self._watches:
            return
        self._report.ticks += 1
        nameless = [watch for watch in self._watches.values() if not watch.record.run_id]
        if nameless:
            await self._adopt(nameless)
        wanted = {watch.record.run_id: watch for watch in self._watches.values() if watch.record.run_id}
        if not wanted:
            return
        if self._pace.prefers_gets(len(wanted)):
            self._report.get_ticks += 1
            missing = wanted
        else:
            self._report.sweep_ticks += 1
            missing = await self._sweep(wanted)
        await self._ask_for(tuple(missing.values()))

    async def _sweep(self, wanted: dict[str, _Watch]) -> dict[str, _Watch]:
        """Look at the list of runs in flight; return those wanted that it does not show there."""
        missing = dict(wanted)
        created = [watch.record.created_at for watch in wanted.values()]
        try:
            async for sighting in sweep(
                self._client,
                self._clock,
                self._pace,
                self._report,
                wanted.keys(),
                namespace=self._namespace,
                experiment_id=self._experiment_id,
                created=created,
            ):
                self.last_success = sighting.came
                watch = missing.get(sighting.run.run_id)
                if watch is not None and not sighting.run.is_final:
                    del missing[sighting.run.run_id]
                    self._saw_unfinished(watch.record, sighting.run, sighting.asked, sighting.came)
        except (ApiStatusError, ApiAnswerError) as error:
            if not _is_its_own(error):
                raise
            # One run too large to be written spoils every page that holds it, for as long as it is in flight.
            self._pace.sweep_failed()
            self._report.odd(
                f"list_failed:{error.kind}", f"runs cannot be listed, so each is asked for: {error}"
            )
        return missing

    async def _ask_for(self, watches: tuple[_Watch, ...]) -> None:
        """Ask for runs by id, some at a time. Raises the `ApiError` that says the target itself fails."""
        queue = iter(watches)
        failures: list[ApiError] = []

        async def work() -> None:
            for watch in queue:
                if failures:
                    return
                try:
                    await self._ask(watch)
                except ApiError as error:
                    failures.append(error)

        await asyncio.gather(*(work() for _ in range(min(PARALLEL_GETS, len(watches)))))
        if failures:
            raise failures[0]

    async def _ask(self, watch: _Watch) -> None:
        record = watch.record
        asked = self._clock.now()
        self._report.gets += 1
        try:
            run = await self._client.get_run(record.run_id)
        except ApiError as error:
            if error.status == 404:
                self._vanished(watch, error)
                return
            if not _is_its_own(error):
                raise
            self._report.odd(f"get_failed:{error.kind}", f"the run {record.run_id} cannot be read: {error}")
            return
        came = self._clock.now()
        ended = run.is_final or self._ended_strangely(run)
        self._pace.get_took(came - asked, ended=ended)
        self.last_success = came
        if ended:
            self._saw_finished(watch, run, came)
        else:
            self._saw_unfinished(record, run, asked, came)

    async def _adopt(self, nameless: list[_Watch]) -> None:
        """Look for runs whose creation got no answer by their names, and give up on those long gone."""
        by_name = {watch.record.name: watch for watch in nameless}
        names = tuple(by_name)
        for start in range(0, len(names), _NAMES_PER_LOOKUP):
            query = ListQuery(
                namespace="" if self._experiment_id else self._namespace,
                experiment_id=self._experiment_id,
                page_size=MAXIMUM_PAGE_SIZE,
                filter=(Predicate("name", Operator.IN, names[start : start + _NAMES_PER_LOOKUP]),),
            )
            self._report.lookups += 1
            page = await self._client.list_runs(query)
            self.last_success = self._clock.now()
            for run in page.items:
                watch = by_name.pop(run.display_name, None)
                if watch is not None:
                    self._report.adopted += 1
                    watch.record.run_id, watch.record.adopted = run.run_id, True
                    watch.record.created_at = run.created_at
        for watch in by_name.values():
            if self._clock.now() - watch.since > ADOPTION_SECONDS:
                self._report.never_seen += 1
                watch.record.outcome = Outcome.LOST
                self._resolve(watch)

    # -- what was seen ----------------------------------------------------------------------------------------

    def _saw_unfinished(self, record: RunRecord, run: Run, asked: float, came: float) -> None:
        record.state = run.state
        record.running_at = record.running_at or _running_at(run)
        record.seen_unfinished = asked
        if run.state == RunState.RUNNING and record.seen_running is None:
            record.seen_running = came
        if run.state and run.state not in _KNOWN_STATES:
            self._report.odd(f"unknown_state:{run.state[:40]}", f"a run is in the state {run.state[:40]!r}")

    def _ended_strangely(self, run: Run) -> bool:
        """Whether a run has ended in a state that is not known here."""
        return bool(run.state) and run.state not in _KNOWN_STATES and run.finished_at is not None

    def _saw_finished(self, watch: _Watch, run: Run, came: float) -> None:
        record = watch.record
        record.seen_finished = record.seen_finished or came
        reading = read_run(run, self._shape)
        if not settled(reading.entries) and watch.incomplete < _INCOMPLETE_READINGS:
            watch.incomplete += 1
            return
        if record.seen_unfinished is not None:
            self._report.saw_end(record.seen_finished - record.seen_unfinished)
        record.state = run.state
        record.created_at, record.scheduled_at = run.created_at, run.scheduled_at
        record.finished_at = run.finished_at
        record.running_at = record.running_at or _running_at(run)
        record.outcome, record.error = self._outcome(run, reading)
        record.cached = reading.cached
        self._check_times(record)
        measured = duration(record, self.offset)
        if measured is not None:
            record.duration_seconds, record.duration_error_seconds = measured
        phases = phases_of(record, run, reading.path, self.offset)
        record.phases = {name: phase.value for name, phase in phases.items()}
        record.phase_errors = {name: phase.error for name, phase in phases.items()}
        if self._tasks and record.created_at is not None:
            record.tasks = spans_of(reading, record.created_at)
        self._components.add(reading)
        self._resolve(watch)

    def _outcome(self, run: Run, reading: Reading) -> tuple[Outcome, str]:
        """How a run that has ended came out, and what is wrong with it."""
        if run.state not in _KNOWN_STATES:
            state = run.state[:40]
            self._report.odd(f"unknown_state:{state}", f"a run ended in the state {state!r}")
            return Outcome.LOST, f"ended in a state that is not known: {state}"
        if run.state == RunState.SUCCEEDED:
            return Outcome.SUCCEEDED, ""
        return Outcome.FAILED, why(run.state, reading, shorten(self._client.redact(run.error_message)))

    def _check_times(self, record: RunRecord) -> None:
        """Count times that cannot be. They are kept as they are."""
        if record.created_at is None or record.finished_at is None:
            self._report.odd(
                "time_missing", "a run that has ended has no time of creation, or none of its end"
            )
            return
        if record.finished_at < record.created_at:
            self._report.odd("finished_before_created", "a run finished before it was created")
        ahead = self.offset.at(record.seen_finished or 0.0)
        if ahead is not None and record.finished_at > (record.seen_finished or 0.0) + ahead.high:
            self._report.odd("finished_in_the_future", "a run's end was seen before the time that it states")

    def _vanished(self, watch: _Watch, error: ApiError) -> None:
        self._report.vanished += 1
        watch.record.outcome = Outcome.LOST
        watch.record.error = f"vanished: {error.message}"
        self._resolve(watch)

    def _resolve(self, watch: _Watch) -> None:
        if not watch.future.done():
            watch.future.set_result(watch.record)
        # Its callback comes only in a later turn of the loop.
        self._forget(watch.future)


def _running_at(run: Run) -> float | None:
    """When the API server first got the report that a run is running; a fast one may never have been."""
    return next((change.updated_at for change in run.state_history if change.state == RunState.RUNNING), None)


def _is_its_own(error: ApiError) -> bool:
    """Whether a failure lies in what was asked for, and not in the target as a whole."""
    return isinstance(error, ApiAnswerError) or error.status in _OWN_FAILURES
