"""The two upload routes: server/pipeline_upload_server.go of kubeflow/pipelines.

They lie beside the gateway: any method reaches them, errors have a shape of their own, and authentication
failures are 400 there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from kfp_emulator.api import pipelines, versions
from kfp_emulator.pipelines.packages import read_package, unpack
from kfp_emulator.protocol.call import encode
from kfp_emulator.protocol.errors import (
    JSON_HEADER,
    Answer,
    ApiFault,
    Code,
    plain_answer,
    upload_fault_answer,
)
from kfp_emulator.server import pipelines as pipeline_rows
from kfp_emulator.server import versions as version_rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kfp_emulator.protocol.call import Call
    from kfp_emulator.server.state import Backend

FILE_FIELD = "uploadfile"


class _Refused(Exception):
    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def _refuse(status: int, message: str, *, as_json: bool = False) -> _Refused:
    return _Refused(upload_fault_answer(status, message, as_json=as_json))


async def upload_pipeline(backend: Backend, call: Call) -> Answer:
    """POST /pipelines/upload: a pipeline, and a first version of the same name."""
    try:
        file_name, content = await _file(call, "Failed to read pipeline from file")
        text = _unpacked(file_name, content, "Failed to read a pipeline spec file")
        asked = call.text("namespace")
        if len(asked.encode()) > pipelines.NAMESPACE_LENGTH:
            return plain_answer(400, _too_long("Pipeline.Namespace", pipelines.NAMESPACE_LENGTH))
        namespace = backend.access.namespace(asked)
        try:
            if namespace:
                await backend.access.authorize_pipeline(call, "create", namespace)
        except ApiFault:
            raise _refuse(400, "Failed to create a pipeline") from None
        name = call.text("name") or call.text("display_name") or file_name
        tags = _tags(call)
        if len(name.encode()) > pipelines.NAME_LENGTH:
            return plain_answer(400, _too_long("Pipeline.Name", pipelines.NAME_LENGTH))
        fields = _fields(call, name) | {"namespace": namespace}
        try:
            pipeline_id = pipeline_rows.insert_both(backend, fields, tags, {}, read_package(text))
        except ApiFault as fault:
            raise _spec_refused(fault, "Failed to create a pipeline and a pipeline version") from None
    except _Refused as refused:
        return refused.answer
    return Answer(200, encode(pipelines.show(pipeline_rows.find(backend, pipeline_id))), (JSON_HEADER,))


async def upload_pipeline_version(backend: Backend, call: Call) -> Answer:
    """POST /pipelines/upload_version: another version of a pipeline; nearly every fault has one text."""
    general = "Failed to create a pipeline version"
    try:
        file_name, content = await _file(call, general)
        text = _unpacked(file_name, content, general)
        pipeline_id = call.text("pipelineid")
        if not pipeline_id:
            raise _refuse(400, general)
        name = call.text("name") or call.text("display_name") or file_name
        if len(name.encode()) > versions.NAME_LENGTH:
            return plain_answer(400, _too_long("PipelineVersion.Name", versions.NAME_LENGTH))
        try:
            namespace = pipeline_rows.find(backend, pipeline_id).namespace
            if namespace:
                await backend.access.authorize_pipeline(call, "create", namespace)
        except ApiFault:
            raise _refuse(400, general) from None
        tags = _tags(call)
        try:
            version_id = version_rows.add(backend, pipeline_id, _fields(call, name), tags, read_package(text))
        except ApiFault as fault:
            raise _spec_refused(fault, general) from None
    except _Refused as refused:
        return refused.answer
    return Answer(200, encode(versions.show(version_rows.find(backend, version_id))), (JSON_HEADER,))


async def _file(call: Call, failure: str) -> tuple[str, bytes]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield call.body

    headers = Headers(raw=call.headers)
    if not headers.get("content-type", "").startswith("multipart/form-data"):
        raise _refuse(400, failure)
    try:
        form = await MultiPartParser(headers, stream()).parse()
    except (MultiPartException, MultipartParseError, KeyError, ValueError):
        raise _refuse(400, failure) from None
    try:
        file = form.get(FILE_FIELD)
        if not isinstance(file, UploadFile):
            raise _refuse(400, failure)
        return file.filename or "", await file.read()
    finally:
        await form.close()


def _unpacked(file_name: str, content: bytes, failure: str) -> bytes:
    try:
        return unpack(file_name, content)
    except ApiFault:
        raise _refuse(400, failure) from None


def _fields(call: Call, name: str) -> dict[str, str]:
    return {
        "name": name,
        "display_name": call.text("display_name") or name,
        "description": call.text("description"),
        "code_source_url": call.text("code_source_url"),
    }


def _tags(call: Call) -> dict[str, str]:
    text = call.text("tags")
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str] | None) or {}
    except (msgspec.DecodeError, RecursionError):
        raise _refuse(
            400, "Failed to parse tags query parameter. Expected JSON object with string keys and values"
        ) from None


def _too_long(field: str, limit: int) -> str:
    return f"Invalid input error: {field} length cannot exceed {limit}"


def _spec_refused(fault: ApiFault, general: str) -> _Refused:
    if fault.code is Code.ALREADY_EXISTS:
        return _refuse(409, general, as_json=True)
    if fault.code is Code.INVALID_ARGUMENT:
        return _refuse(400, fault.message, as_json=True)
    return _refuse(500, general, as_json=True)
