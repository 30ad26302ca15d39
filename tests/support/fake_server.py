"""A KFP API server without sockets, for unit tests: its tables, and how it answers calls.

Runs follow the clock that it is given. `failures` maps an operation's name to what its next calls raise;
`calls` keeps every call. What is not modelled here belongs into a test against the emulator.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from made_samples import made_sample

from kfp_perf.client.messages import (
    Experiment,
    Page,
    Pipeline,
    PipelineVersion,
    RecurringRun,
    RecurringRunSpec,
    Run,
    RunDetails,
    RunSpec,
    RunState,
    StateChange,
    format_time,
)
from kfp_perf.client.protocol import MAXIMUM_PAGE_SIZE, ListQuery, Operator, Predicate
from kfp_perf.errors import ApiError, ApiStatusError
from kfp_perf.result.records import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kfp_perf.pacing import Clock
    from kfp_perf.result.records import Sample


@dataclass
class FakeRun:
    """A run of the fake. Times are true ones on the client's clock; the server shows its own.

    The final tasks are shown from `tasks_reported` on (None: with the final state), `earlier_details` until then.
    """

    spec: RunSpec
    run_id: str
    created: float
    starts: float
    finishes: float
    reported: float
    final_state: str = RunState.SUCCEEDED
    error: bytes = b""
    active_state: str | None = None
    task_details: list[dict[str, Any]] | None = None
    tasks_reported: float | None = None
    earlier_details: list[dict[str, Any]] = field(default_factory=list)
    archived: bool = False
    finished_text: str | None = None
    recurring_run_id: str = ""
    scheduled: float | None = None


_TABLES = {
    "GetRun": "runs",
    "GetExperiment": "experiments",
    "GetPipeline": "pipelines",
    "GetPipelineVersion": "versions",
}


class FakeServer:
    """The tables of a KFP API server in memory, and how it answers calls.

    A run starts `queue_seconds` after its creation, ends `run_seconds` later, shows so `lag_seconds` after that,
    and its final tasks `tasks_lag_seconds` later; the server's clock is `offset_seconds` ahead. Each call takes
    `answer_seconds`.
    """

    def __init__(
        self,
        clock: Clock,
        record: Callable[[Sample], None] | None = None,
        *,
        queue_seconds: float = 1.0,
        run_seconds: float = 5.0,
        lag_seconds: float = 0.5,
        offset_seconds: float = 0.0,
        answer_seconds: float = 0.01,
        tasks_lag_seconds: float = 0.0,
        multi_user: bool = False,
    ) -> None:
        self.clock = clock
        self.record = record
        self.purpose = Purpose.LOAD
        self.queue_seconds = queue_seconds
        self.run_seconds = run_seconds
        self.lag_seconds = lag_seconds
        self.offset_seconds = offset_seconds
        self.answer_seconds = answer_seconds
        self.tasks_lag_seconds = tasks_lag_seconds
        self.multi_user = multi_user
        self.runs: dict[str, FakeRun] = {}
        self.experiments: dict[str, Experiment] = {}
        self.pipelines: dict[str, Pipeline] = {}
        self.versions: dict[str, PipelineVersion] = {}
        self.recurring_runs: dict[str, RecurringRun] = {}
        self.contents: list[bytes] = []
        self.on_recurring_run: Callable[[RecurringRun, RecurringRunSpec], None] = lambda _made, _spec: None
        self.calls: list[tuple[str, Any]] = []
        self.failures: dict[str, list[Exception]] = defaultdict(list)
        self.closed = 0
        self._numbers = itertools.count(1)
        if not multi_user:
            self.new_experiment("Default", "")

    def count(self, operation: str) -> int:
        """How often an operation was called."""
        return sum(name == operation for name, _ in self.calls)

    async def answer(
        self,
        operation: str,
        argument: Any,
        due: float | None = None,
        refuse: Callable[[], ApiError | None] = lambda: None,
        on_sample: Callable[[Sample], None] | None = None,
    ) -> float:
        """Record a call, let its time pass, and return when it was sent.

        Raises planned failures, and what `refuse` returns.
        """
        self.calls.append((operation, argument))
        sent = self.clock.now()
        if self.answer_seconds:
            await self.clock.sleep_until(sent + self.answer_seconds)
        failure = self.failures[operation].pop(0) if self.failures[operation] else refuse()
        sample = self._sample(operation, sent if due is None else due, sent, failure)
        if on_sample is not None:
            on_sample(sample)
        if self.record is not None:
            self.record(sample)
        if failure is not None:
            raise failure
        return sent

    def _sample(self, operation: str, due: float, sent: float, failure: Exception | None) -> Sample:
        error = failure if isinstance(failure, ApiError) else None
        return made_sample(
            operation,
            due,
            sent,
            self.clock.now(),
            error.status if error else 200,
            error.kind if error else "",
            unknown=bool(error and error.outcome_unknown),
            purpose=self.purpose,
            message=error.message if error else "",
        )

    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers):08d}"

    def missing(self, operation: str, what: str, identity: str) -> ApiStatusError:
        return ApiStatusError(operation, f"{what} {identity} not found", status=404)

    def absent(self, operation: str, identity: str) -> Callable[[], ApiError | None]:
        """Refuse a get of an object that does not exist when the answer is due."""
        table: Mapping[str, Any] = getattr(self, _TABLES[operation])
        what = operation.removeprefix("Get")
        return lambda: None if identity in table else self.missing(operation, what, identity)

    def add_run(self, spec: RunSpec, **given: Any) -> FakeRun:
        """Put a run into the table, created now."""
        created = self.clock.now()
        starts = created + self.queue_seconds
        finishes = starts + self.run_seconds
        reported = finishes + self.lag_seconds
        run = FakeRun(spec, self.new_id("run"), created, starts, finishes, reported)
        run.tasks_reported = reported + self.tasks_lag_seconds
        for name, value in given.items():
            setattr(run, name, value)
        self.runs[run.run_id] = run
        return run

    def shown(self, fake: FakeRun) -> Run:
        """The run as the server shows it now."""
        now = self.clock.now()
        history: list[tuple[str, float]] = [(RunState.PENDING, fake.created)]
        if now >= fake.starts + self.lag_seconds:
            history.append((RunState.RUNNING, fake.starts + self.lag_seconds))
        finished = now >= fake.reported
        if finished:
            history.append((fake.final_state, fake.reported))
        state = fake.final_state if finished else (fake.active_state or history[-1][0])
        finished_text = self.text(fake.finishes) if finished else "1970-01-01T00:00:00Z"
        complete = finished and now >= (fake.tasks_reported or fake.reported)
        tasks = self._tasks(fake) if complete else fake.earlier_details
        details = msgspec.Raw(msgspec.json.encode(tasks) if tasks else b"")
        return Run(
            run_id=fake.run_id,
            display_name=fake.spec.name,
            experiment_id=fake.spec.experiment_id,
            state=state,
            created_text=self.text(fake.created),
            scheduled_text=self.text(fake.created if fake.scheduled is None else fake.scheduled),
            recurring_run_id=fake.recurring_run_id,
            error=msgspec.Raw(fake.error),
            finished_text=finished_text if fake.finished_text is None else fake.finished_text,
            storage_state="ARCHIVED" if fake.archived else "AVAILABLE",
            state_history=[StateChange(state=name, update_time_text=self.text(at)) for name, at in history],
            run_details=RunDetails(task_details=details),
        )

    def _tasks(self, fake: FakeRun) -> list[dict[str, Any]]:
        """The final tasks of a run: those that it was given, or else its root alone."""
        if fake.task_details is not None:
            return fake.task_details
        times = {"start_time": self.text(fake.starts), "end_time": self.text(fake.finishes)}
        return [{"display_name": "root", "state": fake.final_state, **times}]

    def text(self, time: float) -> str:
        return format_time(time + self.offset_seconds)

    def new_experiment(self, name: str, namespace: str, created: str = "") -> Experiment:
        made = Experiment(
            experiment_id=self.new_id("experiment"),
            display_name=name,
            namespace=namespace,
            created_text=created,
        )
        self.experiments[made.experiment_id] = made
        return made

    def put_pipeline(self, name: str, namespace: str = "") -> Pipeline:
        """Put a pipeline into the table, with a version of the same name."""
        made = Pipeline(
            pipeline_id=self.new_id("pipeline"), name=name, display_name=name, namespace=namespace
        )
        self.pipelines[made.pipeline_id] = made
        self.new_version(made.pipeline_id, name)
        return made

    def new_version(self, pipeline_id: str, name: str) -> PipelineVersion:
        made = PipelineVersion(
            pipeline_id=pipeline_id, pipeline_version_id=self.new_id("version"), name=name, display_name=name
        )
        self.versions[made.pipeline_version_id] = made
        return made

    def page(self, rows: list[Any], query: ListQuery) -> Page[Any]:
        rows = [row for row in rows if all(_holds(row, predicate) for predicate in query.filter)]
        begin = int(query.page_token or 0)
        end = begin + min(query.page_size or 20, MAXIMUM_PAGE_SIZE)
        token = str(end) if end < len(rows) else ""
        return Page(items=rows[begin:end], next_page_token=token, total_size=len(rows))


def _holds(row: Any, predicate: Predicate) -> bool:
    names = {"name": "display_name"} if not hasattr(row, "name") else {}
    value = getattr(row, names.get(predicate.key, predicate.key))
    match predicate.operator:
        case Operator.EQUALS:
            return bool(value == predicate.value)
        case Operator.IN:
            assert isinstance(predicate.value, tuple)
            return (value or "RUNTIME_STATE_UNSPECIFIED") in predicate.value
        case Operator.NOT_EQUALS:
            return bool(value != predicate.value)
        case Operator.IS_SUBSTRING:
            return predicate.value in value
        case Operator.GREATER_THAN_EQUALS:
            assert isinstance(predicate.value, float)
            return bool(value >= int(predicate.value))
    raise AssertionError(f"the fake has no {predicate.operator}")
