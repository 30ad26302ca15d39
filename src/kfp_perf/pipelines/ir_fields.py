"""The fields of a pipeline specification (IR), and where a document departs from them.

MESSAGES is api/v2alpha1/pipeline_spec.proto of kubeflow/pipelines 2.17 as a table. The API server reads a
specification with protojson: it refuses an unknown field, a value of another type, a field given twice, and more
than one field of a group of which only one may be set; names may be written in camelCase or in snake_case, and null
is the same as absent.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Any

from kfp_perf.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PARAMETER_TYPES = (
    "PARAMETER_TYPE_ENUM_UNSPECIFIED",
    "NUMBER_DOUBLE",
    "NUMBER_INTEGER",
    "STRING",
    "BOOLEAN",
    "LIST",
    "STRUCT",
    "TASK_FINAL_STATUS",
    "TASK_CONFIG",
)
ENUMS: Mapping[str, tuple[str, ...]] = {
    "ParameterType": _PARAMETER_TYPES,
    "PrimitiveType": ("PRIMITIVE_TYPE_UNSPECIFIED", "INT", "DOUBLE", "STRING"),
    "TriggerStrategy": (
        "TRIGGER_STRATEGY_UNSPECIFIED",
        "ALL_UPSTREAM_TASKS_SUCCEEDED",
        "ALL_UPSTREAM_TASKS_COMPLETED",
    ),
}
"""The names of each enumeration, in the order of their numbers."""

MESSAGES: Mapping[str, Mapping[str, str]] = {
    "PipelineSpec": {
        "pipelineInfo": "PipelineInfo",
        "deploymentSpec": "object",
        "sdkVersion": "string",
        "schemaVersion": "string",
        "components": "map ComponentSpec",
        "root": "ComponentSpec",
        "defaultPipelineRoot": "string",
    },
    "PipelineInfo": {"name": "string", "displayName": "string", "description": "string"},
    "ComponentSpec": {
        "inputDefinitions": "ComponentInputs",
        "outputDefinitions": "ComponentOutputs",
        "dag": "Dag",
        "executorLabel": "string",
        "singlePlatformSpecs": "list object",
        "taskConfigPassthroughs": "list object",
    },
    "ComponentInputs": {"artifacts": "map InputArtifact", "parameters": "map InputParameter"},
    "InputArtifact": {
        "artifactType": "ArtifactType",
        "isArtifactList": "bool",
        "isOptional": "bool",
        "description": "string",
    },
    "InputParameter": {
        "type": "enum PrimitiveType",
        "parameterType": "enum ParameterType",
        "defaultValue": "any",
        "isOptional": "bool",
        "description": "string",
        "literals": "list any",
    },
    "ComponentOutputs": {"artifacts": "map OutputArtifact", "parameters": "map OutputParameter"},
    "OutputArtifact": {
        "artifactType": "ArtifactType",
        "properties": "map RuntimeValue",
        "customProperties": "map RuntimeValue",
        "metadata": "object",
        "isArtifactList": "bool",
        "description": "string",
    },
    "OutputParameter": {
        "type": "enum PrimitiveType",
        "parameterType": "enum ParameterType",
        "description": "string",
    },
    "ArtifactType": {
        "schemaTitle": "string",
        "schemaUri": "string",
        "instanceSchema": "string",
        "schemaVersion": "string",
    },
    "RuntimeValue": {"constantValue": "OldValue", "runtimeParameter": "string", "constant": "any"},
    "OldValue": {"intValue": "int64", "doubleValue": "double", "stringValue": "string"},
    "Dag": {"tasks": "map Task", "outputs": "DagOutputs"},
    "DagOutputs": {"artifacts": "map DagOutputArtifact", "parameters": "map DagOutputParameter"},
    "DagOutputArtifact": {"artifactSelectors": "list ArtifactSelector"},
    "ArtifactSelector": {"producerSubtask": "string", "outputArtifactKey": "string"},
    "DagOutputParameter": {
        "valueFromParameter": "ParameterSelector",
        "valueFromOneof": "ParameterSelectors",
    },
    "ParameterSelector": {"producerSubtask": "string", "outputParameterKey": "string"},
    "ParameterSelectors": {"parameterSelectors": "list ParameterSelector"},
    "Task": {
        "taskInfo": "TaskInfo",
        "inputs": "TaskInputs",
        "dependentTasks": "list string",
        "cachingOptions": "CachingOptions",
        "componentRef": "ComponentRef",
        "triggerPolicy": "TriggerPolicy",
        "artifactIterator": "ArtifactIterator",
        "parameterIterator": "ParameterIterator",
        "retryPolicy": "RetryPolicy",
        "iteratorPolicy": "IteratorPolicy",
    },
    "TaskInfo": {"name": "string"},
    "TaskInputs": {"parameters": "map TaskParameter", "artifacts": "map TaskArtifact"},
    "TaskParameter": {
        "taskOutputParameter": "TaskOutputParameter",
        "runtimeValue": "RuntimeValue",
        "componentInputParameter": "string",
        "taskFinalStatus": "TaskFinalStatus",
        "parameterExpressionSelector": "string",
    },
    "TaskOutputParameter": {"producerTask": "string", "outputParameterKey": "string"},
    "TaskFinalStatus": {"producerTask": "string"},
    "TaskArtifact": {"taskOutputArtifact": "TaskOutputArtifact", "componentInputArtifact": "string"},
    "TaskOutputArtifact": {"producerTask": "string", "outputArtifactKey": "string"},
    "CachingOptions": {"enableCache": "bool", "cacheKey": "string"},
    "ComponentRef": {"name": "string"},
    "TriggerPolicy": {"condition": "string", "strategy": "enum TriggerStrategy"},
    "ArtifactIterator": {"items": "ArtifactItems", "itemInput": "string"},
    "ArtifactItems": {"inputArtifact": "string"},
    "ParameterIterator": {"items": "ParameterItems", "itemInput": "string"},
    "ParameterItems": {"raw": "string", "inputParameter": "string"},
    "RetryPolicy": {
        "maxRetryCount": "int32",
        "backoffDuration": "duration",
        "backoffFactor": "double",
        "backoffMaxDuration": "duration",
    },
    "IteratorPolicy": {"parallelismLimit": "int32"},
}
"""The fields of each message with their types: a scalar, `enum NAME`, a message, or `map` or `list` of these."""

ONE_OF: Mapping[str, frozenset[str]] = {
    "ComponentSpec": frozenset({"dag", "executorLabel"}),
    "ArtifactType": frozenset({"schemaTitle", "schemaUri", "instanceSchema"}),
    "RuntimeValue": frozenset({"constantValue", "runtimeParameter", "constant"}),
    "OldValue": frozenset({"intValue", "doubleValue", "stringValue"}),
    "DagOutputParameter": frozenset({"valueFromParameter", "valueFromOneof"}),
    "Task": frozenset({"artifactIterator", "parameterIterator"}),
    "TaskParameter": frozenset(
        {"taskOutputParameter", "runtimeValue", "componentInputParameter", "taskFinalStatus"}
    ),
    "TaskArtifact": frozenset({"taskOutputArtifact", "componentInputArtifact"}),
    "ParameterItems": frozenset({"raw", "inputParameter"}),
}
"""The fields of each message of which only one may be set."""

MAX_PROBLEMS = 20
"""The most problems that are reported of one document."""

_REMEDY = "the API server refuses it: compile the pipeline again, or correct the field"


def read_spec(document: Mapping[str, Any], label: str) -> tuple[dict[str, Any], list[Problem]]:
    """Return a PipelineSpec with its field names in camelCase and without nulls, and its problems.

    The specification is complete only where there are no problems.
    """
    problems: list[Problem] = []
    spec = _message(document, "PipelineSpec", label, "", problems)
    return spec, problems[:MAX_PROBLEMS]


def _message(
    value: Mapping[str, Any], name: str, label: str, path: str, problems: list[Problem]
) -> dict[str, Any]:
    fields = MESSAGES[name]
    found: dict[str, Any] = {}
    for key, item in value.items():
        where = f"{path}.{key}" if path else key
        field = key if key in fields else _camel(key)
        if field not in fields or key not in {field, _snake(field)}:
            near = difflib.get_close_matches(key, fields, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"allowed here: {', '.join(fields)}"
            problems.append(Problem(f"{label}: {where}", "is not a field of a pipeline (KFP 2.17)", remedy))
        elif field in found:
            what = "is given twice, in camelCase and in snake_case"
            problems.append(Problem(f"{label}: {where}", what, "remove one of them"))
        elif item is not None or fields[field] == "any":
            found[field] = _typed(item, fields[field], label, where, problems)
    rivals = sorted(ONE_OF.get(name, frozenset()) & found.keys())
    if len(rivals) > 1:
        what = f"has {' and '.join(rivals)}, of which only one may be set"
        problems.append(Problem(f"{label}: {path}", what, _REMEDY))
    return found


def _typed(value: Any, kind: str, label: str, path: str, problems: list[Problem]) -> Any:
    outer, _, inner = kind.partition(" ")
    if outer == "map" and isinstance(value, dict):
        return {key: _typed(item, inner, label, f"{path}.{key}", problems) for key, item in value.items()}
    if outer == "list" and isinstance(value, list):
        return [_typed(item, inner, label, f"{path}[{index}]", problems) for index, item in enumerate(value)]
    if outer == "enum":
        names = ENUMS[inner]
        if _is_whole(value) and 0 <= value < len(names):
            return names[int(value)]
        if value not in names:
            what = f"must be one of {', '.join(names[1:])}, got {value!r:.60}"
            problems.append(Problem(f"{label}: {path}", what, _REMEDY))
        return value
    if kind in MESSAGES and isinstance(value, dict):
        return _message(value, kind, label, path, problems)
    wanted, fits = _TYPES.get(kind, (f"{'a list' if outer == 'list' else 'an object'}", lambda _: False))
    if not fits(value):
        problems.append(Problem(f"{label}: {path}", f"must be {wanted}, got {value!r:.60}", _REMEDY))
    return value


def _is_number(value: Any) -> bool:
    """Whether protojson takes a value for a number: one, or a string that holds one."""
    if isinstance(value, str):
        return (
            re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?", value, re.ASCII) is not None
        )
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any, bits: int = 32) -> bool:
    if isinstance(value, bool) or not _is_number(value):
        return False
    return float(value).is_integer() and -(2 ** (bits - 1)) <= float(value) < 2 ** (bits - 1)


_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("a string", lambda value: isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "double": ("a number", _is_number),
    "int32": ("a whole number", _is_whole),
    "int64": ("a whole number", lambda value: _is_whole(value, 64)),
    "duration": (
        'a duration such as "30s"',
        lambda value: (
            isinstance(value, str)
            and re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s", value, re.ASCII) is not None
        ),
    ),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "any": ("any value", lambda _: True),
}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)
