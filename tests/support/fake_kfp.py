"""A client of the KFP API over `FakeServer`, without sockets, for unit tests."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Self

import msgspec
from fake_server import FakeServer

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
    RunSpec,
    RunState,
)
from kfp_perf.client.protocol import ListQuery, Operator, Predicate
from kfp_perf.errors import ApiStatusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_perf.result.records import Purpose, Sample


class FakeKfp(FakeServer):
    """Implements `KfpClient` over a fake server."""

    url = "http://fake.test"
    proxy = None
    retries = 0
    backoff_seconds = 0.0

    def for_purpose(self, purpose: Purpose) -> Self:
        view = copy.copy(self)
        view.purpose = purpose
        return view

    def redact(self, text: str) -> str:
        return text.replace("s3cret", "[hidden]")

    async def aclose(self) -> None:
        self.closed += 1

    async def healthz(self, *, due: float | None = None) -> Healthz:
        await self.answer("GetHealthz", None, due)
        return Healthz(commit_sha="fake", tag_name="2.17.0", multi_user=self.multi_user)

    # -- runs -------------------------------------------------------------------------------------------------

    async def create_run(
        self, spec: RunSpec, *, due: float | None = None, on_sample: Callable[[Sample], None] | None = None
    ) -> Run:
        began = self.clock.now()
        await self.answer("CreateRun", spec, due, on_sample=on_sample)
        return self.shown(self.add_run(spec, created=(began + self.clock.now()) / 2))

    async def get_run(self, run_id: str, *, due: float | None = None) -> Run:
        await self.answer("GetRun", run_id, due, self.absent("GetRun", run_id))
        return self.shown(self.runs[run_id])

    async def list_runs(self, query: ListQuery, *, due: float | None = None) -> Page[Run]:
        await self.answer("ListRuns", query, due)
        rows = [self.shown(run) for run in self.runs.values()]
        if query.experiment_id:
            rows = [row for row in rows if row.experiment_id == query.experiment_id]
        return self.page(rows, query)

    async def find_run(self, name: str, *, experiment_id: str = "", namespace: str = "") -> Run | None:
        page = await self.list_runs(
            ListQuery(experiment_id=experiment_id, filter=(Predicate("name", Operator.EQUALS, name),))
        )
        return next(iter(page.items), None)

    async def terminate_run(self, run_id: str, *, due: float | None = None) -> None:
        await self.answer("TerminateRun", run_id, due)
        run = self.runs.get(run_id)
        if run is None or self.shown(run).state not in ACTIVE_STATES:
            raise ApiStatusError("TerminateRun", f"Failed to terminate a run {run_id}", status=400)
        run.finishes = run.reported = self.clock.now()
        run.final_state = RunState.FAILED

    async def delete_run(self, run_id: str, *, due: float | None = None) -> None:
        await self.answer("DeleteRun", run_id, due)
        if self.runs.pop(run_id, None) is None:
            raise self.missing("DeleteRun", "Run", run_id)

    # -- experiments ------------------------------------------------------------------------------------------

    async def create_experiment(
        self, name: str, *, namespace: str = "", description: str = "", due: float | None = None
    ) -> Experiment:
        await self.answer("CreateExperiment", name, due)
        if any((row.display_name, row.namespace) == (name, namespace) for row in self.experiments.values()):
            raise ApiStatusError("CreateExperiment", f"The name {name} already exists", status=409)
        return self.new_experiment(name, namespace, self.text(self.clock.now()))

    async def get_experiment(self, experiment_id: str, *, due: float | None = None) -> Experiment:
        await self.answer(
            "GetExperiment",
            experiment_id,
            due,
            self.absent("GetExperiment", experiment_id),
        )
        return self.experiments[experiment_id]

    async def list_experiments(self, query: ListQuery, *, due: float | None = None) -> Page[Experiment]:
        await self.answer("ListExperiments", query, due)
        return self.page(list(self.experiments.values()), query)

    async def find_experiment(self, name: str, *, namespace: str = "") -> Experiment | None:
        page = await self.list_experiments(
            ListQuery(namespace=namespace, filter=(Predicate("name", Operator.EQUALS, name),))
        )
        return next(iter(page.items), None)

    async def delete_experiment(self, experiment_id: str, *, due: float | None = None) -> None:
        await self.answer("DeleteExperiment", experiment_id, due)
        if self.experiments.pop(experiment_id, None) is None:
            raise self.missing("DeleteExperiment", "Experiment", experiment_id)

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
        await self.answer("UploadPipeline", name, due)
        if any(row.name == name for row in self.pipelines.values()):
            raise ApiStatusError("UploadPipeline", "Failed to create a pipeline", status=409)
        self.contents.append(content)
        return self.put_pipeline(name, namespace)

    async def upload_pipeline_version(
        self, content: bytes, *, pipeline_id: str, name: str, description: str = "", due: float | None = None
    ) -> PipelineVersion:
        await self.answer("UploadPipelineVersion", name, due)
        if pipeline_id not in self.pipelines:
            raise ApiStatusError("UploadPipelineVersion", "Failed to create a pipeline version", status=400)
        return self.new_version(pipeline_id, name)

    async def get_pipeline(self, pipeline_id: str, *, due: float | None = None) -> Pipeline:
        await self.answer(
            "GetPipeline",
            pipeline_id,
            due,
            self.absent("GetPipeline", pipeline_id),
        )
        return self.pipelines[pipeline_id]

    async def list_pipelines(self, query: ListQuery, *, due: float | None = None) -> Page[Pipeline]:
        await self.answer("ListPipelines", query, due)
        return self.page(list(self.pipelines.values()), query)

    async def find_pipeline(self, name: str, *, namespace: str = "") -> Pipeline | None:
        page = await self.list_pipelines(ListQuery(filter=(Predicate("name", Operator.EQUALS, name),)))
        return next(iter(page.items), None)

    async def delete_pipeline(
        self, pipeline_id: str, *, cascade: bool = False, due: float | None = None
    ) -> None:
        await self.answer("DeletePipeline", pipeline_id, due)
        if pipeline_id not in self.pipelines:
            raise self.missing("DeletePipeline", "Pipeline", pipeline_id)
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
        await self.answer(
            "GetPipelineVersion",
            version_id,
            due,
            self.absent("GetPipelineVersion", version_id),
        )
        return self.versions[version_id]

    async def list_pipeline_versions(
        self, pipeline_id: str, query: ListQuery, *, due: float | None = None
    ) -> Page[PipelineVersion]:
        await self.answer("ListPipelineVersions", query, due)
        return self.page([row for row in self.versions.values() if row.pipeline_id == pipeline_id], query)

    async def delete_pipeline_version(
        self, pipeline_id: str, version_id: str, *, due: float | None = None
    ) -> None:
        await self.answer("DeletePipelineVersion", version_id, due)
        if self.versions.pop(version_id, None) is None:
            raise self.missing("DeletePipelineVersion", "PipelineVersion", version_id)

    # -- recurring runs ---------------------------------------------------------------------------------------

    async def create_recurring_run(
        self,
        spec: RecurringRunSpec,
        *,
        due: float | None = None,
        on_sample: Callable[[Sample], None] | None = None,
    ) -> RecurringRun:
        await self.answer("CreateRecurringRun", spec, due, on_sample=on_sample)
        made = RecurringRun(
            recurring_run_id=self.new_id("recurring"),
            display_name=spec.name,
            experiment_id=spec.experiment_id,
            mode="ENABLE" if spec.enabled else "DISABLE",
            status="ENABLED" if spec.enabled else "DISABLED",
            created_text=self.text(self.clock.now()),
        )
        self.recurring_runs[made.recurring_run_id] = made
        self.on_recurring_run(made, spec)
        return made

    def _recurring(self, operation: str, recurring_run_id: str) -> RecurringRun:
        if recurring_run_id not in self.recurring_runs:
            raise self.missing(operation, "Job", recurring_run_id)
        return self.recurring_runs[recurring_run_id]

    async def list_recurring_runs(self, query: ListQuery, *, due: float | None = None) -> Page[RecurringRun]:
        await self.answer("ListRecurringRuns", query, due)
        return self.page(list(self.recurring_runs.values()), query)

    async def disable_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        await self._switch("DisableRecurringRun", recurring_run_id, "DISABLE", due)

    async def _switch(self, operation: str, recurring_run_id: str, mode: str, due: float | None) -> None:
        await self.answer(operation, recurring_run_id, due)
        row = self._recurring(operation, recurring_run_id)
        self.recurring_runs[recurring_run_id] = msgspec.structs.replace(row, mode=mode, status=f"{mode}D")

    async def delete_recurring_run(self, recurring_run_id: str, *, due: float | None = None) -> None:
        await self.answer("DeleteRecurringRun", recurring_run_id, due)
        self._recurring("DeleteRecurringRun", recurring_run_id)
        del self.recurring_runs[recurring_run_id]
