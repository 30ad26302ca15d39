"""One scenario from construction to clean-up, in the thread or process that an engine gives it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import pickle
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.engine.protocol import ScenarioResult
from kfp_perf.errors import ExitCode, GeneratorSaturated, KfpPerfError, RunnerError
from kfp_perf.log import correlation_id
from kfp_perf.metrics import METRICS, GuardedCollector, Recorder
from kfp_perf.pacing import RealClock, measure_lag
from kfp_perf.result.counters import ScenarioCounters, ScenarioPhase
from kfp_perf.result.files import JOURNAL_FILE
from kfp_perf.result.journal import Journal
from kfp_perf.result.scenario_writer import ScenarioInfo, ScenarioWriter

if TYPE_CHECKING:
    from collections.abc import Callable

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


@dataclass(slots=True)
class _End:
    """How the scenario is about to end."""

    started: float = 0.0
    finished: float = 0.0
    error: str = ""
    exit_code: int = 0
    failure: Exception | None = None
    custom: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    measured: bool = False
    cleanup_failed: bool = False

    def keep(self, name: str, error: BaseException) -> None:
        """Keep the first error; another one becomes a warning.

        An error for the user is logged as one line, a bug with its traceback.
        """
        text = str(error) if isinstance(error, KfpPerfError) else _text_of(error)
        if text in {self.error, *self.warnings}:
            return
        if isinstance(error, KfpPerfError):
            log.error("%s: %s", name, error)
        else:
            log.error("%s failed", name, exc_info=error)
        if self.error:
            self.warnings.append(text)
            return
        self.error = text
        self.exit_code = int(error.exit_code if isinstance(error, KfpPerfError) else ExitCode.FAILED)
        # A plug-in's SystemExit or CancelledError is no Exception: raised again, it would end more than a scenario.
        self.failure = error if isinstance(error, Exception) else RunnerError(text)


def run_scenario(work: ScenarioWork, link: Link) -> ScenarioResult:
    """Run one scenario, write its files, and return how it ended; never raises, so that no scenario ends another.

    All measurements, and the journal of what is created on the server, are written to the folder of `work`.
    """
    correlation_id.set(work.name)
    end = _End()
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
            _live(runner, writer, link, end, collectors)
        finally:
            writer.close()
            journal.close()
    except BaseException as error:  # noqa: BLE001  a constructor's failure is that runner's failure
        end.keep(work.name, error)
        _write_failure(work, end)
    return ScenarioResult(work.name, end.error, end.exit_code, _picklable(end.failure), tuple(collectors))


def _live(
    runner: BaseRunner,
    writer: ScenarioWriter,
    link: Link,
    end: _End,
    collectors: list[GuardedCollector],
) -> None:
    """Call the runner's methods in order, from `prepare` to `stop`."""
    link.watch(functools.partial(counters_of, runner))
    save = functools.partial(_save_info, runner, writer, end, collectors)
    save()
    with asyncio.Runner(loop_factory=new_event_loop) as loop:
        try:
            _call(loop, runner, writer, end, runner.prepare)
            runner.phase = ScenarioPhase.WAITING
            runner.t0 = link.prepared()
            runner.calculate_timing()
            _refuse_late_start(runner)
            save()
            runner.start()
            end.started = runner.clock.now()
            save()
            returned = _call(loop, runner, writer, end, lambda: _feeling_lag(runner, runner.run()))
            end.custom |= _plain(returned or {})
        except BaseException as error:  # noqa: BLE001  one runner's failure must not stop another
            end.keep(runner.name, error)
        finally:
            end.finished = runner.clock.now()
            end.measured = True
            try:
                _write_state(runner, writer, end)
                # The result must not hang on a clean-up that may take minutes, or be killed.
                save()
            except BaseException as error:  # noqa: BLE001  whatever a user's runner raises: `stop` comes always
                end.keep(runner.name, error)
            runner.phase = ScenarioPhase.CLEANING
            _stop(loop, runner, writer, end)
    try:
        _write_state(runner, writer, end)
    except BaseException as error:  # noqa: BLE001
        end.keep(runner.name, error)
    runner.phase = ScenarioPhase.ENDED
    save(ended=True)


def counters_of(runner: BaseRunner) -> ScenarioCounters:
    """Return the runner's counters; any thread may call this."""
    return ScenarioCounters(scenario=runner.name, **runner.counters())


def _write_state(runner: BaseRunner, writer: ScenarioWriter, end: _End) -> None:
    """Write the measurements so far."""
    for _ in writer.flush(runner.clock.now()):
        pass
    writer.state(counters_of(runner), _built_in(_reports(runner, end)))


def _built_in(reports: dict[str, Any]) -> dict[str, Any]:
    return {key: report for key, report in reports.items() if key in METRICS and report is not None}


def _reports(runner: BaseRunner, end: _End) -> dict[str, Any]:
    """The runner's report; empty where that fails, which must not prevent its clean-up.

    Empty before it has started too: the objects that it would report on may not exist yet. While it runs they may
    still be incomplete, so that only a failure after `run` counts.
    """
    if not end.started:
        return {}
    try:
        return _plain(runner.reports())
    except BaseException as error:
        if end.measured:
            end.keep(runner.name, error)
        else:
            log.debug("%s: its reports failed while it runs", runner.name, exc_info=error)
        return {}


def _remarks(runner: BaseRunner, end: _End) -> list[str]:
    """The runner's remarks; none where it fails to make them."""
    try:
        return list(runner.remarks())
    except BaseException as error:  # noqa: BLE001  whatever a user's runner raises
        end.keep(runner.name, error)
        return []


def _save_info(
    runner: BaseRunner,
    writer: ScenarioWriter,
    end: _End,
    collectors: list[GuardedCollector],
    *,
    ended: bool = False,
) -> None:
    warnings = list(runner.warnings)
    custom = dict(end.custom)
    if end.measured:
        if end.started:
            warnings = [*_remarks(runner, end), *warnings]
            custom = {
                key: report for key, report in _reports(runner, end).items() if key not in METRICS
            } | custom
        warnings += runner.outage.remarks(runner.start_at)
        if ended:  # asked once, after the last sample
            custom |= {one.name: one.result() for one in collectors}
        warnings += [
            f"The metrics collector {one.name} failed: {one.error}" for one in collectors if one.error
        ]
    writer.info(
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


def _stopped_at(runner: BaseRunner) -> float:
    """When the runner was stopped, in seconds since the Unix epoch; 0.0 where it was not."""
    set_at = runner.stop_signal.set_at
    return 0.0 if set_at is None else runner.clock.now() - (time.monotonic() - set_at)


def _write_failure(work: ScenarioWork, end: _End) -> None:
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


def _call(
    loop: asyncio.Runner,
    runner: BaseRunner,
    writer: ScenarioWriter,
    end: _End,
    function: Callable[[], Any],
) -> Any:
    """Call a method of the runner, a function or a coroutine function; flush files while a coroutine runs."""
    returned = function()
    if not inspect.isawaitable(returned):
        return returned

    async def finish() -> Any:
        flushing = asyncio.ensure_future(_keep_flushing(runner, writer, end))
        try:
            return await returned
        finally:
            flushing.cancel()
            await asyncio.wait({flushing})

    return loop.run(finish())


async def _keep_flushing(runner: BaseRunner, writer: ScenarioWriter, end: _End) -> None:
    """Write the seconds that are over until cancelled, an operation at a time, so that the load is not delayed."""
    while True:
        now = runner.clock.now()
        await runner.clock.sleep_until(now + FLUSH_SECONDS)
        for _ in writer.flush(runner.clock.now()):
            await asyncio.sleep(0)
        if int(runner.clock.now()) != int(now):
            writer.state(counters_of(runner), _built_in(_reports(runner, end)))


_plain_decoder = msgspec.json.Decoder(dict[str, Any])


def _plain(returned: Any) -> dict[str, Any]:
    """The value that a runner returned as JSON will hold it; an invalid one fails here, not with the result."""
    return _plain_decoder.decode(msgspec.json.encode(returned, enc_hook=str))


def _feeling_lag(runner: BaseRunner, returned: Any) -> Any:
    """Measure how late the event loop is while a coroutine runs in it."""
    if not inspect.isawaitable(returned):
        return returned

    async def both() -> Any:
        feeling = asyncio.ensure_future(measure_lag(runner.clock, runner.lateness))
        try:
            return await returned
        finally:
            feeling.cancel()
            await asyncio.wait({feeling})

    return both()


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


def _stop(loop: asyncio.Runner, runner: BaseRunner, writer: ScenarioWriter, end: _End) -> None:
    try:
        _call(loop, runner, writer, end, runner.stop)
    except BaseException as error:
        log.debug("%s: cleaning up failed", runner.name, exc_info=error)
        end.cleanup_failed = True
        text = str(error) if isinstance(error, KfpPerfError) else _text_of(error)
        remedy = "Objects of this scenario may be left on the server; `kfp-perf cleanup` deletes them."
        end.keep(runner.name, RunnerError(f"Cleaning up failed: {text}\n    {remedy}"))
    try:
        loop.run(runner.client.aclose())
    except BaseException as error:  # noqa: BLE001  a client of the user's own may raise anything
        end.keep(runner.name, error)


def _text_of(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _picklable(failure: Exception | None) -> Exception | None:
    """The exception, or one of our own with its text where it cannot cross to another process."""
    if failure is None:
        return None
    try:
        pickle.loads(pickle.dumps(failure))  # noqa: S301  our own exception
    except Exception:  # noqa: BLE001  whatever a user's exception does
        return RunnerError(_text_of(failure))
    return failure
