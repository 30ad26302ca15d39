"""One scenario from construction to clean-up, in the thread or process that an engine gives it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.engine.ending import Ending, text_of
from kfp_perf.engine.protocol import ScenarioResult
from kfp_perf.errors import GeneratorSaturated, RunnerError
from kfp_perf.log import correlation_id
from kfp_perf.metrics import METRICS, GuardedCollector, Recorder
from kfp_perf.pacing import RealClock, measure_lag
from kfp_perf.result.counters import ScenarioCounters, ScenarioPhase
from kfp_perf.result.files import JOURNAL_FILE
from kfp_perf.result.journal import Journal
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from kfp_perf.engine.protocol import Link, ScenarioWork
    from kfp_perf.runners import BaseRunner

log = logging.getLogger(__name__)

try:
    from uvloop import new_event_loop
except ImportError:  # uvloop has no build for this platform
    new_event_loop = asyncio.new_event_loop

#: A scenario that is later than this for its start time does not start: see `_refuse_late_start`.
LATEST_START_SECONDS = 5.0
#: How often measurements are written to the scenario's files.
FLUSH_SECONDS = 0.5


def run_scenario(work: ScenarioWork, link: Link) -> ScenarioResult:
    """Run one scenario, write its files, and return how it ended; never raises, so that no scenario ends another.

    All measurements, and the journal of what is created on the server, are written to the folder of `work`.
    """
    correlation_id.set(work.name)
    end = Ending()
    collectors: list[GuardedCollector] = []
    try:
        clock = RealClock(work.clock_anchor)
        collectors = [
            GuardedCollector(key, functools.partial(kind, work.name))
            for key, kind in work.plugins.collectors.items()
        ]
        writer = ScenarioWriter(work.folder, clock.now())
        journal = Journal(work.folder / JOURNAL_FILE, work.config.KFP_url)
        try:
            runner = work.plugins.create_runner(
                work.scenario,
                plugins=work.plugins.runners,
                config=work.config,
                clock=clock,
                journal=journal,
                recorder=Recorder(writer, collectors),
                stop=link.stop,
                package=work.package,
            )
            _RunningScenario(runner, writer, end, collectors).run(link)
        finally:
            writer.close()
            journal.close()
    except BaseException as error:  # noqa: BLE001  a constructor's failure is that runner's failure
        end.keep(work.name, error)
        _write_failure(work, end)
    return ScenarioResult(work.name, end.error, end.exit_code, end.picklable_failure(), tuple(collectors))


class _RunningScenario:
    """A runner with the files that its measurements are written to, and how it ends."""

    def __init__(
        self,
        runner: BaseRunner,
        writer: ScenarioWriter,
        end: Ending,
        collectors: list[GuardedCollector],
    ) -> None:
        self._runner = runner
        self._writer = writer
        self._end = end
        self._collectors = collectors

    def run(self, link: Link) -> None:
        """Call the runner's methods in order, from `prepare` to `stop`."""
        runner = self._runner
        link.watch(functools.partial(counters_of, runner))
        self._save_info()
        with asyncio.Runner(loop_factory=new_event_loop) as loop:
            self._run_in(loop, link)
        try:
            self._write_state()
        except BaseException as error:  # noqa: BLE001
            self._end.keep(runner.name, error)
        runner.phase = ScenarioPhase.ENDED
        self._save_info(ended=True)

    def _run_in(self, loop: asyncio.Runner, link: Link) -> None:
        runner, end = self._runner, self._end
        try:
            self._call(loop, runner.prepare)
            runner.phase = ScenarioPhase.WAITING
            runner.t0 = link.prepared()
            runner.calculate_timing()
            _refuse_late_start(runner)
            self._save_info()
            runner.start()
            end.started = runner.clock.now()
            self._save_info()
            returned = self._call(loop, runner.run, lambda: measure_lag(runner.clock, runner.lateness))
            end.custom |= _plain(returned or {})
        except BaseException as error:  # noqa: BLE001  one runner's failure must not stop another
            end.keep(runner.name, error)
        finally:
            end.finished = runner.clock.now()
            end.measured = True
            try:
                self._write_state()
                # The result must not hang on a clean-up that may take minutes, or be killed.
                self._save_info()
            except BaseException as error:  # noqa: BLE001  whatever a user's runner raises: `stop` comes always
                end.keep(runner.name, error)
            runner.phase = ScenarioPhase.CLEANING
            self._stop(loop)

    def _stop(self, loop: asyncio.Runner) -> None:
        name = self._runner.name
        try:
            self._call(loop, self._runner.stop)
        except BaseException as error:
            log.debug("%s: cleaning up failed", name, exc_info=error)
            self._end.cleanup_failed = True
            remedy = "Objects of this scenario may be left on the server; `kfp-perf cleanup` deletes them."
            failure = RunnerError(f"Cleaning up failed: {text_of(error)}\n    {remedy}")
            self._end.keep(name, failure)
        try:
            loop.run(self._runner.client.aclose())
        except BaseException as error:  # noqa: BLE001  a client of the user's own may raise anything
            self._end.keep(name, error)

    def _call(
        self,
        loop: asyncio.Runner,
        function: Callable[[], Any],
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> Any:
        """Call a method of the runner, a function or a coroutine function.

        While a coroutine runs, its measurements are written, and the coroutine that `beside` makes runs too.
        """
        returned = function()
        if not inspect.isawaitable(returned):
            return returned
        return loop.run(
            _with_others(returned, self._keep_flushing(), *([beside()] if beside is not None else []))
        )

    async def _keep_flushing(self) -> None:
        """Write the seconds that are over until cancelled; one operation at a time, not to delay the load."""
        clock = self._runner.clock
        while True:
            now = clock.now()
            await clock.sleep_until(now + FLUSH_SECONDS)
            for _ in self._writer.flush(clock.now()):
                await asyncio.sleep(0)
            if int(clock.now()) != int(now):
                self._write_counters()

    def _write_state(self) -> None:
        """Write the measurements so far."""
        for _ in self._writer.flush(self._runner.clock.now()):
            pass
        self._write_counters()

    def _write_counters(self) -> None:
        reports = {
            key: report for key, report in self._reports().items() if key in METRICS and report is not None
        }
        self._writer.state(counters_of(self._runner), reports)

    def _reports(self) -> dict[str, Any]:
        """The runner's reports; empty where that fails, which must not prevent its clean-up.

        Empty before it has started too: the objects that it would report on may not exist yet. While it runs they
        may still be incomplete, so that only a failure after `run` counts.
        """
        if not self._end.started:
            return {}
        try:
            return _plain(self._runner.reports())
        except BaseException as error:
            if self._end.measured:
                self._end.keep(self._runner.name, error)
            else:
                log.debug("%s: its reports failed while it runs", self._runner.name, exc_info=error)
            return {}

    def _remarks(self) -> list[str]:
        """The runner's remarks; none where it fails to make them."""
        try:
            return list(self._runner.remarks())
        except BaseException as error:  # noqa: BLE001  whatever a user's runner raises
            self._end.keep(self._runner.name, error)
            return []

    def _save_info(self, *, ended: bool = False) -> None:
        runner, end = self._runner, self._end
        warnings = list(runner.warnings)
        custom = dict(end.custom)
        if end.measured:
            if end.started:
                warnings = [*self._remarks(), *warnings]
                custom = {
                    key: report for key, report in self._reports().items() if key not in METRICS
                } | custom
            warnings += runner.outage.remarks(runner.start_at)
            if ended:  # computed once, after the last sample
                custom |= {one.name: one.result() for one in self._collectors}
            warnings += [
                f"The metrics collector {one.name} failed: {one.error}"
                for one in self._collectors
                if one.error
            ]
        self._writer.info(
            ScenarioInfo(
                name=runner.name,
                mode=runner.scenario.mode_name,
                start_at=runner.start_at,
                end_at=runner.end_at,
                measured_from=runner.measured_from,
                open_load=runner.open_load,
                started=end.started,
                finished=end.finished,
                stopped_at=_stopped_at(runner),
                warnings=tuple(end.warnings + warnings),
                leftovers=tuple(runner.leftovers),
                error=end.error,
                exit_code=end.exit_code,
                measured=end.measured,
                ended=ended,
                cleanup_failed=end.cleanup_failed,
                custom=custom,
            )
        )


async def _with_others(main: Awaitable[Any], *others: Coroutine[Any, Any, None]) -> Any:
    """Await `main`, and run the others until it has ended."""
    tasks = {asyncio.ensure_future(one) for one in others}
    try:
        return await main
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def counters_of(runner: BaseRunner) -> ScenarioCounters:
    """Return the runner's counters; any thread may call this."""
    return ScenarioCounters(scenario=runner.name, **runner.counters())


def _stopped_at(runner: BaseRunner) -> float:
    """When the runner was stopped, in seconds since the Unix epoch; 0.0 where it was not."""
    set_at = runner.stop_signal.set_at
    return 0.0 if set_at is None else runner.clock.now() - (time.monotonic() - set_at)


def _write_failure(work: ScenarioWork, end: Ending) -> None:
    """Write `scenario.json` of a scenario whose runner could not be made."""
    try:
        writer = ScenarioWriter(work.folder, 0.0)
    except OSError as error:
        log.error("%s: nothing can be written to %s: %s", work.name, work.folder, error.strerror)
        return
    writer.info(
        ScenarioInfo(
            name=work.name,
            mode=work.scenario.mode_name,
            error=end.error,
            exit_code=end.exit_code,
            measured=True,
            ended=True,
        )
    )
    writer.close()


_plain_decoder = msgspec.json.Decoder(dict[str, Any])


def _plain(returned: Any) -> dict[str, Any]:
    """The value that a runner returned as JSON will hold it; an invalid one fails here, not with the result."""
    return _plain_decoder.decode(msgspec.json.encode(returned, enc_hook=str))


def _refuse_late_start(runner: BaseRunner) -> None:
    """Raise where a scenario would start so late that all the operations due by then would start at once.

    The threads of a pool that is smaller than the number of scenarios are also held through grace periods and
    clean-ups, and how long those last is not known before.
    """
    late_seconds = runner.clock.now() - runner.start_at
    if late_seconds > LATEST_START_SECONDS and not runner.stop_signal.is_set():
        raise GeneratorSaturated(
            f"It could start only {late_seconds:.0f} s after its startTime: no thread was free for it before, so "
            "it did not start.\n    Leave KFP_PERF_POOL_SIZE out, or set it to a larger number."
        )
