"""The orchestrator: starts every scenario in its thread, watches them, and makes one result of what they did."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import signal
import threading
from typing import TYPE_CHECKING, Self

from kfp_perf.client import RestClient, check_target
from kfp_perf.engine import Plugins, ScenarioContext, StartGate, run_scenario
from kfp_perf.errors import ExitCode, InputError, KfpPerfError, TargetError, TestInterrupted, ThresholdsFailed
from kfp_perf.execution.document import Given, build_document
from kfp_perf.execution.figures import figures_of
from kfp_perf.execution.watch import Watch
from kfp_perf.health import HealthChecks
from kfp_perf.metrics import built_in_collector
from kfp_perf.pacing import RealClock
from kfp_perf.result.folder import TestResult
from kfp_perf.result.records import ScenarioResult
from kfp_perf.result.series import SeriesFile
from kfp_perf.thresholds import why_failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kfp_perf.client.messages import Healthz
    from kfp_perf.config import TestConfig
    from kfp_perf.live import Display
    from kfp_perf.log import Logger
    from kfp_perf.plan import Plan
    from kfp_perf.result.journal import Journal
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
    result folder can be made, and `TestFailed`, which has the result, if a scenario or a threshold failed, the test
    was stopped, or its figures could not be saved.
    """
    RealClock.read_wall_time()
    clock = RealClock()
    health = asyncio.run(_check(config, plan))
    result = TestResult.create(config.results_folder, plan.name, clock.now())
    logger.write_to(
        config.log_directory or result.path,
        config.log_file_name,
        config.maximum_logfile_bytes,
        config.rotating_log_count,
    )
    execution = Execution(Given(plan, config, health, emulator_profile), result, plugins or Plugins())
    with execution.interruptible():
        errors = execution.run(display)
    result.close()
    if errors:
        code = ExitCode.of(errors)
        raise TestFailed(result, errors, code, abandoned=execution.abandoned) from errors[0]
    return result


async def _check(config: TestConfig, plan: Plan) -> Healthz:
    namespaces = {""}
    if config.IS_KUBEFLOW_MODE:
        namespaces = {scenario.namespace or config.NAMESPACE for scenario in plan.scenarios}
    client = RestClient(config, RealClock(), correlation="kfp-perf-check")
    try:
        health = await check_target(client, namespaces)
    finally:
        await client.aclose()
    if health.multi_user is True and not config.IS_KUBEFLOW_MODE:
        hint = "Add --kubeflow (isKubeflowMode=true), and name your namespace with --namespace."
        raise TargetError(f"The KFP API server at {config.KFP_url} has many users.", hint)
    return health


class Execution:
    """One test under way."""

    def __init__(self, given: Given, result: TestResult, plugins: Plugins) -> None:
        self.given = given
        self.result = result
        self.plugins = plugins
        self.runners: list[BaseRunner] = []
        self.interruptions = 0
        #: Whether scenarios were left alone, and their threads still run.
        self.abandoned = False
        self._blind: Exception | None = None
        self._clock = RealClock()
        scenarios = len(given.plan.scenarios)
        self._pool_size = given.config.pool_size or scenarios
        self._gate = StartGate(min(self._pool_size, scenarios), self._clock.now)

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
        self._stop()

    def _stop(self) -> None:
        for runner in self.runners:
            runner.request_stop()
        self._gate.release()

    def run(self, display: Display) -> list[Exception]:
        """Run all scenarios, write the result, and return the errors in the order in which they came."""
        started = self._clock.now()
        log.info("Testing %s; results go to %s", self.given.config.KFP_url, self.result.path)
        journal = self.result.journal(self.given.config.KFP_url)
        series = SeriesFile(self.result.series_path, started)
        checks = HealthChecks.of_test(self.given.config, self.result.path)
        with checks:
            results, left_alone = self._run_scenarios(journal, series, checks, display)
        abandoned = self.abandoned = bool(left_alone)
        errors = [result.failure for result in results if result.failure is not None]
        if abandoned:
            results += [self._cut_short(runner) for runner in self.runners if runner.name in left_alone]
        else:
            series.close()
            journal.close()
        if self.interruptions:
            errors.insert(0, TestInterrupted(_ABANDONED if abandoned else _STOPPED))
        if self._blind is not None:
            errors.append(self._blind)
        if (saturated := checks.verdict()) is not None:
            errors.append(saturated)
        plan = self.given.plan
        order = {scenario.name: place for place, scenario in enumerate(plan.scenarios)}
        results.sort(key=lambda one: order.get(one.name, len(order)))
        figures = figures_of(results, plan.thresholds, None if abandoned else self.result.series_path)
        if why := why_failed(figures.judgements):
            errors.append(ThresholdsFailed(why))
        began, ended = self._gate.t0 or started, self._clock.now()
        document = functools.partial(
            build_document, self.given, results, figures, errors, checks, started=began, finished=ended
        )
        try:
            self.result.save(document())
        except InputError as unsaved:
            # What was measured is still at hand: whoever waits for it is told, and told what is wrong.
            errors.append(unsaved)
            self.result.document = document()
        return errors

    def _run_scenarios(
        self, journal: Journal, series: SeriesFile, checks: HealthChecks, display: Display
    ) -> tuple[list[ScenarioResult], set[str]]:
        """Run every scenario in a thread of its own, and look at them meanwhile.

        Return what those did that came to their end, as they came, and the names of those that were left alone.
        """
        context = ScenarioContext(
            journal=journal,
            series=series,
            gate=self._gate,
            plugins=self.plugins,
            on_run=self.result.add_run,
            announce=self._announce,
        )
        plan, config = self.given.plan, self.given.config
        watch = Watch(plan, config.KFP_url, self._clock, emulator=bool(self.given.emulator_profile))
        results: list[ScenarioResult] = []
        executor = concurrent.futures.ThreadPoolExecutor(self._pool_size, thread_name_prefix="scenario")
        waiting = {
            executor.submit(run_scenario, scenario, config, self._clock.now(), context): scenario.name or ""
            for scenario in plan.scenarios
        }
        try:
            told = False
            while waiting and self.interruptions < 2:
                done, _ = concurrent.futures.wait(waiting, _LOOK_EVERY_SECONDS)
                if self.interruptions and not told:
                    told = True
                    log.warning(_STOPPING)
                for future in done:
                    results.append(future.result())
                    del waiting[future]
                if self._blind is None:
                    self._look(watch, checks, display)
        finally:
            display.end()
            executor.shutdown(wait=False)
        return results, set(waiting.values())

    def _look(self, watch: Watch, checks: HealthChecks, display: Display) -> None:
        """Look at the test. A failure to do so ends it in good order: nobody would see any more what it does."""
        try:
            watch.look(self.runners, self._gate.t0, stopping=self.interruptions > 0)
            checks.look(self.runners)
            display.update(watch.snapshot)
        except Exception as error:
            log.exception("The test cannot be watched any more, so it is stopped")
            self._blind = error
            self._stop()

    def _announce(self, runner: BaseRunner) -> None:
        self.runners.append(runner)
        if self.interruptions or self._blind is not None:
            runner.request_stop()

    def _cut_short(self, runner: BaseRunner) -> ScenarioResult:
        """What a scenario had measured when it was left alone; its thread goes on, but counts for nothing now."""
        measured, runner.collector = runner.collector, built_in_collector(runner.name)
        return ScenarioResult(
            name=runner.name,
            mode=runner.scenario.mode_name,
            started=runner.start_at,
            finished=self._clock.now(),
            error=_ABANDONED,
            exit_code=int(ExitCode.INTERRUPTED),
            collector=measured,
        )


_STOPPING = (
    "Stopping: no new work; what is in flight is terminated, then the clean-up follows. Once more, and the test "
    "ends at once, and leaves all that on the server."
)
_STOPPED = "The test was stopped before its end."
_ABANDONED = "The test was stopped at once: what it made may still be on the server (see `kfp-perf cleanup`)."
