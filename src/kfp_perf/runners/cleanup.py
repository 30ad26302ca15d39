"""Deletion of the objects that a test created."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import msgspec

from kfp_perf.client import ListQuery, Operator, Predicate
from kfp_perf.client.protocol import MAXIMUM_PAGE_SIZE
from kfp_perf.errors import ApiError
from kfp_perf.result.journal import ObjectKind
from kfp_perf.runners.repeated import RepeatedWarnings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from kfp_perf.client import KfpClient
    from kfp_perf.client.messages import Run
    from kfp_perf.pacing import Clock
    from kfp_perf.result.journal import Made

log = logging.getLogger(__name__)

#: More at a time would gain nothing: the API server's own Kubernetes client is throttled to five calls a second.
_PARALLEL = 8
#: The pause between attempts to delete an object after the server answered with an error.
_PAUSES_SECONDS = (0.5, 2.0)
#: A clean-up takes at most this long, plus this for each object.
_MOST_SECONDS, _MOST_SECONDS_PER_OBJECT = 3600.0, 2.0


async def clean_up(
    objects: Iterable[Made],
    client: KfpClient,
    clock: Clock,
    *,
    patience_seconds: float,
    spared: Collection[str] = (),
    on_gone: Callable[[Made], None],
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[str]:
    """Delete the objects, kind by kind, and return a line for each that is left, with the reason.

    Goes on for as long as objects get deleted, and gives up when none was for `patience_seconds`. The API server
    deletes about five a second, so 10,000 of them may take half an hour.

    An object that no longer exists counts as deleted. An object without an id is looked up by its unique name. A
    schedule is deleted with the runs that it started, an experiment with its runs, a pipeline with its versions;
    runs whose ids are `spared` stay. The experiment of a run that could not be deleted stays too: KFP cannot
    delete a run whose experiment is gone.
    """
    work = list(objects)
    left: list[str] = []
    needed: set[str] = set()  # ids of experiments that still hold runs
    done = 0
    gate = asyncio.Semaphore(_PARALLEL)
    patience = _Patience(clock, patience_seconds, len(work))
    deletion = _Deletion(client, clock, patience, frozenset(spared))

    async def delete_one(made: Made) -> None:
        nonlocal done
        async with gate:
            reason = await deletion.of(made) if made.id not in needed else "it still holds runs"
        done += 1
        on_progress(done, len(work))
        if reason:
            left.append(f"{made.kind.value} {made.name}{f' ({made.id})' * bool(made.id)}: {reason}")
            if made.parent and made.kind in {ObjectKind.RUN, ObjectKind.RECURRING_RUN}:
                needed.add(made.parent)
        else:
            on_gone(made)

    async def end_schedule(made: Made) -> None:
        async with gate:
            await deletion.end_schedule(made)

    await asyncio.gather(*(end_schedule(made) for made in work if made.kind is ObjectKind.RECURRING_RUN))
    for kind in ObjectKind:
        await asyncio.gather(*(delete_one(made) for made in work if made.kind is kind))
    deletion.warnings.summarize()
    return left


class _Patience:
    """The time limits of the clean-up: since the last deletion, and in total."""

    def __init__(self, clock: Clock, seconds: float, objects: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until = clock.now() + seconds
        # A server that went on to list new runs without end would keep it going.
        self._latest = self._until + _MOST_SECONDS + objects * _MOST_SECONDS_PER_OBJECT

    @property
    def over(self) -> bool:
        """Whether to give up."""
        return self._clock.now() >= self._until

    def deleted(self) -> None:
        """Record that an object was deleted."""
        self._until = min(self._latest, self._clock.now() + self._seconds)


class _Deletion:
    """How objects of each kind are deleted."""

    def __init__(self, client: KfpClient, clock: Clock, patience: _Patience, spared: frozenset[str]) -> None:
        self._client = client
        self._clock = clock
        self._patience = patience
        self.warnings = RepeatedWarnings(log)
        self._spared = spared
        self._ended: dict[str, str] = {}  # ids of schedules by name
        self._by_kind = {
            ObjectKind.RUN: self._run,
            ObjectKind.RECURRING_RUN: self._recurring_run,
            ObjectKind.EXPERIMENT: self._experiment,
            ObjectKind.PIPELINE: self._pipeline,
        }

    async def of(self, made: Made) -> str:
        """Delete one object; return an empty text, or why it is left. A failed call is repeated."""
        pauses = iter(_PAUSES_SECONDS)
        while True:
            if self._patience.over:
                return _TOO_LATE
            try:
                found = made.id or self._ended.get(made.name) or await _find(made, self._client)
                if found:
                    await self._by_kind[made.kind](found, made)
            except ApiError as error:
                if error.says_gone:
                    return ""
                pause = next(pauses, None) if error.status >= 500 else None
                if pause is None:
                    self.warnings.add(
                        f"delete {'an' if made.kind is ObjectKind.EXPERIMENT else 'a'} {made.kind.value}",
                        f"{made.name}: {error}",
                    )
                    return error.message
                await self._clock.sleep_until(self._clock.now() + pause)
            except _Left as reason:
                return str(reason)
            else:
                self._patience.deleted()
                return ""

    def _check_time(self) -> None:
        """Bound every loop that a server could keep going."""
        if self._patience.over:
            raise _Left(_TOO_LATE)

    async def _run(self, run_id: str, _made: Made) -> None:
        await self._delete_run(run_id)

    async def _delete_run(self, run_id: str) -> None:
        try:
            await self._client.delete_run(run_id)
            self._patience.deleted()
        except ApiError as error:
            if not error.says_gone:
                raise
            # A run whose experiment is gone answers 404 as well, but is still there.
            if "Experiment" in error.message:
                raise _Left(
                    f"the experiment of the run {run_id} is gone, so KFP cannot delete it ({error.message})"
                ) from error

    async def end_schedule(self, made: Made) -> None:
        """Delete a schedule first, so that it starts no more runs. Failures are reported by the later attempt."""
        with contextlib.suppress(ApiError, _Left):
            self._check_time()
            found = made.id or await _find(made, self._client)
            if found:
                await self._client.delete_recurring_run(found)
            self._ended[made.name] = found

    async def _recurring_run(self, recurring_run_id: str, made: Made) -> None:
        """Delete the runs that a schedule started, whose names the server chose, and the schedule if it exists."""
        started = Predicate("recurring_run_id", Operator.EQUALS, recurring_run_id)
        query = ListQuery(
            namespace="" if made.parent else made.namespace, experiment_id=made.parent, filter=(started,)
        )
        await self._runs(query, lambda run: run.recurring_run_id == recurring_run_id)
        if made.name not in self._ended:
            await self._client.delete_recurring_run(recurring_run_id)

    async def _experiment(self, experiment_id: str, _made: Made) -> None:
        """Delete an experiment with its runs: KFP would leave them, and then refuse to delete them."""
        await self._runs(
            ListQuery(experiment_id=experiment_id), lambda run: run.experiment_id == experiment_id
        )
        await self._client.delete_experiment(experiment_id)

    async def _runs(self, query: ListQuery, ours: Callable[[Run], bool]) -> None:
        """Delete the runs that a query finds, each once, even if the server lists them again.

        A server or gateway that ignores a filter lists runs of others too: only `ours` are deleted.
        """
        query = msgspec.structs.replace(query, page_size=MAXIMUM_PAGE_SIZE)
        seen = set(self._spared)
        while True:
            self._check_time()
            page = await self._client.list_runs(query)
            found = [run.run_id for run in page.items if ours(run) and run.run_id not in seen]
            seen.update(found)
            for run_id in found:
                self._check_time()
                await self._delete_run(run_id)
            if found:
                continue  # what followed has moved up to this page
            if not page.next_page_token:
                return
            query = query.next(page.next_page_token)

    async def _pipeline(self, pipeline_id: str, _made: Made) -> None:
        """Delete a pipeline with its versions, one by one where the server has no cascade (before 2.14)."""
        client = self._client
        try:
            await client.delete_pipeline(pipeline_id, cascade=True)
        except ApiError as error:
            if error.status != 400:
                raise
            query = ListQuery(page_size=MAXIMUM_PAGE_SIZE)
            while (page := await client.list_pipeline_versions(pipeline_id, query)).items:
                for version in page.items:
                    self._check_time()
                    await client.delete_pipeline_version(pipeline_id, version.pipeline_version_id)
            await client.delete_pipeline(pipeline_id)


class _Left(Exception):
    """An object has to be left; the text is the reason."""


_TOO_LATE = "nothing could be deleted any more (KFP_PERF_CLEANUP_TIMEOUT_SECONDS)"


async def _find(made: Made, client: KfpClient) -> str:
    """The id of the object of this name; empty where there is none."""
    if made.kind is ObjectKind.RUN:
        run = await client.find_run(made.name, namespace=made.namespace, experiment_id=made.parent)
        return run.run_id if run else ""
    if made.kind is ObjectKind.EXPERIMENT:
        experiment = await client.find_experiment(made.name, namespace=made.namespace)
        return experiment.experiment_id if experiment else ""
    if made.kind is ObjectKind.PIPELINE:
        pipeline = await client.find_pipeline(made.name, namespace=made.namespace)
        return pipeline.pipeline_id if pipeline else ""
    query = ListQuery(
        namespace=made.namespace,
        experiment_id=made.parent,
        page_size=MAXIMUM_PAGE_SIZE,
        filter=(Predicate("display_name", Operator.EQUALS, made.name),),
    )
    page = await client.list_recurring_runs(query)
    return next((one.recurring_run_id for one in page.items if one.display_name == made.name), "")
