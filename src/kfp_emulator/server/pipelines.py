"""The rows of pipelines, which their tags must fit."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from kfp_emulator.pipelines.packages import check_pipeline_name
from kfp_emulator.protocol.call import encode
from kfp_emulator.protocol.errors import already_exists, invalid_input, not_found

if TYPE_CHECKING:
    from kfp_emulator.pipelines.packages import Package
    from kfp_emulator.server.state import Backend

COLUMNS = "id, name, display_name, description, created_at, namespace, tags"
MAX_TAGS = 20
TAG_LENGTH = 63


class PipelineRow(NamedTuple):
    """The columns of COLUMNS; `tags` is JSON."""

    id: str
    name: str
    display_name: str
    description: str
    created_at: int
    namespace: str
    tags: str


def find(backend: Backend, pipeline_id: str) -> PipelineRow:
    """Return a pipeline's row.

    Raises:
        ApiFault: 404.

    """
    row = backend.store.one(f"SELECT {COLUMNS} FROM pipelines WHERE id = ?", pipeline_id)  # noqa: S608  constant
    if row is None:
        raise not_found("Pipeline", pipeline_id)
    return PipelineRow(*row)


def check_tags(tags: dict[str, str]) -> None:
    """Refuse tags that break KFP's limits.

    Raises:
        ApiFault: 400.

    """
    if len(tags) > MAX_TAGS:
        raise invalid_input(f"number of tags ({len(tags)}) exceeds maximum of {MAX_TAGS} per entity")
    for key, value in tags.items():
        quoted = encode(key).decode()
        if not key:
            raise invalid_input("tag key cannot be empty")
        if "." in key:
            raise invalid_input(f"tag key {quoted} must not contain '.' character")
        if len(key) > TAG_LENGTH:
            raise invalid_input(f"tag key {quoted} exceeds maximum length of {TAG_LENGTH} characters")
        if len(value) > TAG_LENGTH:
            shown = encode(value).decode()
            raise invalid_input(
                f"tag value {shown} for key {quoted} exceeds maximum length of {TAG_LENGTH} characters"
            )


def insert(backend: Backend, fields: dict[str, str], tags: dict[str, str]) -> str:
    """Insert a pipeline and return its id.

    Raises:
        sqlite3.IntegrityError: the name is taken in its namespace.

    """
    pipeline_id = backend.new_id()
    namespace = backend.access.namespace(fields["namespace"])
    backend.store.write(
        "INSERT INTO pipelines VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            pipeline_id,
            namespace,
            namespace,
            fields["name"],
            fields["display_name"],
            fields["description"],
            backend.seconds(),
            encode(tags).decode(),
        ),
    )
    return pipeline_id


def insert_version(
    backend: Backend,
    pipeline_id: str,
    fields: dict[str, str],
    tags: dict[str, str],
    package: Package,
) -> str:
    """Insert a pipeline version and return its id.

    Raises:
        sqlite3.IntegrityError: the pipeline has a version of this name.

    """
    version_id = backend.new_id()
    spec_id = backend.store.keep_spec(package.documents, package.shown)
    backend.store.write(
        "INSERT INTO versions (id, pipeline_id, name, display_name, description, created_at, package_url,"
        " code_source_url, tags, spec_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version_id,
            pipeline_id,
            fields["name"],
            fields["display_name"],
            fields["description"],
            backend.seconds(),
            fields.get("package_url", ""),
            fields.get("code_source_url", ""),
            encode(tags).decode(),
            spec_id,
        ),
    )
    return version_id


def insert_both(
    backend: Backend,
    fields: dict[str, str],
    tags: dict[str, str],
    version_tags: dict[str, str],
    package: Package,
) -> str:
    """Insert a pipeline with a first version of the same name, and return the pipeline's id.

    Raises:
        ApiFault: 400 for its tags or its spec's name; 409 where the name is taken.

    """
    check_tags(tags)
    check_tags(version_tags)
    check_pipeline_name(package)
    try:
        pipeline_id = insert(backend, fields, tags)
    except sqlite3.IntegrityError:
        name = fields["name"]
        text = f"Failed to create a new pipeline. The name {name} already exists. Please specify a new name"
        raise already_exists(text).wrapped("Failed to create a pipeline and a pipeline version") from None
    insert_version(backend, pipeline_id, fields, version_tags, package)
    return pipeline_id
