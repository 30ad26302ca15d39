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
from dataclasses import dataclass, field
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


NEWEST = (2, 17)
"""The version of KFP that MESSAGES is of."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A document that is being read; `newer`: its compiler may write fields that are not known here."""

    label: str
    newer: bool
    problems: list[Problem] = field(default_factory=list)

    def fault(self, path: str, what: str, remedy: str = _REMEDY) -> None:
        self.problems.append(Problem(f"{self.label}: {path}", what, remedy))


def is_newer(document: Mapping[str, Any]) -> bool:
    """Whether a specification was compiled by an SDK newer than NEWEST: the server decides on what is not known."""
    version = document.get("sdkVersion", document.get("sdk_version"))
    match = re.match(r"kfp-(\d{1,4})\.(\d{1,4})", version, re.ASCII) if isinstance(version, str) else None
    return match is not None and (int(match[1]), int(match[2])) > NEWEST


def read_spec(document: Mapping[str, Any], label: str) -> tuple[dict[str, Any], list[Problem]]:
    """Return a PipelineSpec with its field names in camelCase and without nulls, and its problems.

    The specification is complete only where there are no problems. Fields and names of enumerations that are not
    known are left out, and are problems unless `is_newer`.
    """
    reading = _Reading(label, is_newer(document))
    spec = _message(document, "PipelineSpec", "", reading)
    return spec, reading.problems[:MAX_PROBLEMS]


def _message(value: Mapping[str, Any], name: str, path: str, reading: _Reading) -> dict[str, Any]:
    fields = MESSAGES[name]
    found: dict[str, Any] = {}
    for key, item in value.items():
        where = f"{path}.{key}" if path else key
        known = key if key in fields else _camel(key)
        if known not in fields or key not in {known, _snake(known)}:
            if not reading.newer:
                near = difflib.get_close_matches(key, fields, n=1)
                remedy = f"did you mean {near[0]}?" if near else f"allowed here: {', '.join(fields)}"
                reading.fault(where, "is not a field of a pipeline (KFP 2.17)", remedy)
        elif known in found:
            reading.fault(where, "is given twice, in camelCase and in snake_case", "remove one of them")
        elif item is not None or fields[known] == "any":
            found[known] = _typed(item, fields[known], where, reading)
    rivals = sorted(ONE_OF.get(name, frozenset()) & found.keys())
    if len(rivals) > 1:
        reading.fault(path, f"has {' and '.join(rivals)}, of which only one may be set")
    return found


def _typed(value: Any, kind: str, path: str, reading: _Reading) -> Any:
    outer, _, inner = kind.partition(" ")
    if outer == "map" and isinstance(value, dict):
        return {key: _typed(item, inner, f"{path}.{key}", reading) for key, item in value.items()}
    if outer == "list" and isinstance(value, list):
        return [_typed(item, inner, f"{path}[{index}]", reading) for index, item in enumerate(value)]
    if outer == "enum":
        names = ENUMS[inner]
        if _is_whole(value) and 0 <= value < len(names):
            return names[int(value)]
        if value not in names and not (reading.newer and isinstance(value, str)):
            reading.fault(path, f"must be one of {', '.join(names[1:])}, got {value!r:.60}")
        return value
    if kind in MESSAGES and isinstance(value, dict):
        return _message(value, kind, path, reading)
    wanted, fits = _TYPES.get(kind, (f"{'a list' if outer == 'list' else 'an object'}", lambda _: False))
    if not fits(value):
        reading.fault(path, f"must be {wanted}, got {value!r:.60}")
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
