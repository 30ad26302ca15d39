"""A pipeline as the API server reads it: from YAML documents to a checked specification and its parameters.

The messages are those of backend/src/apiserver/template/v2_template.go of kubeflow/pipelines. That server says
only "unknown template format" of most misfits; `InvalidPipeline.detail` says where the misfit is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from kfp_emulator.pipelines.go_yaml import GoYamlError, load_all
from kfp_emulator.pipelines.ir_shape import Misfit, read_pipeline_spec

BROKEN_YAML = "failed to parse pipeline spec YAML"
"""How the refusal of a text begins that is no YAML."""
_SCHEMA_VERSION = "2.1.0"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)


class InvalidPipeline(ValueError):
    """A pipeline that the server refuses; the text is the server's, `detail` is more of it, if there is any."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class CompileError(InvalidPipeline):
    """A pipeline that the server takes, but cannot turn into a workflow when a run is created."""


class InvalidParameters(ValueError):
    """Parameters that do not fit the pipeline; the text is the server's."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input parameter of the pipeline; `default` is meaningful where `has_default`."""

    name: str
    type: str
    optional: bool = False
    has_default: bool = False
    default: Any = None
    literals: tuple[Any, ...] = ()

    @classmethod
    def read(cls, name: str, definition: dict[str, Any]) -> Parameter:
        """Take a parameter from its definition in the IR."""
        return cls(
            name=name,
            type=definition.get("parameterType", "PARAMETER_TYPE_ENUM_UNSPECIFIED"),
            optional=definition.get("isOptional", False),
            has_default="defaultValue" in definition,
            default=definition.get("defaultValue"),
            literals=tuple(definition.get("literals", ())),
        )

    def allows(self, value: Any) -> bool:
        """Whether the literals, if there are any, have a value."""
        alike = (each for each in self.literals if isinstance(each, bool) == isinstance(value, bool))
        return not self.literals or value in alike

    def refusal_of(self, value: Any) -> str:
        """Return what KFP says of a value that the literals do not have (util/validate_literal.go)."""
        allowed = " ".join(map(str, self.literals))
        return (
            f'input parameter "{self.name}" value {value} does not match any of the allowed literal values: '
            f"[{allowed}]"
        )


@dataclass(slots=True, eq=False)
class Pipeline:
    """A checked specification: plain dictionaries in the IR's camelCase, and what is often needed of them.

    `compiled` holds what the compiler made of it, once it was asked.
    """

    name: str
    display_name: str
    description: str
    schema_version: str
    sdk_version: str
    parameters: dict[str, Parameter]
    root: dict[str, Any]
    components: dict[str, dict[str, Any]]
    executors: dict[str, dict[str, Any]]
    platform: dict[str, Any] | None = None
    compiled: Any = field(default=None, repr=False)


def load_documents(content: bytes | str) -> list[dict[str, Any]]:
    """Return the mappings of a YAML or JSON stream; documents that are none are passed over, as there.

    Raises:
        InvalidPipeline: it is no YAML, a key is given twice, or it is a bomb.

    """
    try:
        documents = load_all(content)
    except GoYamlError as fault:
        raise InvalidPipeline(f"{BROKEN_YAML}: yaml: {fault}") from None
    return [document for document in documents if isinstance(document, dict)]


def is_v1(documents: list[dict[str, Any]]) -> bool:
    """Whether a package is an Argo Workflow, as pipelines of KFP v1 are."""
    return any(
        document.get("kind") == "Workflow" and str(document.get("apiVersion")).startswith("argoproj.io/")
        for document in documents
    )


def parse_pipeline(documents: list[dict[str, Any]]) -> Pipeline:
    """Return the pipeline in the documents of a package: one PipelineSpec, and at most one PlatformSpec.

    Raises:
        InvalidPipeline: as the API server refuses it at upload, and at the creation of a run.

    """
    if is_v1(documents):
        raise InvalidPipeline("the emulator runs no v1 pipelines (Argo Workflows)")
    spec: dict[str, Any] | None = None
    platform: dict[str, Any] | None = None
    misfit = ""
    for document in documents:
        if not isinstance(document, dict):
            raise InvalidPipeline("unknown template format", "a document is not a mapping")
        if _is_platform_spec(document):
            if platform is not None:
                raise InvalidPipeline("multiple platform specs provided")
            platform = document
            continue
        try:
            read = read_pipeline_spec(document, "$")
        except Misfit as fault:
            misfit = misfit or str(fault)
            continue
        if not read.get("pipelineInfo", {}).get("name") or "root" not in read:
            misfit = misfit or "pipelineInfo.name and root are required"
            continue
        if spec is not None:
            raise InvalidPipeline("multiple pipeline specs provided")
        spec = read
    if spec is None:
        raise InvalidPipeline("unknown template format", misfit or "there is no pipeline specification")
    return _checked(spec, platform)


def _is_platform_spec(document: dict[str, Any]) -> bool:
    platforms = document.get("platforms")
    return set(document) == {"platforms"} and isinstance(platforms, dict) and "kubernetes" in platforms


def _checked(spec: dict[str, Any], platform: dict[str, Any] | None) -> Pipeline:
    version = spec.get("schemaVersion", "")
    if version != _SCHEMA_VERSION:
        raise InvalidPipeline(
            f"KFP only supports schema version {_SCHEMA_VERSION}, but the pipeline spec has version {version}"
        )
    info = spec["pipelineInfo"]
    if not _NAME.search(info["name"]):
        raise InvalidPipeline(
            "invalid v2 pipeline spec: name should consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    if not isinstance(executors, dict) or not all(isinstance(each, dict) for each in executors.values()):
        raise InvalidPipeline("Failed to compile job", "$.deploymentSpec.executors must hold objects")
    root = spec["root"]
    definitions = root.get("inputDefinitions", {}).get("parameters", {})
    return Pipeline(
        name=info["name"],
        display_name=info.get("displayName", ""),
        description=info.get("description", ""),
        schema_version=version,
        sdk_version=spec.get("sdkVersion", ""),
        parameters={name: Parameter.read(name, each) for name, each in definitions.items()},
        root=root,
        components=spec.get("components", {}),
        executors=executors,
        platform=platform,
    )


_NOT_OF_TYPE: dict[str, tuple[tuple[type, ...], str]] = {
    "NUMBER_DOUBLE": ((int, float), "double or integer, but the parameter value is not of number value type"),
    "NUMBER_INTEGER": (
        (int, float),
        "double or integer, but the parameter value is not of number value type",
    ),
    "STRING": ((str,), "string, but the input parameter is not of string value type"),
    "BOOLEAN": ((bool,), "bool, but the input parameter is not of bool value type"),
    "LIST": ((list,), "list, but the input parameter is not of list value type"),
    "STRUCT": ((dict,), "struct, but the input parameter is not of struct value type"),
}


def bind_parameters(pipeline: Pipeline, given: dict[str, Any]) -> dict[str, Any]:
    """Return the values with which the root of the pipeline runs: what was given, else the defaults, else null.

    Raises:
        InvalidParameters: one is missing, has another type, is none of the allowed literals, or is not known.

    """
    bound: dict[str, Any] = {}
    for name, parameter in pipeline.parameters.items():
        if name in given:
            _check_type(parameter, given[name])
            bound[name] = given[name]
        elif parameter.has_default or parameter.optional:
            bound[name] = parameter.default
        else:
            raise InvalidParameters(
                f"parameter {name} is not optional, yet has neither default value nor user provided value"
            )
    extra = [name for name in given if name not in pipeline.parameters]
    if extra:
        raise InvalidParameters(f"parameter(s) provided are not required by pipeline: {', '.join(extra)}")
    return bound


def _check_type(parameter: Parameter, value: Any) -> None:
    name = parameter.name
    if parameter.type == "PARAMETER_TYPE_ENUM_UNSPECIFIED":
        raise InvalidParameters(f"input parameter {name} has unspecified type")
    if parameter.type == "TASK_FINAL_STATUS":
        raise InvalidParameters(
            f"input parameter {name} requires type TASK_FINAL_STATUS, which is invalid for root component"
        )
    if parameter.type not in _NOT_OF_TYPE:
        raise InvalidParameters(f"input parameter {name} requires type unknown")
    types, words = _NOT_OF_TYPE[parameter.type]
    wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
    if wrong or (isinstance(value, float) and not math.isfinite(value)):
        raise InvalidParameters(f"input parameter {name} requires type {words}")
    if not parameter.allows(value):
        raise InvalidParameters(parameter.refusal_of(value))
