"""The base class of runners: the template method that every test mode implements."""

from __future__ import annotations

import logging
import random
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from kfp_perf.client import RestClient
from kfp_perf.config import TestConfig
from kfp_perf.metrics import Recorder
from kfp_perf.pacing import Drive, Lateness, RealClock, StopSignal
from kfp_perf.result.counters import ScenarioPhase
from kfp_perf.result.records import CallOutcome, Outcome, Sample
from kfp_perf.runners.outage import OutageWatch
from kfp_perf.scenario.workload import OpenLoad, workload_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kfp_perf.client import KfpClient
    from kfp_perf.pacing import Clock, LoadOperation
    from kfp_perf.pipelines.package import PipelinePackage
    from kfp_perf.result.journal import Journal
    from kfp_perf.result.records import RunRecord
    from kfp_perf.scenario.model import TestScenario

#: What `run`, `prepare` and `stop` may return: nothing or a dictionary, at once or by a coroutine.
MaybeAwaitable = Awaitable[dict[str, Any] | None] | dict[str, Any] | None


#: The most kinds of failed runs that are logged as warnings, in each scenario.
_MOST_WARNINGS = 10


class BaseRunner(ABC):
    """One scenario's work, from preparation to clean-up.

    The execution calls, in the scenario's own thread: the constructor, `prepare()`, `start()`, `run()`, and
    always, once, `stop()`. `prepare`, `run` and `stop` may be functions or coroutines; a dictionary that `run`
    returns joins the scenario's metrics. Subclasses implement `run` and `stop`, and may override `prepare`,
    `setup_kfp_client` and `calculate_timing`.

    `request_stop()` may be called from any thread at any time: `run` then starts no new work, and ends soon.
    Everything that a runner needs is made here, or passed by keyword (in tests, and by the execution).
    """

    def __init__(
        self,
        test_scenario: TestScenario,
        *,
        config: TestConfig | None = None,
        client: KfpClient | None = None,
        clock: Clock | None = None,
        logger: logging.Logger | None = None,
        journal: Journal | None = None,
        recorder: Recorder | None = None,
        stop: StopSignal | None = None,
        package: PipelinePackage | None = None,
        t0: float | None = None,
    ) -> None:
        self.scenario = test_scenario
        self.name = test_scenario.name or test_scenario.mode_name.lower()
        self.config = config or TestConfig.from_environment()
        self.namespace = (
            (test_scenario.namespace or self.config.NAMESPACE) if self.config.IS_KUBEFLOW_MODE else ""
        )
        self.clock = clock or RealClock()
        self.log = logger or logging.getLogger("kfp_perf.runners")
        self.journal = journal
        self.recorder = recorder or Recorder()
        self.progress = self.recorder.tally
        self.lateness = Lateness()
        self.phase = ScenarioPhase.PREPARING
        self.stop_signal = stop or StopSignal()
        #: The pipeline that the plan has read (None: the scenario has none, or there is no plan).
        self.package = package
        self.outage = OutageWatch(self.config.outage_limit_seconds)
        #: The prefix of the names of all objects that this runner creates, and of no others.
        self.prefix = f"kfp-perf-{_slug(self.name)}-{uuid.uuid4().hex[:8]}"
        #: The scenario's seed, or a random one, so that the load can be repeated.
        self.seed = random.randrange(2**32) if test_scenario.seed is None else test_scenario.seed
        self.t0 = self.clock.now() if t0 is None else t0
        #: A line for each object that could not be deleted, with the reason.
        self.leftovers: list[str] = []
        #: Lines for the summary beside the figures.
        self.warnings: list[str] = []
        self._warned: set[str] = set()
        self._given_client = client
        self._started = False
        self._drive: Drive | None = None
        self.client: KfpClient = self.setup_kfp_client()
        self.calculate_timing()

    def setup_kfp_client(self) -> KfpClient:
        """Return the client that the runner works with. No connection is made before its first use."""
        if self._given_client is not None:
            return self._given_client
        return RestClient(
            self.config,
            self.clock,
            record=self.record_sample,
            correlation=self.prefix,
            seed=self.seed,
            stop=self.stop_signal,
        )

    def calculate_timing(self) -> None:
        """Set `start_at`, `end_at` and `measured_from` (seconds since the Unix epoch) from `t0`."""
        self.start_at = self.t0 + self.scenario.start_seconds
        self.end_at = self.start_at + self.scenario.run_seconds
        self.measured_from = self.start_at + self.scenario.warmup_seconds

    def prepare(self) -> MaybeAwaitable:
        """Create what the work needs, before the common start. Does nothing by default."""
        return None

    def start(self) -> None:
        """Wait for the scenario's start. A second call does nothing."""
        if self._started:
            return
        self._started = True
        self.recorder.measure_from(self.measured_from)
        self.phase = ScenarioPhase.WAITING
        self.wait_for_start_time()
        self.phase = ScenarioPhase.RUNNING

    def wait_for_start_time(self) -> None:
        """Block until `start_at`, or until the runner is asked to stop."""
        self.clock.block_until(self.start_at, self.stop_signal)

    @abstractmethod
    def run(self) -> MaybeAwaitable:
        """Do the work until `end_at`, the stop signal, or an error; return metrics of your own, or None."""

    def reports(self) -> dict[str, Any]:
        """Reports beside the built-in metrics, by key; read after `run`, however it ended.

        Also read about once a second while `run` is under way; an exception then is ignored.
        """
        return {}

    def remarks(self) -> Iterable[str]:
        """Lines for the summary beside the figures; read when `reports` are."""
        return ()

    @abstractmethod
    def stop(self) -> MaybeAwaitable:
        """Clean up. Called once, after `run` however it ended, and also where it never began."""

    def request_stop(self) -> None:
        """Request that the runner starts no more work and ends soon. Thread-safe; not to be overridden."""
        self.stop_signal.set()

    def drive(
        self,
        operation: LoadOperation,
        skipped: Callable[[int, float], None] | None = None,
        *,
        call: str = "",
    ) -> Drive:
        """Make a drive of the scenario's load from `start_at` to `end_at`.

        Operations that were due and that `maxInFlight` held back until the end never start. Each is recorded as one
        of `call`, the name under which the client counts the operation (`GetRun`), and `skipped` is called with its
        index and due time; give one of the two, or these operations are missing in the error rate. See `Drive` for
        what to call.
        """

        def never_started(index: int, due: float) -> None:
            if call:
                self.record_sample(Sample(call, due, self.end_at, outcome=CallOutcome.NEVER_STARTED))
            if skipped is not None:
                skipped(index, due)

        self._drive = Drive(
            workload_of(self.scenario.model_copy(update={"seed": self.seed})),
            operation,
            clock=self.clock,
            stop=self.stop_signal,
            start=self.start_at,
            end=self.end_at,
            max_in_flight=self.scenario.max_in_flight,
            think_seconds=self.scenario.think_seconds,
            seed=self.seed,
            lateness=self.lateness,
            skipped=never_started,
        )
        return self._drive

    @property
    def resting(self) -> bool:
        """Whether nothing is under way because nothing is due: no progress is then no trouble."""
        return self._drive is not None and self._drive.resting

    @property
    def open_load(self) -> bool:
        """Whether operations are due independently of earlier ones: an open load, or schedules."""
        return isinstance(workload_of(self.scenario), OpenLoad)

    def record_sample(self, sample: Sample) -> None:
        """Record one operation; the client calls this for each call, with all its attempts."""
        self.outage.on_sample(sample)
        self.recorder.sample(sample)

    def record_run(self, record: RunRecord) -> None:
        """Record a run that ended, or was in flight at the end of the test."""
        self.progress.on_run(record, self.clock.now())
        self.write_run(record)

    def write_run(self, record: RunRecord) -> None:
        """Record a run that was counted already, when its end was first seen."""
        self.progress.last_error = record.error or self.progress.last_error
        self.recorder.run(record)
        self._log_run(record)

    def waiting(self) -> tuple[str, float | None]:
        """What the runner waits for (empty: nothing), and until when at most (None: unknown)."""
        match self.phase:
            case ScenarioPhase.WAITING:
                return "its start", self.start_at
            case ScenarioPhase.CLEANING if self.progress.to_clean_up > self.progress.cleaned_up:
                left = self.progress.to_clean_up - self.progress.cleaned_up
                return f"{left:,} objects to be deleted", self.progress.cleaned_up_at
        return "", None

    def counters(self) -> dict[str, Any]:
        """The fields of `ScenarioCounters`, but for the name. Another thread may call this at any time."""
        connections = getattr(self.client, "connection_counters", None)
        waiting_for, waiting_until = self.waiting()
        fields: dict[str, Any] = {
            "at": self.clock.now(),
            "phase": self.phase,
            "waiting_for": waiting_for,
            "waiting_until": waiting_until,
            "resting": self.resting,
            "away_since": self.outage.away_since,
            **self.progress.fields(),
            **self.lateness.fields(),
        }
        if self._drive is not None:
            report = self._drive.report
            fields |= {
                "due": self._drive.due(),
                "started": report.started,
                "held_back": report.held_back,
                "never_started": report.never_started,
            }
        return fields if connections is None else fields | connections.fields()

    def _log_run(self, record: RunRecord) -> None:
        """Log a run's end: the first failure of each kind as a warning, everything else for debugging."""
        text = f"Run {record.name}: {record.outcome}{f' ({record.error})' * bool(record.error)}"
        kind = f"{record.outcome} {record.error.replace(record.name, '').replace(record.run_id or record.name, '')}"
        is_warning = (
            record.outcome is not Outcome.SUCCEEDED
            and kind not in self._warned
            and len(self._warned) < _MOST_WARNINGS
            # Who stops a test expects that its runs do not succeed.
            and not self.stop_signal.is_set()
        )
        if is_warning:
            self._warned.add(kind)
            text += "; further ones of this kind are counted, not logged"
        self.log.log(logging.WARNING if is_warning else logging.DEBUG, "%s", text)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "scenario"
