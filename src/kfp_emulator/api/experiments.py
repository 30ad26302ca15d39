"""Experiments: server/experiment_server.go and storage/experiment_store.go of kubeflow/pipelines."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from kfp_emulator.protocol.call import EMPTY, encode, present, reply, reply_list
from kfp_emulator.protocol.errors import (
    already_exists,
    bad_request,
    check_length,
    data_too_long,
    internal,
    invalid_input,
    wrapping,
)
from kfp_emulator.protocol.messages import EXPERIMENT
from kfp_emulator.protocol.wire import rfc3339
from kfp_emulator.server import recurring
from kfp_emulator.server.experiments import COLUMNS, ExperimentRow, find, insert
from kfp_emulator.storage.schema import EXPERIMENTS

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.protocol.errors import Answer
    from kfp_emulator.server.state import Backend

NAME_LENGTH = 128
NAMESPACE_LENGTH = 63
DESCRIPTION_LENGTH = 255


def show(row: ExperimentRow) -> dict[str, Any]:
    """Shape an experiment's row as its message."""
    return present(
        experiment_id=row.id,
        display_name=row.name,
        description=row.description,
        created_at=rfc3339(row.created_at),
        namespace=row.namespace,
        storage_state=row.storage_state,
        last_run_created_at=rfc3339(row.last_run_created_at),
    )


async def create_experiment(backend: Backend, call: Call) -> Answer:
    """POST /experiments."""
    message = call.message(EXPERIMENT)
    with wrapping("[ExperimentServer]: Failed to create a experiment due to conversion error"):
        name, namespace = _checked(message)
    namespace = backend.access.namespace(namespace)
    with wrapping("Failed to authorize the request", "Failed to create a experiment"):
        await backend.access.authorize(
            call, "create", "experiments", namespace, name, context="Failed to authorize with API"
        )
    description = message.get("description", "")
    if len(description) > DESCRIPTION_LENGTH:
        context = "Failed to add experiment to experiment table"
        raise data_too_long(context, "Description", twice=True).wrapped("Failed to create a experiment")
    try:
        experiment_id = insert(backend, name, description, namespace)
    except sqlite3.IntegrityError:
        text = f"Failed to create a new experiment. The name {name} already exists. Please specify a new name"
        raise already_exists(text).wrapped("Failed to create a experiment") from None
    return reply(show(find(backend, experiment_id)))


def _checked(message: dict[str, Any]) -> tuple[str, str]:
    context = "Failed to convert API experiment to model experiment"
    name = message.get("display_name", "")
    if not name:
        raise internal(context, invalid_input("Experiment must have a non-empty name"))
    namespace = message.get("namespace", "")
    for field, value, limit in (("Name", name, NAME_LENGTH), ("Namespace", namespace, NAMESPACE_LENGTH)):
        check_length(f"Experiment.{field}", value, limit, context)
    return name, namespace


async def _access(backend: Backend, call: Call, verb: str) -> str:
    """Check that the caller may do `verb` with the experiment of the path, and return its id."""
    experiment_id = call.path["experiment_id"]
    if backend.access.multi_user:
        with wrapping("Failed to authorize with the experiment ID", "Failed to authorize the request"):
            row = find(backend, experiment_id)
        with wrapping("Failed to authorize with API", "Failed to authorize the request"):
            await backend.access.authorize(call, verb, "experiments", row.namespace, row.name)
    return experiment_id


async def get_experiment(backend: Backend, call: Call) -> Answer:
    """GET /experiments/{experiment_id}."""
    with wrapping("Failed to fetch experiment"):
        experiment_id = await _access(backend, call, "get")
        return reply(show(find(backend, experiment_id)))


async def list_experiments(backend: Backend, call: Call) -> Answer:
    """GET /experiments."""
    with wrapping("Failed to create list options"):
        options = call.list_options(EXPERIMENTS)
    tenant = backend.access.namespace(call.text("namespace"))
    with wrapping("Failed to authorize with API", "List experiments failed"):
        await backend.access.authorize(
            call, "list", "experiments", tenant, context="Failed to authorize with API"
        )
    page = backend.store.page(EXPERIMENTS, options, "tenant", tenant, COLUMNS, "Failed to list experiments")
    bodies = [encode(show(ExperimentRow(*row))) for row in page.rows]
    return reply_list("experiments", bodies, page.total_size, page.next_page_token)


async def delete_experiment(backend: Backend, call: Call) -> Answer:
    """DELETE /experiments/{experiment_id}: its runs stay, orphaned; the default one cannot go."""
    with wrapping("Failed to delete experiment"):
        experiment_id = await _access(backend, call, "delete")
        if experiment_id == backend.store.meta("default_experiment"):
            raise bad_request(
                f"Failed to delete experiment {experiment_id}. The default experiment cannot be deleted",
                f"Invalid input error: Experiment id cannot be equal to the default id {experiment_id}",
            )
        with wrapping(f"Failed to delete experiment {experiment_id} due to error fetching it"):
            find(backend, experiment_id)
    backend.store.write("DELETE FROM experiments WHERE id = ?", (experiment_id,))
    return EMPTY


async def archive_experiment(backend: Backend, call: Call) -> Answer:
    """POST /experiments/{experiment_id}:archive: its runs are archived too, its recurring runs disabled."""
    with wrapping("Failed to archive experiment"):
        experiment_id = await _access(backend, call, "archive")
    backend.store.write("UPDATE experiments SET storage_state = 'ARCHIVED' WHERE id = ?", (experiment_id,))
    backend.runs.archive_all(experiment_id)
    recurring.disable_all(backend, experiment_id)
    return EMPTY


async def unarchive_experiment(backend: Backend, call: Call) -> Answer:
    """POST /experiments/{experiment_id}:unarchive: the experiment alone comes back."""
    with wrapping("Failed to unarchive experiment"):
        experiment_id = await _access(backend, call, "unarchive")
    backend.store.write("UPDATE experiments SET storage_state = 'AVAILABLE' WHERE id = ?", (experiment_id,))
    return EMPTY
