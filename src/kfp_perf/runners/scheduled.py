"""PIPELINE_SCHEDULED_RUN: schedules, the runs that they start, and how well those keep to the schedule."""

from __future__ import annotations

import asyncio
import itertools
from array import array
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from kfp_perf.client import ListQuery, Operator, Predicate
from kfp_perf.client.messages import RecurringRunSpec
from kfp_perf.client.protocol import MAXIMUM_PAGE_SIZE
from kfp_perf.errors import ApiError, RunnerError
from kfp_perf.metrics.summary import summary
from kfp_perf.observe import TrackedRun
from kfp_perf.pacing import StopSignal
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.result.journal import ObjectKind
from kfp_perf.result.records import Outcome, Purpose
from kfp_perf.runners import remarks
from kfp_perf.runners.experiment import ExperimentRunner
from kfp_perf.runners.reports import ScheduleReport
from kfp_perf.runners.schedule_slots import Timetable
from kfp_perf.scenario.cron import cron_for_kfp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from kfp_perf.client.messages import Page, RecurringRun, Run
    from kfp_perf.result.journal import Made
    from kfp_perf.result.records import Sample
    from kfp_perf.scenario.model import TestScenario

Item = TypeVar("Item")

LOOK_SECONDS = 5.0
"""How often new runs are polled for without `pollInterval`."""

LATE_SECONDS = 40.0
"""A run that starts later than this is late: the controller looks at a schedule every 30 s, and waits for 10 s."""

APPEARANCE_SECONDS = 45.0
"""How long after the end of a schedule its last run may appear in lists: at its first report."""

DECIDED_SECONDS = 60.0
"""A slot this shortly before the end of its schedule may have been cut off by that: it is not missed."""

_OUTLIVES_SECONDS = 3600.0
"""A schedule ends by itself this long after the test, even if kfp-perf was killed."""

_PARALLEL = 8
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_MOST_CONCURRENT = 10  # what KFP allows

# A run may appear long after its creation, since reports are repeated with growing pauses of up to six minutes.
# Most polls go back a little, some go back by all of that.
_SHORT_LOOK_BACK_SECONDS, _LONG_LOOK_BACK_SECONDS = 90.0, 600.0
_LOOKS_TO_A_LONG_ONE = 10
_MOST_PAGES = 500


@dataclass(slots=True, eq=False)
class Schedule:
    """One schedule that was created; `ended_at` is when it was disabled, on our clock."""

    name: str
    id: str
    timetable: Timetable
    ended_at: float | None = None


class ScheduledRunner(ExperimentRunner):
    """Creates schedules in a new experiment, follows the runs that they start, disables and deletes all of it."""

    def __init__(self, test_scenario: TestScenario, **given: Any) -> None:
        super().__init__(test_scenario, **given)
        self.report = ScheduleReport()
        self._schedules: dict[str, Schedule] = {}
        self._unanswered: set[str] = set()  # names of schedules whose creation has an unknown outcome
        self._failures_in_a_row = 0
        self._known: dict[str, float] = {}  # runs, and when they were created on the server's clock
        self._following: set[asyncio.Task[None]] = set()
        self._running = array("d")
        self._closing = StopSignal()
        self._resting = False
        self._over = False  # schedules have been disabled
        self._last_error = ""

    def owns(self, made: Made) -> bool:
        """Whether this runner made that object; runs of schedules have names of the server's choice."""
        return super().owns(made) or (bool(made.parent) and made.parent == self.experiment_id)

    @property
    def open_load(self) -> bool:
        """True: schedules are due independently of earlier runs."""
        return True

    @property
    def resting(self) -> bool:
        """Whether no run is in flight, and no slot waits for one."""
        return self._resting

    async def run(self) -> None:
        """Let schedules fire until `end_at`, then disable them and follow the runs in flight to their ends."""
        self.start()
        wanted = [f"{self.prefix}-{number}" for number in range(self.scenario.num_times)]
        try:
            async with self.alongside(self.observer.run(), self._look_for_runs(), close=self._close):
                await _in_parallel(self._create_schedule, wanted)
                await self.clock.sleep_until(self.end_at, self.stop_signal)
                self._over = True
                await _in_parallel(self._disable_schedule, self._schedules.values())
                self.phase = ScenarioPhase.DRAINING
                await self._drain(self._finish())
                self._record_missed()
        finally:
            await asyncio.gather(*self._following, return_exceptions=True)
        self._refuse_total_failure()

    def reports(self) -> dict[str, Any]:
        """Add the report of the schedules."""
        self.report.running_seconds = summary(self._running)
        return super().reports() | {"schedules": self.report}

    def remarks(self) -> Iterator[str]:
        """Add what schedules did not do."""
        yield from super().remarks()
        yield from remarks.of_schedules(self.report, len(self._unanswered))

    def _refuse_total_failure(self) -> None:
        super()._refuse_total_failure()
        if self.stop_signal.is_set() or self.progress.outcomes:
            return
        if not self._schedules:
            raise RunnerError(f"Not one of {self.scenario.num_times} schedules was made. {self._last_error}")
        count = len(self._schedules)
        raise RunnerError(
            f"{count} schedule{'s' * (count > 1)} started no run within {self.scenario.run_seconds:g} s. "
            "Let schedules fire more often, or make runTime longer."
        )

    async def _close(self) -> None:
        """Make the search for runs and the observation of them end."""
        self._closing.set()
        await self.observer.aclose()

    # -- schedules --------------------------------------------------------------------------------------------

    async def _create_schedule(self, name: str) -> None:
        """Create a schedule. After failures each waits a little, not to flood a server that refuses it."""
        if self.stop_signal.is_set() or self.clock.now() >= self.end_at:
            return
        samples: list[Sample] = []
        spec = RecurringRunSpec(
            name=name,
            experiment_id=self.experiment_id,
            pipeline_id=self.pipeline_id,
            pipeline_version_id=self.pipeline_version_id,
            parameters=self.scenario.params,
            cron=cron_for_kfp(self.scenario.cron) if self.scenario.cron is not None else "",
            interval_seconds=int(self.scenario.interval_seconds or 0),
            end_at=self._server_time(self.end_at) + _OUTLIVES_SECONDS,
            max_concurrency=_MOST_CONCURRENT,
        )
        try:
            with self.making(ObjectKind.RECURRING_RUN, name, parent=self.experiment_id) as made:
                recurring_run = await self.client.create_recurring_run(spec, on_sample=samples.append)
                made(recurring_run.recurring_run_id)
        except ApiError as error:
            self._last_error = str(error)
            if not error.outcome_unknown or (error.work_ended and not await self._may_exist_as(name)):
                self.report.refused += 1
            else:
                self._unanswered.add(name)
            self._failures_in_a_row += 1
            pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._failures_in_a_row, 10))
            await self.clock.sleep_until(self.clock.now() + pause, self.stop_signal)
        else:
            self._failures_in_a_row = 0
            if recurring_run.created_at is not None:
                self.observer.offset.bracket(recurring_run.created_at, samples[-1].sent, samples[-1].ended)
            self._was_created(name, recurring_run)

    def _was_created(self, name: str, recurring_run: RecurringRun) -> Schedule:
        created_at = recurring_run.created_at
        timetable = Timetable(
            self._server_time(None) if created_at is None else created_at,
            lasts_seconds=self.scenario.run_seconds + _OUTLIVES_SECONDS,
            cron=self.scenario.cron,
            interval_seconds=self.scenario.interval_seconds,
        )
        identity = recurring_run.recurring_run_id
        schedule = self._schedules[identity] = Schedule(name, identity, timetable)
        self.report.schedules += 1
        self._resting = not self._following
        return schedule

    async def _may_exist_as(self, name: str) -> bool:
        """Look a schedule up, once, after KFP itself answered its creation with an error; see `_may_exist`."""
        client = self.client.for_purpose(Purpose.OBSERVE)
        query = ListQuery(
            experiment_id=self.experiment_id,
            page_size=MAXIMUM_PAGE_SIZE,
            filter=(Predicate("display_name", Operator.EQUALS, name),),
        )
        try:
            page = await client.list_recurring_runs(query)
        except ApiError:
            return True
        if any(one.display_name == name for one in page.items):
            return True
        self.not_made(ObjectKind.RECURRING_RUN, name)
        return False

    async def _adopt(self) -> None:
        """Adopt schedules whose creation has an unknown outcome and that the server shows. Raises `ApiError`."""
        client = self.client.for_purpose(Purpose.OBSERVE)
        query = ListQuery(experiment_id=self.experiment_id, page_size=MAXIMUM_PAGE_SIZE)
        async for recurring_run in self._pages(client.list_recurring_runs, query):
            name = recurring_run.display_name
            if name in self._unanswered:
                self._unanswered.discard(name)
                if self.journal is not None:
                    self.journal.made(ObjectKind.RECURRING_RUN, name, recurring_run.recurring_run_id)
                schedule = self._was_created(name, recurring_run)
                if self._over:
                    await self._disable_schedule(schedule)

    async def _disable_schedule(self, schedule: Schedule) -> None:
        """Disable a schedule; where that fails, the clean-up deletes it."""
        schedule.ended_at = self.clock.now()
        if self.outage.away:
            return
        try:
            await self.client.disable_recurring_run(schedule.id)
        except ApiError as error:
            self.log.warning("Could not disable the schedule %s: %s", schedule.name, error)

    # -- runs -------------------------------------------------------------------------------------------------

    async def _look_for_runs(self) -> None:
        """Poll for new runs of the schedules until closed."""
        pause = self.scenario.poll_seconds or LOOK_SECONDS
        for look in itertools.count():
            if not await self.clock.sleep_until(self.clock.now() + pause, self._closing):
                return
            try:
                await self._look(long=look % _LOOKS_TO_A_LONG_ONE == 0)
            except ApiError as error:
                self.report.failures += 1
                self.log.debug("Looking for new runs failed: %s", error)

    async def _look(self, *, long: bool) -> None:
        """Poll for new runs once. Raises `ApiError`."""
        if self._unanswered and long:
            await self._adopt()
        client = self.client.for_purpose(Purpose.OBSERVE)
        back = _LONG_LOOK_BACK_SECONDS if long else _SHORT_LOOK_BACK_SECONDS
        since = self._server_time(None) - back
        query = ListQuery(
            experiment_id=self.experiment_id,
            page_size=MAXIMUM_PAGE_SIZE,
            filter=(Predicate("created_at", Operator.GREATER_THAN_EQUALS, since),),
        )
        async for run in self._pages(client.list_runs, query):
            schedule = self._schedules.get(run.recurring_run_id)
            if schedule is not None and run.run_id not in self._known:
                self._known[run.run_id] = run.created_at or self._server_time(None)
                self._found(run, schedule)
        if long:
            forgotten = since - _LONG_LOOK_BACK_SECONDS
            self._known = {run_id: at for run_id, at in self._known.items() if at >= forgotten}
        self._resting = bool(self._schedules) and not self._following and not self._waited_for()

    async def _pages(
        self, fetch: Callable[[ListQuery], Awaitable[Page[Item]]], query: ListQuery
    ) -> AsyncIterator[Item]:
        """Yield the items of all pages of a list. A list without end is left after many pages."""
        for _ in range(_MOST_PAGES):
            page = await fetch(query)
            self.report.pages += 1
            for item in page.items:
                yield item
            if not page.next_page_token or page.next_page_token == query.page_token:
                return
            query = query.next(page.next_page_token)

    def _found(self, run: Run, schedule: Schedule) -> None:
        """Journal a run that a schedule has started, and follow it."""
        place = schedule.timetable.place(run.scheduled_at, run.created_at)
        begin = place.slot if place.slot is not None else (run.created_at or self._server_time(None))
        tracked = self._tracked(run.display_name, schedule, begin)
        tracked.run_id, tracked.state = run.run_id, run.state
        tracked.created_at, tracked.scheduled_at = run.created_at, run.scheduled_at
        tracked.slot, tracked.doubled = place
        if place.slot is not None and run.created_at is not None:
            # The slot is exact; the creation lies within its whole second.
            tracked.drift_seconds, tracked.drift_error_seconds = run.created_at + 0.5 - place.slot, 0.5
        with self.making(ObjectKind.RUN, tracked.name, parent=self.experiment_id) as made:
            made(tracked.run_id)
        following = asyncio.ensure_future(self._follow(tracked))
        self._following.add(following)
        following.add_done_callback(self._followed_to_its_end)

    def _followed_to_its_end(self, following: asyncio.Task[None]) -> None:
        """Drop a run that has ended; a bug is kept, and raised when all runs are awaited."""
        if following.cancelled() or following.exception() is None:
            self._following.discard(following)

    async def _follow(self, tracked: TrackedRun) -> None:
        self.progress.in_flight += 1
        try:
            ended = await self._see_end(tracked)
        finally:
            self.progress.in_flight -= 1
        if tracked.slot is not None and not tracked.doubled:
            if tracked.drift_seconds is not None:
                self.report.late += tracked.drift_seconds > LATE_SECONDS
                self.report.on_time += tracked.drift_seconds <= LATE_SECONDS
            if tracked.running_at is not None:
                self._running.append(tracked.running_at + 0.5 - tracked.slot)
        self._settle(tracked, recorded=ended)

    # -- ending -----------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Wait for runs that have not appeared yet, and for the ends of all."""
        appeared = self.clock.now() + APPEARANCE_SECONDS
        while (
            not self._given_up
            and not self.stop_signal.is_set()
            and self.clock.now() < appeared
            and self._waited_for()
        ):
            await self.clock.sleep_until(self.clock.now() + 1.0, self.stop_signal)
        while self._following:
            await asyncio.gather(*self._following)

    def _waited_for(self) -> bool:
        return any(map(self._waiting, self._schedules.values()))

    def _waiting(self, schedule: Schedule) -> list[float]:
        """The slots of a schedule, until its end, that have no run."""
        return schedule.timetable.waiting(self._server_time(schedule.ended_at))

    def _record_missed(self) -> None:
        """Record the slots that got no run."""
        for schedule in self._schedules.values():
            decided = self._server_time(schedule.ended_at) - DECIDED_SECONDS
            for slot in self._waiting(schedule):
                if slot > decided:
                    self.report.undecided += 1
                    continue
                self.report.missed += 1
                moment = datetime.fromtimestamp(slot, UTC)
                tracked = self._tracked(f"{schedule.name}@{moment:%Y-%m-%dT%H:%M:%SZ}", schedule, slot)
                tracked.slot = slot
                tracked.outcome, tracked.error = Outcome.REFUSED, "the slot got no run"
                self._settle(tracked, recorded=False)

    def _tracked(self, name: str, schedule: Schedule, begin: float) -> TrackedRun:
        due = begin - self._ahead()
        return TrackedRun(
            scenario=self.name,
            name=name,
            due=due,
            warmup=due < self.measured_from,
            recurring_run_id=schedule.id,
        )

    def _ahead(self) -> float:
        """The offset of the server's clock from ours in seconds, as far as creations have shown it."""
        known = self.observer.offset.at(self.clock.now())
        return known.middle if known is not None else 0.0

    def _server_time(self, when: float | None) -> float:
        return (self.clock.now() if when is None else when) + self._ahead()


async def _in_parallel(do: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
    """Do something with each item, a few at a time."""
    queue = iter(tuple(items))

    async def work() -> None:
        for item in queue:
            await do(item)

    await asyncio.gather(*(work() for _ in range(_PARALLEL)))
