"""Our own OpenAPI document of the emulated API, made from its routes and its message tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kfp_emulator.protocol import messages

if TYPE_CHECKING:
    from kfp_emulator.http.router import Route
    from kfp_emulator.protocol.messages import Field, Message

BODIES: dict[str, Message] = {
    "CreateExperiment": messages.EXPERIMENT,
    "CreatePipeline": messages.PIPELINE,
    "CreatePipelineAndVersion": messages.CREATE_PIPELINE_AND_VERSION,
    "UpdatePipeline": messages.PIPELINE,
    "CreatePipelineVersion": messages.PIPELINE_VERSION,
    "UpdatePipelineVersion": messages.PIPELINE_VERSION,
    "CreateRun": messages.RUN,
    "CreateRecurringRun": messages.RECURRING_RUN,
}

ANSWERS: dict[str, Message] = {
    **{name: message for name, message in BODIES.items() if name != "CreatePipelineAndVersion"},
    "CreatePipelineAndVersion": messages.PIPELINE,
    "UploadPipeline": messages.PIPELINE,
    "UploadPipelineVersion": messages.PIPELINE_VERSION,
    "GetExperiment": messages.EXPERIMENT,
    "GetPipeline": messages.PIPELINE,
    "GetPipelineByName": messages.PIPELINE,
    "GetPipelineVersion": messages.PIPELINE_VERSION,
    "GetRun": messages.RUN,
    "GetRecurringRun": messages.RECURRING_RUN,
}

LISTS: dict[str, tuple[str, Message, tuple[str, ...]]] = {
    "ListExperiments": ("experiments", messages.EXPERIMENT, ("namespace",)),
    "ListPipelines": ("pipelines", messages.PIPELINE, ("namespace",)),
    "ListPipelineVersions": ("pipeline_versions", messages.PIPELINE_VERSION, ()),
    "ListRuns": ("runs", messages.RUN, ("namespace", "experiment_id")),
    "ListRecurringRuns": ("recurringRuns", messages.RECURRING_RUN, ("namespace", "experiment_id")),
}
"""List operation -> the key of its rows, their message, and what it can be scoped by."""


def _strings(names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {name: {"type": "string"} for name in names}


_PAGING: dict[str, dict[str, Any]] = {
    "page_token": {"type": "string"},
    "page_size": {"type": "integer", "format": "int32"},
    "sort_by": {"type": "string"},
    "filter": {"type": "string"},
}
_QUERIES: dict[str, dict[str, dict[str, Any]]] = {
    "GetPipelineByName": {"namespace": {"type": "string"}},
    "DeletePipeline": {"cascade": {"type": "boolean"}},
    "UploadPipeline": _strings(
        ("name", "display_name", "description", "namespace", "tags", "code_source_url")
    ),
    "UploadPipelineVersion": _strings(
        ("name", "display_name", "pipelineid", "description", "tags", "code_source_url")
    ),
}
_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "string", "pattern": r"^-?[0-9]{1,18}$"},
    "timestamp": {"type": "string", "format": "date-time"},
    "struct": {"type": "object"},
    "value": {},
}
_SCHEMAS = "#/components/schemas"


def openapi_document(routes: tuple[Route, ...], version: str) -> bytes:
    """Return the document as JSON."""
    schemas: dict[str, Any] = {
        "Error": {
            "type": "object",
            "properties": {
                "error": {"type": "string"},
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object"}},
            },
            "required": ["code", "message"],
        },
        "UploadError": {
            "type": "object",
            "properties": {"error_message": {"type": "string"}, "error_details": {"type": "string"}},
        },
    }
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        method = "get" if route.method == "*" else route.method.lower()
        if route.operation.startswith("Upload"):
            method = "post"
        paths.setdefault(route.path, {})[method] = _operation(route, schemas)
    return msgspec.json.encode(
        {
            "openapi": "3.0.3",
            "info": {
                "title": "Kubeflow Pipelines v2beta1, as the kfp-perf emulator serves it",
                "version": version,
            },
            "paths": paths,
            "components": {"schemas": schemas},
        }
    )


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    name = route.operation
    parameters = [
        {"name": part.strip("{}"), "in": "path", "required": True, "schema": {"type": "string"}}
        for part in _path_parameters(route.path)
    ]
    queries = dict(_QUERIES.get(name, {}))
    if name in LISTS:
        queries |= _PAGING | _strings(LISTS[name][2])
    parameters += [{"name": query, "in": "query", "schema": schema} for query, schema in queries.items()]
    error = "UploadError" if name.startswith(("Upload", "Read")) else "Error"
    operation: dict[str, Any] = {
        "operationId": name,
        "parameters": parameters,
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": _answer(name, schemas)}}},
            "default": {
                "description": "a fault",
                "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}/{error}"}}},
            },
        },
    }
    if name == "ReadRunLog":
        operation["responses"] = {"200": {"description": "OK", "content": {"text/plain": {}}}}
    if name in BODIES:
        content = {"application/json": {"schema": _reference(BODIES[name], schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    if name.startswith("Upload"):
        schema = {"type": "object", "properties": {"uploadfile": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"content": {"multipart/form-data": {"schema": schema}}}
    return operation


def _path_parameters(path: str) -> list[str]:
    return [segment.split(":")[0] for segment in path.split("/") if segment.startswith("{")]


def _answer(name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    if name in LISTS:
        key, message, _ = LISTS[name]
        return {
            "type": "object",
            "properties": {
                key: {"type": "array", "items": _reference(message, schemas)},
                "total_size": {"type": "integer"},
                "next_page_token": {"type": "string"},
            },
            "additionalProperties": False,
        }
    if name in ANSWERS:
        return _reference(ANSWERS[name], schemas)
    return {"type": "object"}


def _reference(message: Message, schemas: dict[str, Any]) -> dict[str, Any]:
    if message.name not in schemas:
        schemas[message.name] = {}
        schemas[message.name] = {
            "type": "object",
            "properties": {name: _schema(field, schemas) for name, field in message.fields.items()},
            "additionalProperties": False,
        }
    return {"$ref": f"{_SCHEMAS}/{message.name}"}


def _schema(field: Field, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message is not None:
        schema = _reference(field.message, schemas)
    elif field.kind == "enum":
        schema = {"type": "string", "enum": [value for value in field.values if value]}
    else:
        schema = dict(_SCALARS[field.kind])
    if field.repeated:
        return {"type": "array", "items": schema}
    if field.mapped:
        return {"type": "object", "additionalProperties": schema or True}
    return schema
