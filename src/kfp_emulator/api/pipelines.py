"""Pipelines: server/pipeline_server.go and storage/pipeline_store.go of kubeflow/pipelines."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from kfp_emulator.pipelines.packages import fetch_package, read_package, unpack
from kfp_emulator.protocol.call import EMPTY, encode, present, reply, reply_list
from kfp_emulator.protocol.errors import (
    ApiFault,
    already_exists,
    check_length,
    invalid_input,
    not_found,
    wrapping,
)
from kfp_emulator.protocol.messages import CREATE_PIPELINE_AND_VERSION, PIPELINE
from kfp_emulator.protocol.wire import rfc3339
from kfp_emulator.server.pipelines import COLUMNS, PipelineRow, check_tags, find, insert, insert_both
from kfp_emulator.storage.schema import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kfp_emulator.protocol.call import Call
    from kfp_emulator.protocol.errors import Answer
    from kfp_emulator.server.state import Backend

Found = TypeVar("Found")

NAME_LENGTH = 128
NAMESPACE_LENGTH = 63


def show(row: PipelineRow) -> dict[str, Any]:
    """Shape a pipeline's row as its message."""
    return present(
        pipeline_id=row.id,
        display_name=row.display_name,
        name=row.name,
        description=row.description,
        created_at=rfc3339(row.created_at),
        namespace=row.namespace,
        tags=msgspec.json.decode(row.tags),
    )


def _checked(message: dict[str, Any]) -> dict[str, str]:
    """Complete the names of a Pipeline message, and check lengths as the JSON routes do: with a 500."""
    name = message.get("name", "") or message.get("display_name", "")
    fields = {
        "name": name,
        "display_name": message.get("display_name", "") or name,
        "description": message.get("description", ""),
        "namespace": message.get("namespace", ""),
    }
    for field, key, limit in (("Name", "name", NAME_LENGTH), ("Namespace", "namespace", NAMESPACE_LENGTH)):
        context = "Failed to convert API pipeline to model pipeline"
        check_length(f"Pipeline.{field}", fields[key], limit, context)
    return fields


async def create_pipeline(backend: Backend, call: Call) -> Answer:
    """POST /pipelines: a pipeline without versions."""
    message = call.message(PIPELINE)
    with wrapping("Failed to create a pipeline as pipeline conversion failed"):
        fields = _checked(message)
    tags = message.get("tags", {})
    try:
        if not fields["name"]:
            raise invalid_input("name is required")
        await _authorize_creation(backend, call, fields)
        check_tags(tags)
        pipeline_id = insert(backend, fields, tags)
    except ApiFault as fault:
        raise fault.wrapped("Failed to create a pipeline due to server error") from None
    except sqlite3.IntegrityError:
        name = fields["name"]
        text = f"Failed to create a new pipeline. The name {name} already exist. Please specify a new name"
        raise already_exists(text).wrapped(
            "Failed to create a pipeline in PipelineStore", "Failed to create a pipeline due to server error"
        ) from None
    return reply(show(find(backend, pipeline_id)))


async def _authorize_creation(backend: Backend, call: Call, fields: dict[str, str]) -> None:
    namespace = fields["namespace"]
    context = f"Failed to access pipeline . Check if you have access to namespace {namespace}"
    with wrapping(
        "Failed to create a pipeline due to authorization error. Check if you have write permissions to "
        f"namespace {namespace}"
    ):
        await backend.access.authorize_pipeline(call, "create", namespace, fields["name"], context=context)


async def create_pipeline_and_version(backend: Backend, call: Call) -> Answer:
    """POST /pipelines/create: a pipeline and its first version, from a URL."""
    message = call.message(CREATE_PIPELINE_AND_VERSION)
    pipeline = message.get("pipeline", {})
    version = message.get("pipeline_version", {})
    url = version.get("package_url", {}).get("pipeline_url", "")
    with wrapping("Failed to create a pipeline"):
        fields = _checked(pipeline)
        await backend.access.authorize_pipeline(call, "create", fields["namespace"], fields["name"])
        file_name, content = await fetch_package(url, any_host=backend.any_package_url)
        name = fields["name"] or file_name
        fields |= {"name": name, "display_name": fields["display_name"] or name, "package_url": url}
        package = read_package(unpack(file_name, content))
        pipeline_id = insert_both(backend, fields, pipeline.get("tags", {}), version.get("tags", {}), package)
    return reply(show(find(backend, pipeline_id)))


async def authorize(backend: Backend, call: Call, verb: str, pipeline_id: str) -> None:
    """Check that the caller may do `verb` with a pipeline.

    Raises:
        ApiFault: 401, 403, or 404.

    """
    if not backend.access.multi_user:
        return
    with wrapping(
        f"Failed to access pipeline {pipeline_id}. Check if it exists and have a namespace assigned"
    ):
        row = find(backend, pipeline_id)
    with wrapping(
        f"Failed to access pipeline {pipeline_id}. Check if you have access to namespace {row.namespace}"
    ):
        await backend.access.authorize_pipeline(call, verb, row.namespace, row.name)


async def get_pipeline(backend: Backend, call: Call) -> Answer:
    """GET /pipelines/{pipeline_id}."""
    pipeline_id = call.path["pipeline_id"]
    with wrapping(f"Failed to get a pipeline {pipeline_id}. Check error stack"):
        await authorize(backend, call, "get", pipeline_id)
        with wrapping(f"Failed to get a pipeline with id {pipeline_id}"):
            row = find(backend, pipeline_id)
    return reply(show(row))


async def get_pipeline_by_name(backend: Backend, call: Call) -> Answer:
    """GET /pipelines/names/{name}."""
    name = call.path["name"]
    namespace = backend.access.namespace(call.text("namespace"))
    with wrapping(f"Failed to get a pipeline with name {name} and namespace {namespace}. Check error stack."):
        await backend.access.authorize_pipeline(call, "get", namespace, name)
        row = _named(backend, namespace, name)
        if row is None:
            fault = not_found("Namespace/Pipeline", f"{namespace}/{name}")
            raise fault.wrapped(f"Failed to get a pipeline named {name} in namespace {namespace}")
    return reply(show(row))


def _named(backend: Backend, namespace: str, name: str) -> PipelineRow | None:
    """Find a pipeline by its name; without a namespace the newest of that name in any."""
    if namespace:
        row = backend.store.one(
            f"SELECT {COLUMNS} FROM pipelines WHERE namespace = ? AND name = ?",  # noqa: S608  constant
            namespace,
            name,
        )
    else:
        row = backend.store.one(
            f"SELECT {COLUMNS} FROM pipelines WHERE name = ? ORDER BY created_at DESC LIMIT 1",  # noqa: S608  constant
            name,
        )
    return None if row is None else PipelineRow(*row)


async def list_pipelines(backend: Backend, call: Call) -> Answer:
    """GET /pipelines: in multi-user mode those of one namespace, or, without one, the shared ones."""
    try:
        options = call.list_options(PIPELINES, taggable=True)
    except ApiFault as fault:
        raise fault.wrapped(
            f"Failed to list pipelines due invalid list options: {call.list_parameters()}"
        ) from None
    namespace = backend.access.namespace(call.text("namespace"))
    context = f"Failed to list pipelines in namespace {namespace}. Check error stack"
    with wrapping(
        "Failed to list pipelines due to authorization error. Check if you have read permission to namespace "
        f"{namespace}",
        context,
    ):
        access = f"Failed to access pipeline . Check if you have access to namespace {namespace}"
        await backend.access.authorize_pipeline(call, "list", namespace, context=access)
    page = backend.store.page(PIPELINES, options, "tenant", namespace, COLUMNS, context)
    bodies = [encode(show(PipelineRow(*row))) for row in page.rows]
    return reply_list("pipelines", bodies, page.total_size, page.next_page_token)


async def update_pipeline(backend: Backend, call: Call) -> Answer:
    """PATCH /pipelines/{pipeline_id}: display_name, if given, and tags, if given (`{}` clears them)."""
    message = call.message(PIPELINE)
    pipeline_id = call.path["pipeline_id"]
    with wrapping(f"Failed to update pipeline {pipeline_id} due to authorization error"):
        await authorize(backend, call, "update", pipeline_id)
    with wrapping(f"Failed to update pipeline {pipeline_id}. Check error stack"):
        row = update_fields(backend, "pipelines", pipeline_id, message, lambda: find(backend, pipeline_id))
    return reply(show(row))


def update_fields(
    backend: Backend, table: str, key: str, message: dict[str, Any], read: Callable[[], Found]
) -> Found:
    """Change what a PATCH may change, and return the row as `read` gives it (which refuses an unknown id)."""
    check_tags(message.get("tags", {}))
    read()
    changes = {}
    if message.get("display_name"):
        changes["display_name"] = message["display_name"]
    if "tags" in message:
        changes["tags"] = encode(message["tags"]).decode()
    for column, value in changes.items():
        sql = f"UPDATE {table} SET {column} = ? WHERE id = ?"  # noqa: S608  both are constants
        backend.store.write(sql, (value, key))
    return read()


async def delete_pipeline(backend: Backend, call: Call) -> Answer:
    """DELETE /pipelines/{pipeline_id}: refused while it has versions, unless `cascade`."""
    pipeline_id = call.path["pipeline_id"]
    cascade = call.boolean("cascade")
    with wrapping(f"Failed to delete pipeline {pipeline_id}. Check error stack"):
        await authorize(backend, call, "delete", pipeline_id)
        with wrapping(f"Failed to delete pipeline with id {pipeline_id} as it was not found"):
            find(backend, pipeline_id)
        if not cascade:
            version = backend.store.one(
                "SELECT id FROM versions WHERE pipeline_id = ? ORDER BY created_at DESC, id DESC LIMIT 1",
                pipeline_id,
            )
            if version is not None:
                raise invalid_input(
                    f"Failed to delete pipeline with id {pipeline_id} as it has existing pipeline versions "
                    f"(e.g. {version[0]}). Set cascade=true to delete all versions"
                )
    backend.store.write("DELETE FROM versions WHERE pipeline_id = ?", (pipeline_id,))
    backend.store.write("DELETE FROM pipelines WHERE id = ?", (pipeline_id,))
    return EMPTY
