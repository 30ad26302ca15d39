"""Deleting what a test made."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kfp_perf.client import ListQuery, Operator, Predicate
from kfp_perf.errors import ApiError
from kfp_perf.result.journal import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kfp_perf.client import KfpClient
    from kfp_perf.pacing import Clock
    from kfp_perf.result.journal import Made

log = logging.getLogger(__name__)

#: More at a time would gain nothing: the API server's own Kubernetes client is throttled to five calls a second.
_PARALLEL = 8


async def clean_up(
    objects: Iterable[Made],
    client: KfpClient,
    clock: Clock,
    *,
    deadline: float,
    on_gone: Callable[[Made], None],
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[str]:
    """Delete the objects, kind by kind, and return a line for each that is left, with the reason.

    What is not there any more counts as deleted. An object without an id is looked up by its unique name. The
    experiment of a run that could not be deleted is left too: KFP cannot delete a run whose experiment is gone.
    """
    work = list(objects)
    left: list[str] = []
    needed: set[str] = set()  # ids of experiments that still hold runs
    done = 0
    gate = asyncio.Semaphore(_PARALLEL)

    async def delete_one(made: Made) -> None:
        nonlocal done
        async with gate:
            reason = (
                await _delete(made, client, clock, deadline)
                if made.id not in needed
                else "it still holds runs"
            )
        done += 1
        on_progress(done, len(work))
        if reason:
            left.append(f"{made.kind.value} {made.name}{f' ({made.id})' * bool(made.id)}: {reason}")
            if made.kind is Kind.RUN:
                needed.add(made.parent)
        else:
            on_gone(made)

    for kind in Kind:
        await asyncio.gather(*(delete_one(made) for made in work if made.kind is kind))
    return left


async def _delete(made: Made, client: KfpClient, clock: Clock, deadline: float) -> str:
    """Delete one object; return an empty text, or the reason why it is left."""
    if clock.now() >= deadline:
        return "the time for cleaning up was over"
    try:
        found = made.id or await _find(made, client)
        if found:
            await _DELETE[made.kind](client, found)
    except ApiError as error:
        if error.status == 404:
            # A run whose experiment is gone answers 404 as well, but is still there.
            if made.kind is Kind.RUN and "Experiment" in error.message:
                return f"its experiment is gone, so KFP cannot delete it ({error.message})"
            return ""
        log.warning("Could not delete the %s %s: %s", made.kind.value, made.name, error)
        return error.message
    return ""


async def _find(made: Made, client: KfpClient) -> str:
    """The id of the object of this name; empty where there is none."""
    if made.kind is Kind.RUN:
        run = await client.find_run(made.name, namespace=made.namespace, experiment_id=made.parent)
        return run.run_id if run else ""
    if made.kind is Kind.EXPERIMENT:
        experiment = await client.find_experiment(made.name, namespace=made.namespace)
        return experiment.experiment_id if experiment else ""
    if made.kind is Kind.PIPELINE:
        pipeline = await client.find_pipeline(made.name, namespace=made.namespace)
        return pipeline.pipeline_id if pipeline else ""
    query = ListQuery(
        namespace=made.namespace,
        experiment_id=made.parent,
        filter=(Predicate("display_name", Operator.EQUALS, made.name),),
    )
    page = await client.list_recurring_runs(query)
    return page.items[0].recurring_run_id if page.items else ""


async def _delete_run(client: KfpClient, run_id: str) -> None:
    await client.delete_run(run_id)


async def _delete_recurring_run(client: KfpClient, recurring_run_id: str) -> None:
    await client.disable_recurring_run(recurring_run_id)
    await client.delete_recurring_run(recurring_run_id)


async def _delete_experiment(client: KfpClient, experiment_id: str) -> None:
    await client.delete_experiment(experiment_id)


async def _delete_pipeline(client: KfpClient, pipeline_id: str) -> None:
    """Delete a pipeline with its versions; servers before 2.14 know no cascade, so the versions go one by one."""
    try:
        await client.delete_pipeline(pipeline_id, cascade=True)
    except ApiError as error:
        if error.status != 400:
            raise
        while (page := await client.list_pipeline_versions(pipeline_id, ListQuery(page_size=200))).items:
            for version in page.items:
                await client.delete_pipeline_version(pipeline_id, version.pipeline_version_id)
        await client.delete_pipeline(pipeline_id)


_DELETE = {
    Kind.RUN: _delete_run,
    Kind.RECURRING_RUN: _delete_recurring_run,
    Kind.EXPERIMENT: _delete_experiment,
    Kind.PIPELINE: _delete_pipeline,
}
