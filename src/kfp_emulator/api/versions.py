"""Pipeline versions: server/pipeline_server.go and storage/pipeline_store.go of kubeflow/pipelines."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.api import pipelines
from kfp_emulator.pipelines.packages import check_pipeline_name, fetch_package, read_package, unpack
from kfp_emulator.protocol.call import EMPTY, encode, present, reply, reply_list
from kfp_emulator.protocol.errors import ApiFault, already_exists, internal, invalid_input, not_found
from kfp_emulator.protocol.messages import PIPELINE_VERSION
from kfp_emulator.protocol.wire import rfc3339
from kfp_emulator.storage.schema import VERSIONS

if TYPE_CHECKING:
    from kfp_emulator.backend import Backend
    from kfp_emulator.pipelines.packages import Package
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.protocol.errors import Answer
    from kfp_emulator.storage.store import Row

COLUMNS = (
    "id, pipeline_id, name, display_name, description, created_at, package_url, code_source_url, tags,"
    " (SELECT document FROM specs WHERE specs.id = spec_id)"
)
NAME_LENGTH = 127


def show(row: Row) -> dict[str, Any]:
    """Shape a version's row as its message."""
    (
        version_id,
        pipeline_id,
        name,
        display_name,
        description,
        created_at,
        package_url,
        source_url,
        tags,
        spec,
    ) = row
    return present(
        pipeline_id=pipeline_id,
        pipeline_version_id=version_id,
        display_name=display_name,
        name=name,
        description=description,
        created_at=rfc3339(created_at),
        package_url=present(pipeline_url=package_url),
        code_source_url=source_url,
        pipeline_spec=msgspec.Raw(spec),
        tags=msgspec.json.decode(tags),
    )


def find(backend: Backend, version_id: str) -> Row:
    """Return a version's row.

    Raises:
        ApiFault: 404.

    """
    row = backend.store.one(f"SELECT {COLUMNS} FROM versions WHERE id = ?", version_id)  # noqa: S608  constant
    if row is None:
        raise not_found("PipelineVersion", version_id).wrapped(
            f"Failed to get a pipeline version with id {version_id}"
        )
    return row


def spec_of(backend: Backend, version_id: str) -> str:
    """Return the id of the spec of a version that exists."""
    row = backend.store.one("SELECT spec_id FROM versions WHERE id = ?", version_id)
    return "" if row is None else str(row[0])


def newest(backend: Backend, pipeline_id: str) -> Row:
    """Return the newest version of a pipeline.

    Raises:
        ApiFault: 404, there is no such pipeline, or it has no version.

    """
    try:
        pipelines.find(backend, pipeline_id)
    except ApiFault as fault:
        raise fault.wrapped("Failed to get the latest pipeline version as pipeline was not found") from None
    row = backend.store.one(
        f"SELECT {COLUMNS} FROM versions WHERE pipeline_id = ? ORDER BY created_at DESC, id DESC LIMIT 1",  # noqa: S608  constant
        pipeline_id,
    )
    if row is None:
        raise not_found("PipelineVersion", pipeline_id).wrapped(
            "Failed to get the latest pipeline version for a pipeline"
        )
    return row


def add(
    backend: Backend, pipeline_id: str, fields: dict[str, str], tags: dict[str, str], package: Package
) -> str:
    """Add a version to a pipeline, and return its id.

    Raises:
        ApiFault: 400 for its tags or its spec's name; 409 where the name is taken.

    """
    check_pipeline_name(package.pipeline.name)
    pipelines.check_tags(tags)
    try:
        return pipelines.insert_version(backend, pipeline_id, fields, tags, package)
    except sqlite3.IntegrityError:
        name = fields["name"]
        text = f"Failed to create a new pipeline version. The name {name} already exist. Specify a new name"
        raise already_exists(text).wrapped("Failed to create pipeline version in PipelineStore") from None


async def create_version(backend: Backend, call: Call) -> Answer:
    """POST /pipelines/{pipeline_id}/versions: from a URL; the body must repeat the pipeline's id."""
    message = call.message(PIPELINE_VERSION)
    pipeline_id = call.path["pipeline_id"]
    url = message.get("package_url", {}).get("pipeline_url", "")
    if not message:
        raise invalid_input("Failed to create a pipeline version. Pipeline version is nil")
    if "package_url" not in message:
        raise invalid_input("Failed to create a pipeline version. Package URL is nil")
    if not url:
        raise invalid_input("Failed to create a pipeline version. Package URL is empty")
    if not message.get("pipeline_id"):
        raise invalid_input("Failed to create a pipeline version. Parent pipeline id is empty")
    try:
        fields = _checked(message)
    except ApiFault as fault:
        raise fault.wrapped("Failed to create a pipeline version due to conversion error") from None
    try:
        if not fields["name"]:
            raise invalid_input("name is required")
        await pipelines.authorize(backend, call, "create", pipeline_id)
        file_name, content = await fetch_package(url, any_host=backend.any_package_url)
        package = read_package(unpack(file_name, content))
        pipelines.find(backend, pipeline_id)
        version_id = add(
            backend, pipeline_id, fields | {"package_url": url}, message.get("tags", {}), package
        )
    except ApiFault as fault:
        raise fault.wrapped("Failed to create a pipeline version. Check error stack") from None
    return reply(show(find(backend, version_id)))


def _checked(message: dict[str, Any]) -> dict[str, str]:
    name = message.get("name", "") or message.get("display_name", "")
    if len(name.encode()) > NAME_LENGTH:
        raise internal(
            "Failed to convert API pipeline version to model pipeline version",
            invalid_input(f"PipelineVersion.Name length cannot exceed {NAME_LENGTH}"),
        )
    return {
        "name": name,
        "display_name": message.get("display_name", "") or name,
        "description": message.get("description", ""),
        "code_source_url": message.get("code_source_url", ""),
    }


async def _authorize(backend: Backend, call: Call, verb: str, version_id: str) -> None:
    if not backend.access.multi_user:
        return
    try:
        row = find(backend, version_id)
    except ApiFault as fault:
        raise fault.wrapped(f"Failed to access pipeline version {version_id}. Check if it exists") from None
    await pipelines.authorize(backend, call, verb, row[1])


async def get_version(backend: Backend, call: Call) -> Answer:
    """GET /pipelines/{pipeline_id}/versions/{pipeline_version_id}: the pipeline's id is not looked at."""
    version_id = call.path["pipeline_version_id"]
    try:
        await _authorize(backend, call, "get", version_id)
        return reply(show(find(backend, version_id)))
    except ApiFault as fault:
        raise fault.wrapped(f"Failed to get a pipeline version {version_id}") from None


async def list_versions(backend: Backend, call: Call) -> Answer:
    """GET /pipelines/{pipeline_id}/versions."""
    pipeline_id = call.path["pipeline_id"]
    try:
        options = call.list_options(VERSIONS, taggable=True)
    except ApiFault as fault:
        raise fault.wrapped("Failed to list pipeline versions due invalid list options") from None
    context = f"Failed to list pipeline versions for pipeline {pipeline_id}"
    try:
        try:
            pipelines.find(backend, pipeline_id)
        except ApiFault as fault:
            raise fault.wrapped(
                f"Failed to get namespace for pipeline id {pipeline_id}",
                f"Failed to list pipeline versions due to error fetching the namespace for pipeline {pipeline_id}",
            ) from None
        await pipelines.authorize(backend, call, "list", pipeline_id)
    except ApiFault as fault:
        raise fault.wrapped(context) from None
    page = backend.store.page(VERSIONS, options, "pipeline_id", pipeline_id, COLUMNS, context)
    bodies = [encode(show(row)) for row in page.rows]
    return reply_list("pipeline_versions", bodies, page.total_size, page.next_page_token)


async def update_version(backend: Backend, call: Call) -> Answer:
    """PATCH /pipelines/{pipeline_id}/versions/{pipeline_version_id}: display_name and tags."""
    message = call.message(PIPELINE_VERSION)
    version_id = call.path["pipeline_version_id"]
    try:
        await _authorize(backend, call, "update", version_id)
    except ApiFault as fault:
        context = f"Failed to update pipeline version {version_id} due to authorization error"
        raise fault.wrapped(context) from None
    try:
        row = pipelines.update_fields(
            backend, "versions", version_id, message, lambda: find(backend, version_id)
        )
    except ApiFault as fault:
        raise fault.wrapped(f"Failed to update pipeline version {version_id}. Check error stack") from None
    return reply(show(row))


async def delete_version(backend: Backend, call: Call) -> Answer:
    """DELETE /pipelines/{pipeline_id}/versions/{pipeline_version_id}."""
    pipeline_id, version_id = call.path["pipeline_id"], call.path["pipeline_version_id"]
    try:
        await pipelines.authorize(backend, call, "delete", pipeline_id)
        try:
            find(backend, version_id)
        except ApiFault as fault:
            raise fault.wrapped(
                f"Failed to delete pipeline version with id {version_id} as it was not found"
            ) from None
    except ApiFault as fault:
        raise fault.wrapped(
            f"Failed to delete a pipeline version id {version_id} under pipeline id {pipeline_id}. "
            "Check error stack"
        ) from None
    backend.store.write("DELETE FROM versions WHERE id = ?", (version_id,))
    return EMPTY
