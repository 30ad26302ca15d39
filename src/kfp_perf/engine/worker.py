"""One scenario from construction to clean-up, in the thread or process that an engine gives it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_perf.engine.plugins import Plugins
from kfp_perf.errors import ExitCode, GeneratorSaturated, KfpPerfError, RunnerError
from kfp_perf.log import correlation_id
from kfp_perf.metrics import GuardedCollector, built_in_collector
from kfp_perf.pacing import feel_lag
from kfp_perf.result.records import ScenarioResult
from kfp_perf.result.series import Series
from kfp_perf.runners import Phase, create_runner

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.config import TestConfig
    from kfp_perf.engine.gate import StartGate
    from kfp_perf.result.journal import Journal
    from kfp_perf.result.records import RunRecord
    from kfp_perf.result.series import SeriesFile
    from kfp_perf.runners import BaseRunner
    from kfp_perf.scenario.model import TestScenario

log = logging.getLogger(__name__)

try:
    from uvloop import new_event_loop
except ImportError:  # uvloop has no build for this platform
    new_event_loop = asyncio.new_event_loop

LATEST_START_SECONDS = 5.0
"""A scenario that can only start this much after its start time does not start: see `_refuse_late_start`."""


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """What a scenario shares with its test, where both live in one process.

    `announce` is told the runner as soon as it exists, so that it can be asked to stop, and watched.
    """

    journal: Journal | None = None
    series: SeriesFile | None = None
    gate: StartGate | None = None
    plugins: Plugins = field(default_factory=Plugins)
    on_run: Callable[[RunRecord], None] | None = None
    announce: Callable[[BaseRunner], None] = lambda _runner: None


def run_scenario(
    scenario: TestScenario, config: TestConfig, t0: float, context: ScenarioContext | None = None
) -> ScenarioResult:
    """Run one scenario and return what it did; never raises, so that no scenario takes another with it.

    `t0` is the test's time zero in seconds since the Unix epoch; where the context has a gate, the gate sets it
    when all scenarios are prepared. Without a context everything given can be pickled, and so can the result; there
    is no journal then, so nothing is deleted, and `leftovers` of the result lists what stays on the server.
    """
    context = context or ScenarioContext()
    name = scenario.name or scenario.mode_name.lower()
    correlation_id.set(name)
    result = ScenarioResult(name=name, mode=scenario.mode_name)
    arrived = False
    try:
        custom = _custom_collectors(context.plugins, name)
        runner = create_runner(
            scenario,
            plugins=context.plugins.runners,
            config=config,
            t0=t0,
            journal=context.journal,
            collector=built_in_collector(name, Series(name, context.series) if context.series else None),
            custom_collectors=custom,
            on_run=context.on_run,
        )
        context.announce(runner)
        with asyncio.Runner(loop_factory=new_event_loop) as loop:
            try:
                _call(loop, runner.prepare)
                if context.gate is not None:
                    arrived = True
                    runner.phase = Phase.WAITING
                    context.gate.arrive()
                    runner.t0 = context.gate.wait()
                    runner.calculate_timing()
                    _refuse_late_start(runner)
                runner.start()
                result.started = runner.clock.now()
                result.metrics.update(_plain(_call(loop, lambda: _feeling_lag(runner, runner.run())) or {}))
            except BaseException as error:  # noqa: BLE001  one runner's failure must not stop another
                _note(result, error)
            finally:
                result.finished = runner.clock.now()
                result.collector = runner.collector
                _stop(loop, runner, result)
        runner.collector.close()
        if result.started:
            result.metrics = _plain(runner.reports()) | result.metrics
            result.warnings += runner.remarks()
        result.warnings += runner.warnings
        result.warnings += runner.outage.remarks(runner.start_at)
        result.metrics.update({collector.name: collector.metrics() for collector in custom})
        result.warnings += [
            f"The metrics collector {one.name} failed: {one.error}" for one in custom if one.error
        ]
    except BaseException as error:  # noqa: BLE001  a constructor's failure is that runner's failure
        _note(result, error)
    finally:
        if context.gate is not None and not arrived:
            context.gate.arrive()
    return result


def _custom_collectors(plugins: Plugins, scenario_name: str) -> list[GuardedCollector]:
    return [
        GuardedCollector(key, functools.partial(kind, scenario_name))
        for key, kind in plugins.collectors.items()
    ]


def _call(loop: asyncio.Runner, function: Callable[[], Any]) -> Any:
    """Call a step of the runner's life, which may be a function or a coroutine function."""
    returned = function()
    if not inspect.isawaitable(returned):
        return returned

    async def finish() -> Any:
        return await returned

    return loop.run(finish())


_plain_decoder = msgspec.json.Decoder(dict[str, Any])


def _plain(returned: Any) -> dict[str, Any]:
    """What `run()` returned, as JSON will hold it: what it cannot hold fails here, not with the whole result."""
    return _plain_decoder.decode(msgspec.json.encode(returned, enc_hook=str))


def _feeling_lag(runner: BaseRunner, returned: Any) -> Any:
    """Note how late the event loop is while a coroutine runs in it."""
    if not inspect.isawaitable(returned):
        return returned

    async def both() -> Any:
        feeling = asyncio.ensure_future(feel_lag(runner.clock, runner.punctuality))
        try:
            return await returned
        finally:
            feeling.cancel()
            await asyncio.wait({feeling})

    return both()


def _refuse_late_start(runner: BaseRunner) -> None:
    """Raise where a scenario would start so late that all which is due by then would come at once.

    The threads of a pool that is smaller than the number of scenarios are also held through grace periods and
    clean-ups, and how long those last is not known before.
    """
    late_seconds = runner.clock.now() - runner.start_at
    if late_seconds > LATEST_START_SECONDS and not runner.stop_signal.is_set():
        raise GeneratorSaturated(
            f"It could start only {late_seconds:.0f} s after its startTime: no thread was free for it before, so "
            "it did not start.\n    Leave KFP_PERF_POOL_SIZE out, or set it to a larger number."
        )


def _stop(loop: asyncio.Runner, runner: BaseRunner, result: ScenarioResult) -> None:
    try:
        _call(loop, runner.stop)
    except BaseException as error:
        told = str(error) if isinstance(error, KfpPerfError) else _told(error)
        result.warnings.append(f"Cleaning up failed: {told}")
        log.exception("%s: cleaning up failed", result.name)
    result.leftovers = list(runner.leftovers)
    loop.run(runner.client.aclose())
    runner.phase = Phase.ENDED


def _note(result: ScenarioResult, error: BaseException) -> None:
    """Keep an error. What is meant for the user goes into the log in a line, a bug with its traceback."""
    if isinstance(error, KfpPerfError):
        result.failure = error
        result.error = str(error)
        result.exit_code = int(error.exit_code)
        log.error("%s: %s", result.name, error)
    else:
        result.exit_code = int(ExitCode.FAILED)
        result.error = _told(error)
        # A plug-in's SystemExit or CancelledError is no Exception: raised again, it would end more than a scenario.
        result.failure = error if isinstance(error, Exception) else RunnerError(result.error)
        log.error("%s failed", result.name, exc_info=error)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
