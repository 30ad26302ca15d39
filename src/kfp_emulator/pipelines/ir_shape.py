"""The shape of a pipeline's IR: the messages of api/v2alpha1/pipeline_spec.proto, and whether a document fits one.

Follows protojson: field names in camelCase or as the proto spells them, unknown fields refused, null as absent.
A misfit names its place, which the real server does not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

Reader = Callable[[Any, str], Any]
"""Takes a value and its place; returns it as the emulator holds it, or raises Misfit."""

MAX_DEPTH = 100
"""How deep a free value may nest: the recursion limit of protobuf's JSON is not reached before that."""


class Misfit(ValueError):
    """A value that does not fit its message; the text names its place."""

    def __init__(self, place: str, wanted: str) -> None:
        super().__init__(f"{place} must be {wanted}")


def text(value: Any, place: str) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise Misfit(place, "a string")
    return value


def flag(value: Any, place: str) -> bool:
    """Read a boolean."""
    if not isinstance(value, bool):
        raise Misfit(place, "a boolean")
    return value


def number(value: Any, place: str) -> float:
    """Read a number, also as protojson takes it from a string."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", value, re.ASCII):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Misfit(place, "a number")
    try:
        return float(value)
    except OverflowError:
        raise Misfit(place, "a number of double precision") from None


def int32(value: Any, place: str) -> int:
    """Read a 32-bit integer."""
    given = number(value, place)
    if not math.isfinite(given) or given != int(given) or not -(1 << 31) <= given < 1 << 31:
        raise Misfit(place, "a 32-bit integer")
    return int(given)


def duration(value: Any, place: str) -> float:
    """Read a protobuf duration (`3.5s`) as seconds."""
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s", value, re.ASCII):
        raise Misfit(place, 'a duration such as "30s"')
    return float(value[:-1])


def free(value: Any, place: str) -> Any:
    """Read any JSON value (google.protobuf.Value)."""
    _check_free(value, place)
    return value


def _check_free(value: Any, place: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        if not level:
            return
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                if not all(isinstance(key, str) for key in each):
                    raise Misfit(place, "an object whose keys are strings")
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
            elif each is not None and not isinstance(each, (str, int, float, bool)):
                raise Misfit(place, "a JSON value")
            elif isinstance(each, float) and not math.isfinite(each):
                raise Misfit(place, "a JSON value (it holds a number that is not finite)")
        level = inner
    raise Misfit(place, f"nested at most {MAX_DEPTH} deep")


def struct(value: Any, place: str) -> dict[str, Any]:
    """Read any JSON object (google.protobuf.Struct)."""
    if not isinstance(value, dict):
        raise Misfit(place, "an object")
    _check_free(value, place)
    return value


def enum(*names: str) -> Reader:
    """Make a reader of an enum: its names, or their numbers."""

    def read(value: Any, place: str) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        if not isinstance(value, str) or value not in names:
            raise Misfit(place, "one of " + ", ".join(names))
        return value

    return read


def repeated(reader: Reader) -> Reader:
    """Make a reader of a list."""

    def read(value: Any, place: str) -> list[Any]:
        if not isinstance(value, list):
            raise Misfit(place, "a list")
        return [reader(each, f"{place}[{index}]") for index, each in enumerate(value)]

    return read


def mapping(reader: Reader) -> Reader:
    """Make a reader of a map from strings."""

    def read(value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(place, "an object")
        for key in value:
            if not isinstance(key, str):
                raise Misfit(place, f"an object whose keys are strings ({key!r} is none)")
        return {key: reader(each, f"{place}.{key}") for key, each in value.items()}

    return read


def message(_oneof: tuple[tuple[str, ...], ...] = (), /, **fields: Reader) -> Reader:
    """Make a reader of a message; `_oneof` lists groups of fields of which one may be set."""
    spellings = {spelling: name for name in fields for spelling in (name, _snake(name))}

    def read(value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(place, "an object")
        found: dict[str, Any] = {}
        for key, each in value.items():
            name = spellings.get(key) if isinstance(key, str) else None
            if name is None:
                raise Misfit(f"{place}.{key}", "no field here: the IR does not know it")
            if name in found:
                raise Misfit(f"{place}.{key}", "given once")
            if each is not None or fields[name] is free:
                found[name] = fields[name](each, f"{place}.{name}")
        for group in _oneof:
            if sum(name in found for name in group) > 1:
                raise Misfit(place, "given one of " + ", ".join(group))
        return found

    return read


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)


_PRIMITIVE = enum("PRIMITIVE_TYPE_UNSPECIFIED", "INT", "DOUBLE", "STRING")
_PARAMETER_TYPE = enum(
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
_ARTIFACT_TYPE = message(
    (("schemaTitle", "schemaUri", "instanceSchema"),),
    schemaTitle=text,
    schemaUri=text,
    instanceSchema=text,
    schemaVersion=text,
)
_OLD_VALUE = message(
    (("intValue", "doubleValue", "stringValue"),), intValue=number, doubleValue=number, stringValue=text
)
_RUNTIME_VALUE = message(
    (("constantValue", "runtimeParameter", "constant"),),
    constantValue=_OLD_VALUE,
    runtimeParameter=text,
    constant=free,
)
_PARAMETER_SELECTOR = message(producerSubtask=text, outputParameterKey=text)
_DAG_OUTPUTS = message(
    artifacts=mapping(
        message(artifactSelectors=repeated(message(producerSubtask=text, outputArtifactKey=text)))
    ),
    parameters=mapping(
        message(
            (("valueFromParameter", "valueFromOneof"),),
            valueFromParameter=_PARAMETER_SELECTOR,
            valueFromOneof=message(parameterSelectors=repeated(_PARAMETER_SELECTOR)),
        )
    ),
)
_TASK_INPUTS = message(
    parameters=mapping(
        message(
            (("taskOutputParameter", "runtimeValue", "componentInputParameter", "taskFinalStatus"),),
            taskOutputParameter=message(producerTask=text, outputParameterKey=text),
            runtimeValue=_RUNTIME_VALUE,
            componentInputParameter=text,
            taskFinalStatus=message(producerTask=text),
            parameterExpressionSelector=text,
        )
    ),
    artifacts=mapping(
        message(
            (("taskOutputArtifact", "componentInputArtifact"),),
            taskOutputArtifact=message(producerTask=text, outputArtifactKey=text),
            componentInputArtifact=text,
        )
    ),
)
_TASK = message(
    (("artifactIterator", "parameterIterator"),),
    taskInfo=message(name=text),
    inputs=_TASK_INPUTS,
    dependentTasks=repeated(text),
    cachingOptions=message(enableCache=flag, cacheKey=text),
    componentRef=message(name=text),
    triggerPolicy=message(
        condition=text,
        strategy=enum(
            "TRIGGER_STRATEGY_UNSPECIFIED", "ALL_UPSTREAM_TASKS_SUCCEEDED", "ALL_UPSTREAM_TASKS_COMPLETED"
        ),
    ),
    artifactIterator=message(items=message(inputArtifact=text), itemInput=text),
    parameterIterator=message(
        items=message((("raw", "inputParameter"),), raw=text, inputParameter=text), itemInput=text
    ),
    retryPolicy=message(
        maxRetryCount=int32, backoffDuration=duration, backoffFactor=number, backoffMaxDuration=duration
    ),
    iteratorPolicy=message(parallelismLimit=int32),
)
_COMPONENT = message(
    (("dag", "executorLabel"),),
    inputDefinitions=message(
        artifacts=mapping(
            message(artifactType=_ARTIFACT_TYPE, isArtifactList=flag, isOptional=flag, description=text)
        ),
        parameters=mapping(
            message(
                type=_PRIMITIVE,
                parameterType=_PARAMETER_TYPE,
                defaultValue=free,
                isOptional=flag,
                description=text,
                literals=repeated(free),
            )
        ),
    ),
    outputDefinitions=message(
        artifacts=mapping(
            message(
                artifactType=_ARTIFACT_TYPE,
                properties=mapping(_RUNTIME_VALUE),
                customProperties=mapping(_RUNTIME_VALUE),
                metadata=struct,
                isArtifactList=flag,
                description=text,
            )
        ),
        parameters=mapping(message(type=_PRIMITIVE, parameterType=_PARAMETER_TYPE, description=text)),
    ),
    dag=message(tasks=mapping(_TASK), outputs=_DAG_OUTPUTS),
    executorLabel=text,
    singlePlatformSpecs=repeated(struct),
    taskConfigPassthroughs=repeated(struct),
)

read_pipeline_spec: Reader = message(
    pipelineInfo=message(name=text, displayName=text, description=text),
    deploymentSpec=struct,
    sdkVersion=text,
    schemaVersion=text,
    components=mapping(_COMPONENT),
    root=_COMPONENT,
    defaultPipelineRoot=text,
)
"""Reads a PipelineSpec document."""
