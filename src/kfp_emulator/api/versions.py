"""Pipeline versions: server/pipeline_server.go and storage/pipeline_store.go of kubeflow/pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.api import pipelines
from kfp_emulator.pipelines.packages import fetch_package, read_package, unpack
from kfp_emulator.protocol.call import EMPTY, encode, present, reply, reply_list
from kfp_emulator.protocol.errors import ApiFault, check_length, invalid_input, wrapping
from kfp_emulator.protocol.messages import PIPELINE_VERSION
from kfp_emulator.protocol.wire import rfc3339
from kfp_emulator.server import pipelines as pipeline_rows
from kfp_emulator.server.versions import COLUMNS, VersionRow, add, find
from kfp_emulator.storage.schema import VERSIONS

if TYPE_CHECKING:
    from kfp_emulator.protocol.call import Call
    from kfp_emulator.protocol.errors import Answer
    from kfp_emulator.server.state import Backend

NAME_LENGTH = 127


def show(row: VersionRow) -> dict[str, Any]:
    """Shape a version's row as its message."""
    return present(
        pipeline_id=row.pipeline_id,
        pipeline_version_id=row.id,
        display_name=row.display_name,
        name=row.name,
        description=row.description,
        created_at=rfc3339(row.created_at),
        package_url=present(pipeline_url=row.package_url),
        code_source_url=row.source_url,
        pipeline_spec=msgspec.Raw(row.spec),
        tags=msgspec.json.decode(row.tags),
    )


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
    with wrapping("Failed to create a pipeline version due to conversion error"):
        fields = _checked(message)
    with wrapping("Failed to create a pipeline version. Check error stack"):
        if not fields["name"]:
            raise invalid_input("name is required")
        await pipelines.authorize(backend, call, "create", pipeline_id)
        file_name, content = await fetch_package(url, any_host=backend.any_package_url)
        package = read_package(unpack(file_name, content))
        pipeline_rows.find(backend, pipeline_id)
        version_id = add(
            backend, pipeline_id, fields | {"package_url": url}, message.get("tags", {}), package
        )
    return reply(show(find(backend, version_id)))


def _checked(message: dict[str, Any]) -> dict[str, str]:
    name = message.get("name", "") or message.get("display_name", "")
    context = "Failed to convert API pipeline version to model pipeline version"
    check_length("PipelineVersion.Name", name, NAME_LENGTH, context)
    return {
        "name": name,
        "display_name": message.get("display_name", "") or name,
        "description": message.get("description", ""),
        "code_source_url": message.get("code_source_url", ""),
    }


async def _authorize(backend: Backend, call: Call, verb: str, version_id: str) -> None:
    if not backend.access.multi_user:
        return
    with wrapping(f"Failed to access pipeline version {version_id}. Check if it exists"):
        row = find(backend, version_id)
    await pipelines.authorize(backend, call, verb, row.pipeline_id)


async def get_version(backend: Backend, call: Call) -> Answer:
    """GET /pipelines/{pipeline_id}/versions/{pipeline_version_id}: the pipeline's id is not looked at."""
    version_id = call.path["pipeline_version_id"]
    with wrapping(f"Failed to get a pipeline version {version_id}"):
        await _authorize(backend, call, "get", version_id)
        with wrapping(f"Failed to get a pipeline version with id {version_id}"):
            row = find(backend, version_id)
    return reply(show(row))


async def list_versions(backend: Backend, call: Call) -> Answer:
    """GET /pipelines/{pipeline_id}/versions."""
    pipeline_id = call.path["pipeline_id"]
    try:
        options = call.list_options(VERSIONS, taggable=True)
    except ApiFault as fault:
        raise fault.wrapped(
            f"Failed to list pipeline versions due invalid list options: {call.list_parameters()}"
        ) from None
    context = f"Failed to list pipeline versions for pipeline {pipeline_id}"
    with wrapping(context):
        with wrapping(
            f"Failed to get a pipeline with id {pipeline_id}",
            f"Failed to get namespace for pipeline id {pipeline_id}",
            f"Failed to list pipeline versions due to error fetching the namespace for pipeline {pipeline_id}",
        ):
            pipeline_rows.find(backend, pipeline_id)
        await pipelines.authorize(backend, call, "list", pipeline_id)
    page = backend.store.page(VERSIONS, options, "pipeline_id", pipeline_id, COLUMNS, context)
    bodies = [encode(show(VersionRow(*row))) for row in page.rows]
    return reply_list("pipeline_versions", bodies, page.total_size, page.next_page_token)


async def update_version(backend: Backend, call: Call) -> Answer:
    """PATCH /pipelines/{pipeline_id}/versions/{pipeline_version_id}: display_name and tags."""
    message = call.message(PIPELINE_VERSION)
    version_id = call.path["pipeline_version_id"]
    with wrapping(f"Failed to update pipeline version {version_id} due to authorization error"):
        await _authorize(backend, call, "update", version_id)
    with wrapping(f"Failed to update pipeline version {version_id}. Check error stack"):
        row = pipelines.update_fields(
            backend, "versions", version_id, message, lambda: find(backend, version_id)
        )
    return reply(show(row))


async def delete_version(backend: Backend, call: Call) -> Answer:
    """DELETE /pipelines/{pipeline_id}/versions/{pipeline_version_id}."""
    pipeline_id, version_id = call.path["pipeline_id"], call.path["pipeline_version_id"]
    with wrapping(
        f"Failed to delete a pipeline version id {version_id} under pipeline id {pipeline_id}. "
        "Check error stack"
    ):
        await pipelines.authorize(backend, call, "delete", pipeline_id)
        with wrapping(f"Failed to delete pipeline version with id {version_id} as it was not found"):
            find(backend, version_id)
    backend.store.write("DELETE FROM versions WHERE id = ?", (version_id,))
    return EMPTY
