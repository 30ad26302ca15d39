"""The orchestrator: starts every scenario in its thread, watches them, and makes one result of what they did."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import signal
import threading
from typing import TYPE_CHECKING, Self

from kfp_perf.client import RestClient, check_target
from kfp_perf.engine import Plugins, ScenarioContext, StartGate, run_scenario
from kfp_perf.errors import ExitCode, KfpPerfError, TestInterrupted, ThresholdsFailed
from kfp_perf.execution.document import build_document
from kfp_perf.execution.figures import figures_of
from kfp_perf.execution.watch import Watch
from kfp_perf.health import HealthChecks
from kfp_perf.metrics.series import SeriesFile
from kfp_perf.pacing import RealClock
from kfp_perf.result.folder import TestResult
from kfp_perf.result.model import ScenarioResult
from kfp_perf.thresholds import why_failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kfp_perf.client.messages import Healthz
    from kfp_perf.config import TestConfig
    from kfp_perf.live import Display
    from kfp_perf.log import Logger
    from kfp_perf.plan import Plan
    from kfp_perf.runners import BaseRunner

log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.25


class TestFailed(KfpPerfError):
    """A test that came to its end, but not to a good one: what was measured is in `result`.

    The text is that of the first error; `errors` holds them all, in the order in which they came. `abandoned`:
    the user did not wait for the scenarios, whose threads still run.
    """

    __test__ = False

    def __init__(
        self, result: TestResult, errors: Sequence[Exception], exit_code: ExitCode, *, abandoned: bool = False
    ) -> None:
        self.result = result
        self.errors = tuple(errors)
        self.exit_code = exit_code
        self.abandoned = abandoned
        super().__init__(str(errors[0]))
        for other in errors[1:]:
            self.add_note(f"and {type(other).__name__}: {other}")


def execute(
    plan: Plan,
    config: TestConfig,
    *,
    logger: Logger,
    display: Display,
    plugins: Plugins | None = None,
    emulator_profile: str = "",
) -> TestResult:
    """Run a plan against the target of `config`; return the result, whose folder holds all that was measured.

    Raises `TargetError` before anything is made if the target does not answer as KFP does, `InputError` if no
    result can be written, and `TestFailed`, which has the result, if a scenario or a threshold failed or the test
    was stopped.
    """
    clock = RealClock()
    health = asyncio.run(_check(config))
    result = TestResult.create(config.results_folder, plan.name, clock.now())
    logger.write_to(
        config.log_directory or result.path,
        config.log_file_name,
        config.maximum_logfile_bytes,
        config.rotating_log_count,
    )
    execution = Execution(plan, config, result, health, plugins or Plugins(), emulator_profile)
    with execution.interruptible():
        errors = execution.run(display)
    result.close()
    if errors:
        abandoned = execution.interruptions > 1
        raise TestFailed(result, errors, execution.exit_code(errors), abandoned=abandoned) from errors[0]
    return result


async def _check(config: TestConfig) -> Healthz:
    client = RestClient(config, RealClock(), correlation="kfp-perf-check")
    try:
        return await check_target(client)
    finally:
        await client.aclose()


class Execution:
    """One test under way."""

    def __init__(
        self,
        plan: Plan,
        config: TestConfig,
        result: TestResult,
        health: Healthz,
        plugins: Plugins,
        emulator_profile: str,
    ) -> None:
        self.plan = plan
        self.config = config
        self.result = result
        self.health = health
        self.plugins = plugins
        self.emulator_profile = emulator_profile
        self.runners: list[BaseRunner] = []
        self.interruptions = 0
        self._clock = RealClock()
        self._pool_size = config.pool_size or len(plan.scenarios)
        self._gate = StartGate(min(self._pool_size, len(plan.scenarios)), self._clock.now)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[Self]:
        """Let Ctrl-C and SIGTERM end the test in good order while the context is open."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, lambda *_: self.interrupt()) for number in signals}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def interrupt(self) -> None:
        """Start no more work and come to an end; called again: write what there is, and end at once."""
        self.interruptions += 1
        for runner in self.runners:
            runner.request_stop()
        self._gate.release()

    def run(self, display: Display) -> list[Exception]:
        """Run all scenarios, write the result, and return the errors in the order in which they came."""
        journal = self.result.journal()
        series = SeriesFile(self.result.series_path, self._clock.now())
        context = ScenarioContext(
            journal=journal,
            series=series,
            gate=self._gate,
            plugins=self.plugins,
            on_run=self.result.add_run,
            announce=self._announce,
        )
        started = self._clock.now()
        log.info("Testing %s; results go to %s", self.config.KFP_url, self.result.path)
        results: list[ScenarioResult] = []
        executor = concurrent.futures.ThreadPoolExecutor(self._pool_size, thread_name_prefix="scenario")
        futures = {
            executor.submit(run_scenario, scenario, self.config, started, context): scenario
            for scenario in self.plan.scenarios
        }
        watch = Watch(self.plan, self.config.KFP_url, self._clock, emulator=bool(self.emulator_profile))
        checks = HealthChecks.of_test(self.config, self.result.path)
        try:
            with checks:
                waiting = set(futures)
                while waiting and self.interruptions < 2:
                    done, waiting = concurrent.futures.wait(waiting, _LOOK_EVERY_SECONDS)
                    results += [future.result() for future in done]
                    watch.look(self.runners, self._gate.t0, stopping=self.interruptions > 0)
                    checks.look(self.runners)
                    display.update(watch.snapshot)
        finally:
            display.end()
            executor.shutdown(wait=False)
        abandoned = [futures[future].name or "" for future in futures if not future.done()]
        results += [self._cut_short(runner) for runner in self.runners if runner.name in abandoned]
        errors = [result.failure for result in results if result.failure is not None]
        if self.interruptions:
            errors.insert(0, TestInterrupted(_STOPPED if not abandoned else _ABANDONED))
        if (saturated := checks.verdict()) is not None:
            errors.append(saturated)
        if not abandoned:
            series.close()
        order = {scenario.name: place for place, scenario in enumerate(self.plan.scenarios)}
        results.sort(key=lambda one: order.get(one.name, len(order)))
        figures = figures_of(results, self.plan.thresholds, None if abandoned else self.result.series_path)
        if why := why_failed(figures.judgements):
            errors.append(ThresholdsFailed(why))
        began, ended = self._gate.t0 or started, self._clock.now()
        self.result.save(
            build_document(self, results, figures, errors, checks, started=began, finished=ended)
        )
        if not abandoned:
            journal.close()
        return errors

    def exit_code(self, errors: Sequence[Exception]) -> ExitCode:
        """The code that the process should end with."""
        return ExitCode.worst(
            error.exit_code if isinstance(error, KfpPerfError) else ExitCode.FAILED for error in errors
        )

    def _announce(self, runner: BaseRunner) -> None:
        self.runners.append(runner)
        if self.interruptions:
            runner.request_stop()

    def _cut_short(self, runner: BaseRunner) -> ScenarioResult:
        """What a scenario had measured when it was left alone; its thread still goes on meanwhile."""
        return ScenarioResult(
            name=runner.name,
            mode=runner.scenario.mode_name,
            started=runner.start_at,
            finished=self._clock.now(),
            error=_ABANDONED,
            exit_code=int(ExitCode.INTERRUPTED),
            collector=runner.collector,
        )


_STOPPED = "The test was stopped before its end; what it had made is deleted."
_ABANDONED = "The test was stopped at once: what it made is still on the server (see `kfp-perf cleanup`)."
