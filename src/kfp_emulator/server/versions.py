"""The rows of pipeline versions."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from kfp_emulator.pipelines.packages import check_pipeline_name
from kfp_emulator.protocol.errors import already_exists, not_found, wrapping
from kfp_emulator.server import pipelines

if TYPE_CHECKING:
    from kfp_emulator.pipelines.packages import Package
    from kfp_emulator.server.state import Backend

COLUMNS = (
    "id, pipeline_id, name, display_name, description, created_at, package_url, code_source_url, tags,"
    " (SELECT document FROM specs WHERE specs.id = spec_id)"
)


class VersionRow(NamedTuple):
    """The columns of COLUMNS; `tags` and `spec` are JSON."""

    id: str
    pipeline_id: str
    name: str
    display_name: str
    description: str
    created_at: int
    package_url: str
    source_url: str
    tags: str
    spec: bytes


def find(backend: Backend, version_id: str) -> VersionRow:
    """Return a version's row.

    Raises:
        ApiFault: 404.

    """
    row = backend.store.one(f"SELECT {COLUMNS} FROM versions WHERE id = ?", version_id)  # noqa: S608  constant
    if row is None:
        raise not_found("PipelineVersion", version_id)
    return VersionRow(*row)


def spec_of(backend: Backend, version_id: str) -> str:
    """Return the id of the spec of a version that exists."""
    row = backend.store.one("SELECT spec_id FROM versions WHERE id = ?", version_id)
    return "" if row is None else str(row[0])


def newest(backend: Backend, pipeline_id: str) -> VersionRow:
    """Return the newest version of a pipeline.

    Raises:
        ApiFault: 404, there is no such pipeline, or it has no version.

    """
    with wrapping("Failed to get the latest pipeline version as pipeline was not found"):
        pipelines.find(backend, pipeline_id)
    row = backend.store.one(
        f"SELECT {COLUMNS} FROM versions WHERE pipeline_id = ? ORDER BY created_at DESC, id DESC LIMIT 1",  # noqa: S608  constant
        pipeline_id,
    )
    if row is None:
        raise not_found("PipelineVersion", pipeline_id).wrapped(
            "Failed to get the latest pipeline version for a pipeline"
        )
    return VersionRow(*row)


def add(
    backend: Backend, pipeline_id: str, fields: dict[str, str], tags: dict[str, str], package: Package
) -> str:
    """Add a version to a pipeline, and return its id.

    Raises:
        ApiFault: 400 for its tags or its spec's name; 409 where the name is taken.

    """
    check_pipeline_name(package)
    pipelines.check_tags(tags)
    try:
        return pipelines.insert_version(backend, pipeline_id, fields, tags, package)
    except sqlite3.IntegrityError:
        name = fields["name"]
        text = f"Failed to create a new pipeline version. The name {name} already exist. Specify a new name"
        raise already_exists(text).wrapped("Failed to create pipeline version in PipelineStore") from None
