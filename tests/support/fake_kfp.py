"""A KFP API server and its client in one object, without sockets, for unit tests.

Runs live by the clock that it is given. `failures` maps an operation's name to what its next calls raise;
`calls` keeps every call. What is not modelled here belongs into a test against the emulator.
"""

from __future__ import annotations

import copy
import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec
from made_samples import made_sample

from kfp_perf.client.messages import (
    ACTIVE_STATES,
    Experiment,
    Healthz,
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


class FakeKfp:
    """Implements `KfpClient` over tables in memory.

    A run starts `queue_seconds` after its creation, ends `run_seconds` later, shows so `lag_seconds` after that,
    and its final tasks `tasks_lag_seconds` later; the server's clock is `offset_seconds` ahead. Each call takes
    `answer_seconds`.
    """

    url = "http://fake.test"
    proxy = None
    retries = 0
    backoff_seconds = 0.0

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
            self._new_experiment("Default", "")

    # -- the machinery ----------------------------------------------------------------------------------------

    def count(self, operation: str) -> int:
        """How often an operation was called."""
        return sum(name == operation for name, _ in self.calls)

    async def _call(
        self,
        operation: str,
        argument: Any,
        due: float | None = None,
        refuse: Callable[[], ApiError | None] = lambda: None,
        on_sample: Callable[[Sample], None] | None = None,
    ) -> float:
        """Note a call, let its time pass, fail where planned or `refuse` says so; return when it was sent."""
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

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers):08d}"

    def _missing(self, operation: str, what: str, identity: str) -> ApiStatusError:
        return ApiStatusError(operation, f"{what} {identity} not found", status=404)

    def _absent(self, operation: str, identity: str) -> Callable[[], ApiError | None]:
        """Refuse a get of an object that does not exist when the answer is due."""
        table: Mapping[str, Any] = getattr(self, _TABLES[operation])
        what = operation.removeprefix("Get")
        return lambda: None if identity in table else self._missing(operation, what, identity)

    def for_purpose(self, purpose: Purpose) -> Self:
        view = copy.copy(self)
        view.purpose = purpose
        return view

    def redact(self, text: str) -> str:
        return text.replace("s3cret", "[hidden]")

    async def aclose(self) -> None:
        self.closed += 1

    async def healthz(self, *, due: float | None = None) -> Healthz:
        await self._call("GetHealthz", None, due)
        return Healthz(commit_sha="fake", tag_name="2.17.0", multi_user=self.multi_user)

    # -- runs -------------------------------------------------------------------------------------------------

    def add_run(self, spec: RunSpec, **given: Any) -> FakeRun:
        """Put a run into the table, created now."""
        created = self.clock.now()
        starts = created + self.queue_seconds
        finishes = starts + self.run_seconds
        reported = finishes + self.lag_seconds
        run = FakeRun(spec, self._id("run"), created, starts, finishes, reported)
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
        finished_text = self._text(fake.finishes) if finished else "1970-01-01T00:00:00Z"
        complete = finished and now >= (fake.tasks_reported or fake.reported)
        tasks = self._tasks(fake) if complete else fake.earlier_details
        details = msgspec.Raw(msgspec.json.encode(tasks) if tasks else b"")
        return Run(
            run_id=fake.run_id,
            display_name=fake.spec.name,
            experiment_id=fake.spec.experiment_id,
            state=state,
            created_text=self._text(fake.created),
            scheduled_text=self._text(fake.created if fake.scheduled is None else fake.scheduled),
            recurring_run_id=fake.recurring_run_id,
            error=msgspec.Raw(fake.error),
            finished_text=finished_text if fake.finished_text is None else fake.finished_text,
            storage_state="ARCHIVED" if fake.archived else "AVAILABLE",
            state_history=[StateChange(state=name, update_time_text=self._text(at)) for name, at in history],
            run_details=RunDetails(task_details=details),
        )

    def _tasks(self, fake: FakeRun) -> list[dict[str, Any]]:
        """The final tasks of a run: those that it was given, or else its root alone."""
        if fake.task_details is not None:
            return fake.task_details
        times = {"start_time": self._text(fake.starts), "end_time": self._text(fake.finishes)}
        return [{"display_name": "root", "state": fake.final_state, **times}]

    def _text(self, time: float) -> str:
        return format_time(time + self.offset_seconds)

    async def create_run(
        self, spec: RunSpec, *, due: float | None = None, on_sample: Callable[[Sample], None] | None = None
    ) -> Run:
        began = self.clock.now()
        await self._call("CreateRun", spec, due, on_sample=on_sample)
        return self.shown(self.add_run(spec, created=(began + self.clock.now()) / 2))

    async def get_run(self, run_id: str, *, due: float | None = None) -> Run:
        await self._call("GetRun", run_id, due, self._absent("GetRun", run_id))
        return self.shown(self.runs[run_id])

    async def list_runs(self, query: ListQuery, *, due: float | None = None) -> Page[Run]:
        await self._call("ListRuns", query, due)
        rows = [self.shown(run) for run in self.runs.values()]
        if query.experiment_id:
            rows = [row for row in rows if row.experiment_id == query.experiment_id]
        return self._page(rows, query)

    async def find_run(self, name: str, *, experiment_id: str = "", namespace: str = "") -> Run | None:
        page = await self.list_runs(
            ListQuery(experiment_id=experiment_id, filter=(Predicate("name", Operator.EQUALS, name),))
        )
        return next(iter(page.items), None)

    async def terminate_run(self, run_id: str, *, due: float | None = None) -> None:
        await self._call("TerminateRun", run_id, due)
        run = self.runs.get(run_id)
        if run is None or self.shown(run).state not in ACTIVE_STATES:
            raise ApiStatusError("TerminateRun", f"Failed to terminate a run {run_id}", status=400)
        run.finishes = run.reported = self.clock.now()
        run.final_state = RunState.FAILED

    async def delete_run(self, run_id: str, *, due: float | None = None) -> None:
        await self._call("DeleteRun", run_id, due)
        if self.runs.pop(run_id, None) is None:
            raise self._missing("DeleteRun", "Run", run_id)

    # -- experiments ------------------------------------------------------------------------------------------

    def _new_experiment(self, name: str, namespace: str, created: str = "") -> Experiment:
        made = Experiment(
            experiment_id=self._id("experiment"),
            display_name=name,
            namespace=namespace,
            created_text=created,
        )
        self.experiments[made.experiment_id] = made
        return made

    async def create_experiment(
        self, name: str, *, namespace: str = "", description: str = "", due: float | None = None
    ) -> Experiment:
        await self._call("CreateExperiment", name, due)
        if any((row.display_name, row.namespace) == (name, namespace) for row in self.experiments.values()):
            raise ApiStatusError("CreateExperiment", f"The name {name} already exists", status=409)
        return self._new_experiment(name, namespace, self._text(self.clock.now()))

    async def get_experiment(self, experiment_id: str, *, due: float | None = None) -> Experiment:
        await self._call(
            "GetExperiment",
            experiment_id,
            due,
            self._absent("GetExperiment", experiment_id),
        )
        return self.experiments[experiment_id]

    async def list_experiments(self, query: ListQuery, *, due: float | None = None) -> Page[Experiment]:
        await self._call("ListExperiments", query, due)
        return self._page(list(self.experiments.values()), query)

    async def find_experiment(self, name: str, *, namespace: str = "") -> Experiment | None:
        page = await self.list_experiments(
            ListQuery(namespace=namespace, filter=(Predicate("name", Operator.EQUALS, name),))
        )
        return next(iter(page.items), None)

    async def delete_experiment(self, experiment_id: str, *, due: float | None = None) -> None:
        await self._call("DeleteExperiment", experiment_id, due)
        if self.experiments.pop(experiment_id, None) is None:
            raise self._missing("DeleteExperiment", "Experiment", experiment_id)

    # -- pipelines --------------------------------------------------------------------------------------------

    async def upload_pipeline(
        self,
        content: bytes,
        *,
        name: str,
        namespace: str = "",
        description: str = "",
        due: float | None = None,
    ) -> Pipeline:
        await self._call("UploadPipeline", name, due)
        if any(row.name == name for row in self.pipelines.values()):
            raise ApiStatusError("UploadPipeline", "Failed to create a pipeline", status=409)
        self.contents.append(content)
        return self.put_pipeline(name, namespace)

    def put_pipeline(self, name: str, namespace: str = "") -> Pipeline:
        """Put a pipeline into the table, with a version of the same name."""
        made = Pipeline(pipeline_id=self._id("pipeline"), name=name, display_name=name, namespace=namespace)
        self.pipelines[made.pipeline_id] = made
        self._new_version(made.pipeline_id, name)
        return made

    def _new_version(self, pipeline_id: str, name: str) -> PipelineVersion:
        made = PipelineVersion(
            pipeline_id=pipeline_id, pipeline_version_id=self._id("version"), name=name, display_name=name
        )
        self.versions[made.pipeline_version_id] = made
        return made

    async def upload_pipeline_version(
        self, content: bytes, *, pipeline_id: str, name: str, description: str = "", due: float | None = None
    ) -> PipelineVersion:
        await self._call("UploadPipelineVersion", name, due)
        if pipeline_id not in self.pipelines:
            raise ApiStatusError("UploadPipelineVersion", "Failed to create a pipeline version", status=400)
        return self._new_version(pipeline_id, name)

    async def get_pipeline(self, pipeline_id: str, *, due: float | None = None) -> Pipeline:
        await self._call(
            "GetPipeline",
            pipeline_id,
            due,
            self._absent("GetPipeline", pipeline_id),
        )
        return self.pipelines[pipeline_id]

    async def list_pipelines(self, query: ListQuery, *, due: float | None = None) -> Page[Pipeline]:
        await self._call("ListPipelines", query, due)
        return self._page(list(self.pipelines.values()), query)

    async def find_pipeline(self, name: str, *, namespace: str = "") -> Pipeline | None:
        page = await self.list_pipelines(ListQuery(filter=(Predicate("name", Operator.EQUALS, name),)))
        return next(iter(page.items), None)

    async def delete_pipeline(
        self, pipeline_id: str, *, cascade: bool = False, due: float | None = None
    ) -> None:
        await self._call("DeletePipeline", pipeline_id, due)
        if pipeline_id not in self.pipelines:
            raise self._missing("DeletePipeline", "Pipeline", pipeline_id)
        own = [key for key, row in self.versions.items() if row.pipeline_id == pipeline_id]
        if own and not cascade:
            raise ApiStatusError(
                "DeletePipeline", f"Failed to delete pipeline with id {pipeline_id}", status=400
            )
        for key in own:
            del self.versions[key]
        del self.pipelines[pipeline_id]

    async def get_pipeline_version(
        self, pipeline_id: str, version_id: str, *, due: float | None = None
    ) -> PipelineVersion:
        await self._call(
            "GetPipelineVersion",
            version_id,
            due,
            self._absent("GetPipelineVersion", version_id),
        )
        return self.versions[version_id]

    async def list_pipeline_versions(
        self, pipeline_id: str, query: ListQuery, *, due: float | None = None
    ) -> Page[PipelineVersion]:
        await self._call("ListPipelineVersions", query, due)
        return self._page([row for row in self.versions.values() if row.pipeline_id == pipeline_id], query)

    async def delete_pipeline_version(
        self, pipeline_id: str, version_id: str, *, due: float | None = None
    ) -> None:
        await self._call("DeletePipelineVersion", version_id, due)
        if self.versions.pop(version_id, None) is None:
            raise self._missing("DeletePipelineVersion", "PipelineVersion", version_id)

    # -- recurring runs ---------------------------------------------------------------------------------------

    async def create_recurring_run(
        self,
        spec: RecurringRunSpec,
        *,
        due: float | None = None,
        on_sample: Callable[[Sample], None] | None = None,
    ) -> RecurringRun:
        await self._call("CreateRecurringRun", spec, due, on_sample=on_sample)
        made = RecurringRun(
            recurring_run_id=self._id("recurring"),
            display_name=spec.name,
            experiment_id=spec.experiment_id,
            mode="ENABLE" if spec.enabled else "DISABLE",
            status="ENABLED" if spec.enabled else "DISABLED",
            created_text=self._text(self.clock.now()),
        )
        self.recurring_runs[made.recurring_run_id] = made
        self.on_recurring_run(made, spec)
        return made

    def _recurring(self, operation: str, recurring_run_id: str) -> RecurringRun:
        if recurring_run_id not in self.recurring_runs:
            raise self._missing(operation, "Job", recurring_run_id)
        return self.recurring_runs[recurring_run_id]

    async def list_recurring_runs(self, query: ListQuery, *, due: float | None = None) -> Page[RecurringRun]:
        await self._call("ListRecurringRuns", query, due)
        return self._page(list(self.recurring_runs.values()), query)

    async def disable_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        await self._switch("DisableRecurringRun", recurring_run_id, "DISABLE", due)

    async def _switch(self, operation: str, recurring_run_id: str, mode: str, due: float | None) -> None:
        await self._call(operation, recurring_run_id, due)
        row = self._recurring(operation, recurring_run_id)
        self.recurring_runs[recurring_run_id] = msgspec.structs.replace(row, mode=mode, status=f"{mode}D")

    async def delete_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        await self._call("DeleteRecurringRun", recurring_run_id, due)
        self._recurring("DeleteRecurringRun", recurring_run_id)
        del self.recurring_runs[recurring_run_id]

    # -- lists ------------------------------------------------------------------------------------------------

    def _page(self, rows: list[Any], query: ListQuery) -> Page[Any]:
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
    raise AssertionError(f"the fake does not know {predicate.operator}")
