"""The tables of the emulator's store, and how the API's names lead to their columns."""

from __future__ import annotations

from kfp_emulator.protocol.listable import Listable

SCHEMA_VERSION = 2

# As in MySQL, whose default collation ignores case: names are unique, found and sorted without regard to it.
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counts (kind TEXT, scope TEXT, n INTEGER NOT NULL, PRIMARY KEY (kind, scope)) WITHOUT ROWID;
CREATE TABLE specs (id TEXT PRIMARY KEY, documents TEXT NOT NULL, document BLOB NOT NULL);
CREATE TABLE experiments (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, namespace TEXT COLLATE NOCASE NOT NULL,
    name TEXT COLLATE NOCASE NOT NULL,
    description TEXT COLLATE NOCASE NOT NULL, created_at INTEGER NOT NULL,
    last_run_created_at INTEGER NOT NULL DEFAULT 0,
    storage_state TEXT COLLATE NOCASE NOT NULL DEFAULT 'AVAILABLE');
CREATE UNIQUE INDEX experiments_by_name ON experiments (namespace, name);
CREATE INDEX experiments_by_creation ON experiments (tenant, created_at, id);
CREATE TABLE pipelines (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, namespace TEXT COLLATE NOCASE NOT NULL,
    name TEXT COLLATE NOCASE NOT NULL,
    display_name TEXT COLLATE NOCASE NOT NULL, description TEXT COLLATE NOCASE NOT NULL,
    created_at INTEGER NOT NULL, tags TEXT NOT NULL);
CREATE UNIQUE INDEX pipelines_by_name ON pipelines (namespace, name);
CREATE INDEX pipelines_by_creation ON pipelines (tenant, created_at, id);
CREATE TABLE versions (
    id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL, name TEXT COLLATE NOCASE NOT NULL,
    display_name TEXT COLLATE NOCASE NOT NULL,
    description TEXT COLLATE NOCASE NOT NULL, created_at INTEGER NOT NULL,
    status TEXT COLLATE NOCASE NOT NULL DEFAULT 'READY',
    package_url TEXT NOT NULL, code_source_url TEXT NOT NULL, tags TEXT NOT NULL, spec_id TEXT NOT NULL);
CREATE UNIQUE INDEX versions_by_name ON versions (pipeline_id, name);
CREATE INDEX versions_by_creation ON versions (pipeline_id, created_at, id);
CREATE TABLE recurring_runs (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, namespace TEXT COLLATE NOCASE NOT NULL,
    experiment_id TEXT NOT NULL,
    display_name TEXT COLLATE NOCASE NOT NULL, description TEXT COLLATE NOCASE NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, enabled INTEGER NOT NULL, pipeline_id TEXT NOT NULL,
    pipeline_version_id TEXT NOT NULL, spec_id TEXT NOT NULL, swf_name TEXT NOT NULL,
    created_us INTEGER NOT NULL, fields TEXT NOT NULL, progress TEXT NOT NULL DEFAULT '');
CREATE INDEX recurring_runs_by_creation ON recurring_runs (tenant, created_at, id);
CREATE INDEX recurring_runs_by_experiment ON recurring_runs (experiment_id, created_at, id);
CREATE TABLE runs (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, namespace TEXT COLLATE NOCASE NOT NULL,
    experiment_id TEXT NOT NULL,
    display_name TEXT COLLATE NOCASE NOT NULL, description TEXT COLLATE NOCASE NOT NULL,
    storage_state TEXT COLLATE NOCASE NOT NULL, state TEXT COLLATE NOCASE NOT NULL,
    conditions TEXT COLLATE NOCASE NOT NULL, created_at INTEGER NOT NULL, scheduled_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL, recurring_run_id TEXT NOT NULL, phase TEXT NOT NULL, workflow TEXT NOT NULL,
    spec_id TEXT NOT NULL, pipeline_name TEXT NOT NULL, parameters TEXT NOT NULL, service_account TEXT NOT NULL,
    submitted_us INTEGER NOT NULL, body BLOB NOT NULL, tasks_due INTEGER NOT NULL DEFAULT 0);
CREATE TABLE failed_nodes (run_id TEXT PRIMARY KEY, nodes BLOB NOT NULL);
CREATE INDEX runs_by_creation ON runs (tenant, created_at, id);
CREATE INDEX runs_by_state ON runs (tenant, state, created_at, id);
CREATE INDEX runs_by_name ON runs (tenant, display_name, id);
CREATE INDEX runs_by_experiment ON runs (experiment_id, created_at, id);
CREATE INDEX runs_by_schedule ON runs (recurring_run_id, display_name) WHERE recurring_run_id <> '';
CREATE INDEX runs_tasks_due ON runs (id) WHERE tasks_due;
CREATE INDEX runs_unfinished ON runs (id) WHERE phase NOT IN ('Succeeded', 'Failed', 'Error');
"""

COUNTED: dict[str, tuple[str, ...]] = {
    "experiments": ("tenant",),
    "pipelines": ("tenant",),
    "versions": ("pipeline_id",),
    "recurring_runs": ("tenant", "experiment_id"),
    "runs": ("tenant", "experiment_id"),
}
"""What lists are scoped by: a row is counted in each scope, so that total_size needs no scan."""


_COUNT_UP = "INSERT INTO counts VALUES ('{kind}', NEW.{scope}, 1) ON CONFLICT DO UPDATE SET n = n + 1;"
_COUNT_DOWN = "UPDATE counts SET n = n - 1 WHERE kind = '{kind}' AND scope = OLD.{scope};"


def counting_triggers() -> str:
    """Return the triggers that keep the table of counts true."""
    statements = []
    for table, scopes in COUNTED.items():
        added = "".join(_COUNT_UP.format(kind=f"{table}.{scope}", scope=scope) for scope in scopes)
        removed = "".join(_COUNT_DOWN.format(kind=f"{table}.{scope}", scope=scope) for scope in scopes)
        statements += [
            f"CREATE TRIGGER {table}_added AFTER INSERT ON {table} BEGIN {added} END;",
            f"CREATE TRIGGER {table}_removed AFTER DELETE ON {table} BEGIN {removed} END;",
        ]
    return "\n".join(statements)


RUNS = Listable(
    kind="Run",
    model="",
    table="runs",
    fields={
        "run_id": "UUID",
        "id": "UUID",
        "display_name": "DisplayName",
        "name": "DisplayName",
        "created_at": "CreatedAtInSec",
        "finished_at": "FinishedAtInSec",
        "description": "Description",
        "scheduled_at": "ScheduledAtInSec",
        "storage_state": "StorageState",
        "status": "Conditions",
        "namespace": "Namespace",
        "experiment_id": "ExperimentUUID",
        "state": "State",
        "state_history": "StateHistory",
        "runtime_details": "PipelineRuntimeManifest",
        "recurring_run_id": "JobUUID",
    },
    columns={
        "UUID": "id",
        "DisplayName": "display_name",
        "CreatedAtInSec": "created_at",
        "FinishedAtInSec": "finished_at",
        "Description": "description",
        "ScheduledAtInSec": "scheduled_at",
        "StorageState": "storage_state",
        "Conditions": "conditions",
        "Namespace": "namespace",
        "ExperimentUUID": "experiment_id",
        "State": "state",
        "StateHistory": "''",
        "PipelineRuntimeManifest": "''",
        "JobUUID": "recurring_run_id",
    },
    with_metrics=True,
    unsortable=frozenset({"ExperimentUUID", "StateHistory", "PipelineRuntimeManifest"}),
)
EXPERIMENTS = Listable(
    kind="Experiment",
    model="experiments",
    table="experiments",
    fields={
        "id": "UUID",
        "experiment_id": "UUID",
        "name": "Name",
        "display_name": "Name",
        "created_at": "CreatedAtInSec",
        "last_run_created_at": "LastRunCreatedAtInSec",
        "description": "Description",
        "namespace": "Namespace",
        "storage_state": "StorageState",
    },
    columns={
        "UUID": "id",
        "Name": "name",
        "CreatedAtInSec": "created_at",
        "LastRunCreatedAtInSec": "last_run_created_at",
        "Description": "description",
        "Namespace": "namespace",
        "StorageState": "storage_state",
    },
)
PIPELINES = Listable(
    kind="Pipeline",
    model="pipelines",
    table="pipelines",
    fields={
        "id": "UUID",
        "pipeline_id": "UUID",
        "name": "Name",
        "display_name": "DisplayName",
        "created_at": "CreatedAtInSec",
        "description": "Description",
        "namespace": "Namespace",
    },
    columns={
        "UUID": "id",
        "Name": "name",
        "DisplayName": "display_name",
        "CreatedAtInSec": "created_at",
        "Description": "description",
        "Namespace": "namespace",
    },
)
VERSIONS = Listable(
    kind="PipelineVersion",
    model="pipeline_versions",
    table="versions",
    fields={
        "id": "UUID",
        "pipeline_version_id": "UUID",
        "name": "Name",
        "display_name": "DisplayName",
        "created_at": "CreatedAtInSec",
        "status": "Status",
        "description": "Description",
        "pipeline_spec": "PipelineSpec",
    },
    columns={
        "UUID": "id",
        "Name": "name",
        "DisplayName": "display_name",
        "CreatedAtInSec": "created_at",
        "Status": "status",
        "Description": "description",
        "PipelineSpec": "spec_id",
    },
)
RECURRING_RUNS = Listable(
    kind="Job",
    model="jobs",
    table="recurring_runs",
    fields={
        "id": "UUID",
        "recurring_run_id": "UUID",
        "name": "DisplayName",
        "display_name": "DisplayName",
        "created_at": "CreatedAtInSec",
        "updated_at": "UpdatedAtInSec",
        "description": "Description",
    },
    columns={
        "UUID": "id",
        "DisplayName": "display_name",
        "CreatedAtInSec": "created_at",
        "UpdatedAtInSec": "updated_at",
        "Description": "description",
    },
)
