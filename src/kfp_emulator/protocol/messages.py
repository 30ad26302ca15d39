"""The v2beta1 messages: which fields each has, and of which kind.

The tables are those of backend/api/v2beta1/*.proto of kubeflow/pipelines. They decode request bodies (wire), and
describe the API in our own OpenAPI document (openapi).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

PACKAGE = "kubeflow.pipelines.backend.api.v2beta1"
"""The protobuf package of all messages, which error texts name."""

Kind = Literal["string", "bool", "int32", "int64", "enum", "timestamp", "struct", "value", "message"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message; `repeated` and `mapped` say how many values it has."""

    kind: Kind
    message: Message | None = None
    values: tuple[str, ...] = ()
    repeated: bool = False
    mapped: bool = False
    group: str = ""
    """The oneof that the field belongs to, if any."""


@dataclass(frozen=True, slots=True)
class Message:
    """A protobuf message: its name and its fields under their snake_case names."""

    name: str
    fields: dict[str, Field]

    def field(self, key: str) -> tuple[str, Field] | None:
        """Find a field by its proto name or its camelCase JSON name, as protojson does."""
        found = self.fields.get(key)
        if found is not None:
            return key, found
        snake = _CAMEL.sub(lambda match: "_" + match.group().lower(), key)
        if snake == key or json_name(snake) != key:
            return None
        found = self.fields.get(snake)
        return None if found is None else (snake, found)


_CAMEL = re.compile(r"[A-Z]")


def json_name(snake: str) -> str:
    """Return the camelCase name that protojson accepts beside the proto name."""
    head, *tail = snake.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


STRING = Field("string")
BOOL = Field("bool")
INT32 = Field("int32")
INT64 = Field("int64")
TIMESTAMP = Field("timestamp")
STRUCT = Field("struct")
TAGS = Field("string", mapped=True)
STATUS = Field(
    "message",
    Message("Status", {"code": INT32, "message": STRING, "details": Field("struct", repeated=True)}),
)

RUNTIME_STATES = (
    "RUNTIME_STATE_UNSPECIFIED",
    "PENDING",
    "RUNNING",
    "SUCCEEDED",
    "SKIPPED",
    "FAILED",
    "CANCELING",
    "CANCELED",
    "PAUSED",
)
STORAGE_STATES = ("STORAGE_STATE_UNSPECIFIED", "AVAILABLE", "ARCHIVED")
RUNTIME_STATE = Field("enum", values=RUNTIME_STATES)
STORAGE_STATE = Field("enum", values=STORAGE_STATES)

EXPERIMENT = Message(
    "Experiment",
    {
        "experiment_id": STRING,
        "display_name": STRING,
        "description": STRING,
        "created_at": TIMESTAMP,
        "namespace": STRING,
        "storage_state": STORAGE_STATE,
        "last_run_created_at": TIMESTAMP,
    },
)
PIPELINE = Message(
    "Pipeline",
    {
        "pipeline_id": STRING,
        "display_name": STRING,
        "name": STRING,
        "description": STRING,
        "created_at": TIMESTAMP,
        "namespace": STRING,
        "error": STATUS,
        "tags": TAGS,
    },
)
PIPELINE_VERSION = Message(
    "PipelineVersion",
    {
        "pipeline_id": STRING,
        "pipeline_version_id": STRING,
        "display_name": STRING,
        "name": STRING,
        "description": STRING,
        "created_at": TIMESTAMP,
        "package_url": Field("message", Message("Url", {"pipeline_url": STRING})),
        "code_source_url": STRING,
        "pipeline_spec": STRUCT,
        "error": STATUS,
        "tags": TAGS,
    },
)
CREATE_PIPELINE_AND_VERSION = Message(
    "CreatePipelineAndVersionRequest",
    {"pipeline": Field("message", PIPELINE), "pipeline_version": Field("message", PIPELINE_VERSION)},
)
RUNTIME_CONFIG = Message(
    "RuntimeConfig", {"parameters": Field("value", mapped=True), "pipeline_root": STRING}
)
VERSION_REFERENCE = Message(
    "PipelineVersionReference", {"pipeline_id": STRING, "pipeline_version_id": STRING}
)
RUNTIME_STATUS = Message("RuntimeStatus", {"update_time": TIMESTAMP, "state": RUNTIME_STATE, "error": STATUS})
_ARTIFACTS = Field(
    "message", Message("ArtifactList", {"artifact_ids": Field("int64", repeated=True)}), mapped=True
)
_NAMES = Field("string", repeated=True)
TASK_DETAIL = Message(
    "PipelineTaskDetail",
    {
        "run_id": STRING,
        "task_id": STRING,
        "display_name": STRING,
        "create_time": TIMESTAMP,
        "start_time": TIMESTAMP,
        "end_time": TIMESTAMP,
        "executor_detail": Field(
            "message",
            Message(
                "PipelineTaskExecutorDetail",
                {
                    "main_job": STRING,
                    "pre_caching_check_job": STRING,
                    "failed_main_jobs": _NAMES,
                    "failed_pre_caching_check_jobs": _NAMES,
                },
            ),
        ),
        "state": RUNTIME_STATE,
        "execution_id": INT64,
        "error": STATUS,
        "inputs": _ARTIFACTS,
        "outputs": _ARTIFACTS,
        "parent_task_id": STRING,
        "state_history": Field("message", RUNTIME_STATUS, repeated=True),
        "pod_name": STRING,
        "child_tasks": Field(
            "message", Message("ChildTask", {"task_id": STRING, "pod_name": STRING}), repeated=True
        ),
    },
)
RUN_DETAILS = Message(
    "RunDetails",
    {
        "pipeline_context_id": INT64,
        "pipeline_run_context_id": INT64,
        "task_details": Field("message", TASK_DETAIL, repeated=True),
    },
)
_PLUGIN_OUTPUT = Message(
    "PluginOutput", {"entries": Field("value", mapped=True), "state": STRING, "state_message": STRING}
)
RUN = Message(
    "Run",
    {
        "experiment_id": STRING,
        "run_id": STRING,
        "display_name": STRING,
        "storage_state": STORAGE_STATE,
        "description": STRING,
        "pipeline_version_id": Field("string", group="pipeline_source"),
        "pipeline_spec": Field("struct", group="pipeline_source"),
        "pipeline_version_reference": Field("message", VERSION_REFERENCE, group="pipeline_source"),
        "runtime_config": Field("message", RUNTIME_CONFIG),
        "service_account": STRING,
        "created_at": TIMESTAMP,
        "scheduled_at": TIMESTAMP,
        "finished_at": TIMESTAMP,
        "state": RUNTIME_STATE,
        "error": STATUS,
        "run_details": Field("message", RUN_DETAILS),
        "recurring_run_id": STRING,
        "state_history": Field("message", RUNTIME_STATUS, repeated=True),
        "plugins_input": Field("struct", mapped=True),
        "plugins_output": Field("message", _PLUGIN_OUTPUT, mapped=True),
    },
)
_CRON = Message("CronSchedule", {"start_time": TIMESTAMP, "end_time": TIMESTAMP, "cron": STRING})
_PERIODIC = Message(
    "PeriodicSchedule", {"start_time": TIMESTAMP, "end_time": TIMESTAMP, "interval_second": INT64}
)
TRIGGER = Message(
    "Trigger",
    {
        "cron_schedule": Field("message", _CRON, group="trigger"),
        "periodic_schedule": Field("message", _PERIODIC, group="trigger"),
    },
)
RECURRING_RUN = Message(
    "RecurringRun",
    {
        "recurring_run_id": STRING,
        "display_name": STRING,
        "description": STRING,
        "pipeline_version_id": Field("string", group="pipeline_source"),
        "pipeline_spec": Field("struct", group="pipeline_source"),
        "pipeline_version_reference": Field("message", VERSION_REFERENCE, group="pipeline_source"),
        "runtime_config": Field("message", RUNTIME_CONFIG),
        "service_account": STRING,
        "max_concurrency": INT64,
        "trigger": Field("message", TRIGGER),
        "mode": Field("enum", values=("MODE_UNSPECIFIED", "ENABLE", "DISABLE")),
        "created_at": TIMESTAMP,
        "updated_at": TIMESTAMP,
        "status": Field("enum", values=("STATUS_UNSPECIFIED", "ENABLED", "", "DISABLED")),
        "error": STATUS,
        "no_catchup": BOOL,
        "namespace": STRING,
        "experiment_id": STRING,
        "plugins_input": Field("struct", mapped=True),
    },
)
OPERATIONS = (
    "OPERATION_UNSPECIFIED",
    "EQUALS",
    "NOT_EQUALS",
    "GREATER_THAN",
    "",
    "GREATER_THAN_EQUALS",
    "LESS_THAN",
    "LESS_THAN_EQUALS",
    "IN",
    "IS_SUBSTRING",
)
PREDICATE = Message(
    "Predicate",
    {
        "operation": Field("enum", values=OPERATIONS),
        "key": STRING,
        "int_value": Field("int32", group="value"),
        "long_value": Field("int64", group="value"),
        "string_value": Field("string", group="value"),
        "timestamp_value": Field("timestamp", group="value"),
        "int_values": Field(
            "message", Message("IntValues", {"values": Field("int32", repeated=True)}), group="value"
        ),
        "long_values": Field(
            "message", Message("LongValues", {"values": Field("int64", repeated=True)}), group="value"
        ),
        "string_values": Field(
            "message", Message("StringValues", {"values": Field("string", repeated=True)}), group="value"
        ),
    },
)
FILTER = Message("Filter", {"predicates": Field("message", PREDICATE, repeated=True)})
