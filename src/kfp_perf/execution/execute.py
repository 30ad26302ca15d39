"""The execution: starts every scenario, observes them, and makes one result from their files."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from kfp_perf.client import RestClient, check_target
from kfp_perf.engine import Plugins, ScenarioWork, ThreadEngine
from kfp_perf.errors import ExitCode, InputError, KfpPerfError, TargetError, TestInterrupted, ThresholdsFailed
from kfp_perf.evidence.process import EvidenceProcess
from kfp_perf.execution.document import result_document
from kfp_perf.execution.early_end import MEASURED, EarlyEnd
from kfp_perf.execution.given import given_document
from kfp_perf.execution.signals import interruptible
from kfp_perf.execution.snapshots import SnapshotMaker
from kfp_perf.health import HealthChecks, raise_open_files_limit
from kfp_perf.hosts import titled
from kfp_perf.pacing import RealClock, run_in_own_loop
from kfp_perf.result.counters import ScenarioCounters, ScenarioPhase
from kfp_perf.result.evidence import EVIDENCE_FOLDER
from kfp_perf.result.files import LOGS_FOLDER
from kfp_perf.result.reader import TestResult
from kfp_perf.result.result_writer import ResultWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from kfp_perf.client.messages import Healthz
    from kfp_perf.compare import Side
    from kfp_perf.compare.baseline import Baseline
    from kfp_perf.config import TestConfig
    from kfp_perf.engine import Engine, ScenarioResult
    from kfp_perf.execution.early_end import StopWhen
    from kfp_perf.live import Display
    from kfp_perf.log import Logger
    from kfp_perf.metrics import GuardedCollector
    from kfp_perf.plan import Plan

log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.25
_SAVE_HEALTH_EVERY_SECONDS = 10.0


class TestFailed(KfpPerfError):
    """A test that ended with an error; its measurements are in `result`.

    The text is that of the first error; `errors` holds them all, in order of occurrence. `abandoned`: the user did
    not wait for the scenarios, which still run.
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
    engine: Callable[[], Engine] | None = None,
    stop_when: StopWhen | None = None,
    folder: Path | None = None,
    baseline: tuple[Side, Baseline] | None = None,
    in_pairs: bool = False,
) -> TestResult:
    """Run a plan against the target of `config`; return the result, whose folder holds all that was measured.

    `engine` makes the engine that runs the scenarios (default: a thread for each). `stop_when` may end the test
    early, in good order and without failing it: see `StopWhen`. `folder` is where the result goes (default: a new
    folder in the configuration's), `baseline` what the plan's thresholds are relative to, if any are. `in_pairs`: a
    study judges these by pairs of executions, and not this test. Raises `TargetError` before anything is made if
    the target does not answer as KFP does, `InputError` if no result folder can be made, and `TestFailed`, which
    has the result, if a scenario or a threshold failed, the test was stopped by the user, or its figures could not
    be saved.
    """
    RealClock.read_wall_time()
    clock = RealClock()
    raise_open_files_limit()
    health = run_in_own_loop(_check(config, plan))
    writer = (
        ResultWriter.create_at(folder)
        if folder
        else ResultWriter.create(config.results_folder, plan.name, clock.now())
    )
    declared = (one for family in (plugins or Plugins()).collectors.values() for one in family.metrics)
    writer.save_given(
        given_document(
            plan, config, health, emulator_profile, clock.now(), declared, baseline, in_pairs=in_pairs
        )
    )
    logger.write_to(
        config.log_directory or writer.path / LOGS_FOLDER,
        config.log_file_name,
        config.maximum_logfile_bytes,
        config.rotating_log_count,
    )
    execution = Execution(plan, config, writer, plugins or Plugins(), emulator_profile, stop_when)
    make_engine = engine or functools.partial(ThreadEngine, clock.now, config.pool_size)
    result = execution.run(make_engine(), display)
    if execution.errors:
        code = ExitCode.of(execution.errors)
        raise TestFailed(result, execution.errors, code, abandoned=execution.abandoned) from execution.errors[
            0
        ]
    return result


async def _check(config: TestConfig, plan: Plan) -> Healthz:
    namespaces = plan.namespaces(config) if config.IS_KUBEFLOW_MODE else ("",)
    client = RestClient(config, RealClock(), correlation="kfp-perf-check")
    try:
        health = await check_target(client, namespaces)
    finally:
        await client.aclose()
    if health.multi_user is True and not config.IS_KUBEFLOW_MODE:
        hint = "Add --kubeflow (isKubeflowMode=true), and name your namespace with --namespace."
        raise TargetError(f"The KFP API server at {config.KFP_url} has many users.", hint)
    return health


def with_namespaces(config: TestConfig, plan: Plan) -> TestConfig:
    """The configuration with the namespaces that hold the runs of all scenarios, unless it names them."""
    if config.run_namespaces or not config.IS_KUBEFLOW_MODE:
        return config
    return config.model_copy(update={"run_namespaces": plan.namespaces(config)})


class Execution:
    """One test in progress. `errors` holds its errors in order of occurrence."""

    def __init__(
        self,
        plan: Plan,
        config: TestConfig,
        writer: ResultWriter,
        plugins: Plugins,
        emulator_profile: str = "",
        stop_when: StopWhen | None = None,
    ) -> None:
        self.errors: list[Exception] = []
        self.interruptions = 0
        #: Whether scenarios were left alone, and still run.
        self.abandoned = False
        self._plan = plan
        self._config = config
        self._writer = writer
        self._plugins = plugins
        self._clock = RealClock()
        self._target = titled(config.target_name, config.KFP_url)
        self._snapshots = SnapshotMaker(plan, self._target, self._clock, emulator=bool(emulator_profile))
        self._evidence = EvidenceProcess(
            with_namespaces(config, plan), writer.path / EVIDENCE_FOLDER, self._clock.anchor
        )
        self._blind: Exception | None = None
        self._early_end = EarlyEnd(plan, stop_when)
        self._left: dict[str, dict[str, int]] = {}
        self._saved_while_cleaning = False
        self._save_health_at = self._clock.now() + _SAVE_HEALTH_EVERY_SECONDS

    def run(self, engine: Engine, display: Display) -> TestResult:
        """Run all scenarios, write the result, and return it."""
        log.info("Testing %s; results go to %s", self._target, self._writer.path)
        checks = HealthChecks.of_test(self._config, self._writer.path, self._plan.scenarios)

        def interrupt() -> None:
            self.interruptions += 1
            engine.stop(at_once=self.interruptions > 1)

        with interruptible(interrupt), engine:
            with self._evidence, checks:
                ended = self._run_scenarios(engine, checks, display)
            self.abandoned = bool(engine.running)
            if self.abandoned:
                counters = engine.counters()
                self._left = {
                    name: {"started": counters[name].started, "in_flight": counters[name].in_flight}
                    for name in engine.running
                }
            self.errors += [one.failure for one in ended if one.failure is not None]
            if self.interruptions:
                self.errors.insert(0, TestInterrupted(_ABANDONED if self.abandoned else _STOPPED))
            if self._blind is not None:
                self.errors.append(self._blind)
            if (saturated := checks.verdict()) is not None:
                self.errors.append(saturated)
            return self._finish(checks, _merged(ended))

    def _run_scenarios(self, engine: Engine, checks: HealthChecks, display: Display) -> list[ScenarioResult]:
        """Start the scenarios, and observe them until they have ended, or the user does not wait for them."""
        engine.start(
            [
                ScenarioWork(
                    scenario,
                    self._config,
                    self._writer.scenario_folder(scenario.name or ""),
                    self._clock.anchor,
                    self._plugins,
                    self._plan.packages.get(scenario.name or ""),
                )
                for scenario in self._plan.scenarios
            ]
        )
        if self.interruptions:  # while the checks were entered, or the scenarios started
            engine.stop(at_once=self.interruptions > 1)
        ended: list[ScenarioResult] = []
        announced = False
        try:
            while engine.running and self.interruptions < 2:
                ended += engine.ended(_LOOK_EVERY_SECONDS)
                if self.interruptions and not announced:
                    announced = True
                    log.warning(_STOPPING)
                if self._blind is None:
                    self._look(engine, checks, display)
        finally:
            display.end()
        return ended

    def _look(self, engine: Engine, checks: HealthChecks, display: Display) -> None:
        """Observe the test once. If that fails, stop the test in order, since nothing would supervise it."""
        try:
            counters = engine.counters()
            checks.look(counters)
            self._evidence.look()
            if self._is_to_end(engine, counters):
                engine.stop()
                self._writer.save_health(self._health(checks))
            snapshot = self._snapshots.make(
                counters,
                engine.t0,
                self._early_end.threshold_states,
                evidence=self._evidence.live,
                stopping=self._stopping,
            )
            display.update(snapshot)
            self._save_meanwhile(counters, checks)
        except Exception as error:
            log.exception("The test can no longer be observed, so it is stopped")
            self._blind = error
            engine.stop()

    @property
    def _stopping(self) -> bool:
        return self.interruptions > 0 or self._early_end.document is not None

    def _is_to_end(self, engine: Engine, counters: Mapping[str, ScenarioCounters]) -> bool:
        """Whether the test is to end early; a user's stop that `stop_when` raises is carried out."""
        if engine.t0 is None:
            return False
        try:
            return self._early_end.look(counters, engine.t0, self._clock.now(), stopping=self._stopping)
        except TestInterrupted:
            self.interruptions += 1
            engine.stop()
            return False

    def _save_meanwhile(self, counters: Mapping[str, ScenarioCounters], checks: HealthChecks) -> None:
        """Save the result when all scenarios have measured: the clean-up may take long, and be killed."""
        now = self._clock.now()
        if now >= self._save_health_at:
            self._save_health_at = now + _SAVE_HEALTH_EVERY_SECONDS
            self._writer.save_health(self._health(checks))
        cleaning = any(one.phase is ScenarioPhase.CLEANING for one in counters.values())
        if (
            cleaning
            and not self._saved_while_cleaning
            and all(one.phase in MEASURED for one in counters.values())
        ):
            self._saved_while_cleaning = True
            self._writer.save_health(self._health(checks))
            self._writer.save_meanwhile(self._document({}))

    def _health(self, checks: HealthChecks, *, over: bool = False) -> dict[str, Any]:
        saturated = checks.verdict()
        reasons: list[tuple[int, str]] = []
        if self.interruptions:
            reasons.append((int(ExitCode.INTERRUPTED), _ABANDONED if self.abandoned else _STOPPED))
        if self._blind is not None:
            reasons.append((int(ExitCode.FAILED), f"{type(self._blind).__name__}: {self._blind}"))
        if saturated is not None:
            reasons.append((int(ExitCode.INVALID), str(saturated)))
        return {
            "over": over,
            "reasons": reasons,
            "left": self._left,
            "stopped_early": self._early_end.document,
            "generator": checks.generator.document(),
            "health": checks.document(),
        }

    def _document(self, custom: Mapping[str, Any]) -> dict[str, Any]:
        found = TestResult(self._writer.path)
        # A test whose folder was removed would be judged by the default thresholds alone.
        given = self._writer.given_again()
        return result_document(found, custom, finished=self._clock.now(), given=given)

    def _finish(self, checks: HealthChecks, custom: Mapping[str, Any]) -> TestResult:
        """Write the result; its verdict is that of the files."""
        self._writer.save_health(self._health(checks, over=True))
        document = self._document(custom)
        failed = [one for one in document["thresholds"] if not one["passed"]]
        if failed:
            self.errors.append(ThresholdsFailed(document["verdict"]["reasons"][-1]))
        try:
            document = self._writer.save(document)
        except InputError as unsaved:
            # The result is still in memory: return it to the caller with the error.
            self.errors.append(unsaved)
            reasons = [str(unsaved), *document["verdict"]["reasons"]]
            document["verdict"] |= {"text": "failed", "exit_code": int(unsaved.exit_code), "reasons": reasons}
        return TestResult(self._writer.path, document)


def _merged(ended: Sequence[ScenarioResult]) -> dict[str, Any]:
    """The figures of the whole test from those of the users' collectors that can be merged."""
    whole: dict[str, GuardedCollector] = {}
    for result in ended:
        for collector in result.collectors:
            if not collector.merges:
                continue
            if collector.name in whole:
                whole[collector.name].merge(collector)
            else:
                whole[collector.name] = collector
    return {name: collector.result() for name, collector in whole.items()}


_STOPPING = (
    "Stopping: no new work; runs in flight are terminated, then the clean-up follows. A second Ctrl-C ends the "
    "test at once, and leaves all objects on the server."
)
_STOPPED = "The test was stopped before its end."
_ABANDONED = "The test was stopped at once: its objects may still be on the server (see `kfp-perf cleanup`)."
