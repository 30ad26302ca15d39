"""RANDOM_GETS: readers of lists and details, as users of KFP's interface are."""

from __future__ import annotations

import itertools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kfp_perf.client import ListQuery
from kfp_perf.client.protocol import MAXIMUM_PAGE_SIZE
from kfp_perf.errors import ApiError, RunnerError
from kfp_perf.result.records import CallOutcome, Purpose, Sample
from kfp_perf.runners.journaled import JournaledRunner
from kfp_perf.runners.known_objects import KnownObjects
from kfp_perf.runners.list_queries import IN_EXPERIMENT, Views
from kfp_perf.runners.reports import ReadReport
from kfp_perf.scenario.model import DEFAULT_MIX, TestScenario
from kfp_perf.statistics.random_streams import random_stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kfp_perf.client.messages import Page
    from kfp_perf.runners.list_queries import OpenList

Item = TypeVar("Item")
Ids = TypeVar("Ids", bound="str | tuple[str, ...]")

_VERSIONS_OF = 20
"""The number of pipelines whose versions are listed before the start."""

_requested: ContextVar[tuple[str, ...]] = ContextVar("requested", default=())
"""The ids that the call under way names (a list of runs: that of an experiment)."""


class RandomGetsRunner(JournaledRunner):
    """Reads at random, by the weights of `mix`, objects that lists have shown; creates nothing."""

    def __init__(self, test_scenario: TestScenario, **given: Any) -> None:
        self.report = ReadReport()
        super().__init__(test_scenario, **given)
        # Two streams, so that a seed gives the same calls in the same order for any answers.
        self._calls = random_stream(self.seed, "calls")
        chance = self._chance = random_stream(self.seed, "choices")
        mix = (DEFAULT_MIX if test_scenario.mix is None else test_scenario.mix).items()
        self._mix = tuple(call for call, weight in mix if weight > 0)
        self._weights = tuple(itertools.accumulate(weight for _, weight in mix if weight > 0))
        self._runs: KnownObjects[str] = KnownObjects(chance)
        self._experiments: KnownObjects[str] = KnownObjects(chance)
        self._pipelines: KnownObjects[str] = KnownObjects(chance)
        self._versions: KnownObjects[tuple[str, str]] = KnownObjects(chance)
        self._views = {
            call: Views(call, self.namespace, chance)
            for call in ("ListRuns", "ListExperiments", "ListPipelines")
        }
        self._views["ListPipelineVersions"] = Views("ListPipelineVersions", "", chance)

    async def prepare(self) -> None:
        """Create the rows of `prefill`, and list the objects that exist."""
        await super().prepare()
        client = self.client.for_purpose(Purpose.SETUP)
        newest = ListQuery(namespace=self.namespace, page_size=MAXIMUM_PAGE_SIZE, sort_by="created_at desc")
        self._runs.add(run.run_id for run in (await client.list_runs(newest)).items)
        self._experiments.add(one.experiment_id for one in (await client.list_experiments(newest)).items)
        self._pipelines.add(one.pipeline_id for one in (await client.list_pipelines(newest)).items)
        for pipeline_id in itertools.islice(self._pipelines, _VERSIONS_OF):
            page = await client.list_pipeline_versions(pipeline_id, ListQuery(sort_by="created_at desc"))
            self._versions.add((pipeline_id, one.pipeline_version_id) for one in page.items)

    async def run(self) -> None:
        """Read until `end_at`."""
        await self.drive_load(self.run_once, self.skip)
        tried = self.report.reads + self.report.failed
        if tried and self.report.reads == self.report.gone:
            last = self.progress.last_error or "all objects that were requested had been deleted"
            raise RunnerError(f"Not one of {tried} reads succeeded. The last error: {last}")

    def reports(self) -> dict[str, Any]:
        """Add the readers' report."""
        return super().reports() | {"reads": self.report}

    async def run_once(self, _index: int, due: float) -> bool:
        """Read once. Return False where the server failed."""
        call = self._draw()
        self.progress.in_flight += 1
        try:
            await _READS[call](self, due)
        except ApiError as error:
            self.report.failed += 1
            self.progress.last_error = str(error)
            return False
        finally:
            self.progress.in_flight -= 1
        self.report.reads += 1
        return True

    def skip(self, _index: int, due: float) -> None:
        """Record a read that was due and never started."""
        call = self._draw()
        self.record_sample(Sample(call, due, self.end_at, outcome=CallOutcome.NEVER_STARTED))

    def _draw(self) -> str:
        return self._calls.choices(self._mix, cum_weights=self._weights)[0]

    def record_sample(self, sample: Sample) -> None:
        """Record one operation; a read of an object that another client has deleted is no error."""
        if sample.purpose is Purpose.LOAD and sample.outcome is CallOutcome.FAILED and _is_gone(sample):
            sample = msgspec.structs.replace(sample, outcome=CallOutcome.GONE)
        super().record_sample(sample)

    # -- lists ------------------------------------------------------------------------------------------------

    async def list_runs(self, due: float) -> None:
        """Read a page of runs, of all or of an experiment."""
        in_one = self._chance.random() < IN_EXPERIMENT
        shown = self._views["ListRuns"].next(experiment_id=(self._experiments.pick() or "") if in_one else "")
        page = await self._look("ListRuns", shown, self.client.list_runs(shown.query, due=due))
        self._runs.add(run.run_id for run in page)

    async def list_experiments(self, due: float) -> None:
        """Read a page of experiments."""
        shown = self._views["ListExperiments"].next()
        page = await self._look("ListExperiments", shown, self.client.list_experiments(shown.query, due=due))
        self._experiments.add(experiment.experiment_id for experiment in page)

    async def list_pipelines(self, due: float) -> None:
        """Read a page of pipelines."""
        shown = self._views["ListPipelines"].next()
        page = await self._look("ListPipelines", shown, self.client.list_pipelines(shown.query, due=due))
        self._pipelines.add(pipeline.pipeline_id for pipeline in page)

    async def list_versions(self, due: float) -> None:
        """Read a page of a pipeline's versions."""
        pipeline_id = self._pipelines.pick()
        if pipeline_id is None:
            self.report.nothing_to_get += 1
            await self.list_pipelines(due)
            return
        shown = self._views["ListPipelineVersions"].next(scope=pipeline_id)
        answer = self.client.list_pipeline_versions(shown.scope, shown.query, due=due)
        page = await self._look("ListPipelineVersions", shown, answer)
        self._versions.add((shown.scope, version.pipeline_version_id) for version in page)

    async def _look(self, call: str, shown: OpenList, answer: Awaitable[Page[Item]]) -> list[Item]:
        """Return the items of a page; none where the experiment or pipeline of the list has been deleted."""
        views = self._views[call]
        _requested.set(tuple(filter(None, (shown.query.experiment_id, shown.scope))))
        try:
            page = await answer
        except ApiError as error:
            if not _is_gone(error):
                raise
            self.report.gone += 1
            self._experiments.remove(shown.query.experiment_id)
            self._pipelines.remove(shown.scope)
            views.close(shown)
            return []
        views.add(shown, page)
        self.report.later_pages += shown.page > 0
        self.report.deepest_page = max(self.report.deepest_page, shown.page + 1)
        return page.items

    # -- details ----------------------------------------------------------------------------------------------

    async def get_run(self, due: float) -> None:
        """Read a run's details."""
        get = self.client.get_run
        await self._get(self._runs, lambda run_id: get(run_id, due=due), self.list_runs, due)

    async def get_experiment(self, due: float) -> None:
        """Read an experiment's details."""
        get = self.client.get_experiment
        await self._get(self._experiments, lambda one: get(one, due=due), self.list_experiments, due)

    async def get_pipeline(self, due: float) -> None:
        """Read a pipeline's details."""
        get = self.client.get_pipeline
        await self._get(self._pipelines, lambda one: get(one, due=due), self.list_pipelines, due)

    async def get_version(self, due: float) -> None:
        """Read a version's details."""
        get = self.client.get_pipeline_version
        await self._get(self._versions, lambda ids: get(*ids, due=due), self.list_versions, due)

    async def _get(
        self,
        known: KnownObjects[Ids],
        get: Callable[[Ids], Awaitable[object]],
        look: Callable[[float], Awaitable[None]],
        due: float,
    ) -> None:
        """Get one of the known objects; where there is none, read the list instead."""
        ids = known.pick()
        if ids is None:
            self.report.nothing_to_get += 1
            await look(due)
            return
        _requested.set((ids,) if isinstance(ids, str) else ids)
        try:
            await get(ids)
        except ApiError as error:
            if not _is_gone(error):
                raise
            self.report.gone += 1
            known.remove(ids)


def _is_gone(answer: Sample | ApiError) -> bool:
    """Whether the API server answered that the object does not exist.

    Its text is `Run <id> not found`, and likewise for all kinds (NewResourceNotFoundError of the API server). A
    404 with another text is from a proxy that has no route to it.
    """
    return answer.status == 404 and any(f"{one} not found" in answer.message for one in _requested.get())


_READS: dict[str, Callable[[RandomGetsRunner, float], Awaitable[None]]] = {
    "ListRuns": RandomGetsRunner.list_runs,
    "ListExperiments": RandomGetsRunner.list_experiments,
    "ListPipelines": RandomGetsRunner.list_pipelines,
    "ListPipelineVersions": RandomGetsRunner.list_versions,
    "GetRun": RandomGetsRunner.get_run,
    "GetExperiment": RandomGetsRunner.get_experiment,
    "GetPipeline": RandomGetsRunner.get_pipeline,
    "GetPipelineVersion": RandomGetsRunner.get_version,
}
