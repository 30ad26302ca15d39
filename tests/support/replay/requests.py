"""Builds the requests of a recording again, as far as their content is known."""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, unquote_plus

import yaml

from replay.preparation import preparation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replay.ids import Ids
    from replay.recording import Exchange, Recording

_BOUNDARY = "replay"
MULTIPART = f"multipart/form-data; boundary={_BOUNDARY}"
_TRIMMED = "...<trimmed>"
_UPLOAD = re.compile(r"multipart (\w+)=(\S+) \((\d+) bytes\)")
_LONG_URL = "x" * 70_000
_ARGO = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: small-
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: busybox}
"""


class NotReplayable(Exception):
    """The recording does not say what was sent, or what the answer depends on."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes over the wire."""

    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def rebuild(recording: Recording, exchange: Exchange, ids: Ids) -> Request:
    """Return the request of an exchange, with the emulator's ids in it.

    Raises:
        NotReplayable: its content is not known.

    """
    target = _translated(exchange.path, ids)
    if _TRIMMED in target:
        target = re.sub(rf"x+{re.escape(_TRIMMED)}", _LONG_URL, target)
    if _TRIMMED in target:
        raise NotReplayable("the recording holds only the beginning of the URL")
    body, content_type = _body(recording, exchange, ids)
    headers = dict(exchange.headers_sent)
    if body is not None:
        headers["Content-Type"] = content_type
    return Request(exchange.method, target, body, headers)


def _body(recording: Recording, exchange: Exchange, ids: Ids) -> tuple[bytes | None, str]:
    request = exchange.request
    if request is None:
        return None, ""
    if isinstance(request, str):
        if request == "no parts":
            return b"--replay--\r\n", MULTIPART
        upload = _UPLOAD.fullmatch(request)
        if upload is None:
            return request.encode(), "application/json"
        content = _uploaded(upload[2], int(upload[3]), exchange.path)
        return upload_body(upload[1], upload[2], content), MULTIPART
    spec = request.get("pipeline_spec")
    if isinstance(spec, str) and spec.startswith("<trimmed"):
        change = CHANGED_SPECS.get((recording.name, exchange.number), _unchanged)
        request = request | {"pipeline_spec": change(_first_spec(recording))}
    if not preparation_of(recording.name).cached:
        request = _without_caching(request)
    return _translated(json.dumps(request), ids).encode(), "application/json"


def _without_caching(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: {} if key == "cachingOptions" else _without_caching(inner) for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_caching(inner) for inner in value]
    return value


def upload_body(name: str, file_name: str, content: bytes) -> bytes:
    """Return a multipart body of one file."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n\r\n'
    return head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _catalog_pipeline(name: str) -> bytes:
    """Return the file of a built-in pipeline."""
    return files("kfp_perf").joinpath(f"catalog/pipelines/{name}.yaml").read_bytes()


def uncached_pipeline() -> bytes:
    """Return a pipeline of one task that is never taken from the cache."""
    return _as_json(_without_caching(_hello()))


def _translated(text: str, ids: Ids) -> str:
    """Replace the ids of a text, page tokens in its query included."""
    text = re.sub(r"(?<=page_token=)[^&]+", lambda found: _quoted(ids, found[0]), text)
    text = re.sub(r"(?<=/nodes/)[^/]+", lambda found: ids.translate(found[0]), text)
    return ids.translate(text)


def _quoted(ids: Ids, token: str) -> str:
    recorded = unquote_plus(token)
    if recorded.endswith(_TRIMMED):
        return quote_plus(ids.beginning_with(recorded.removesuffix(_TRIMMED)) or recorded)
    return quote_plus(ids.translate(recorded))


def _first_spec(recording: Recording) -> dict[str, Any]:
    for exchange in recording.exchanges:
        if isinstance(exchange.request, dict) and isinstance(exchange.request.get("pipeline_spec"), dict):
            spec: dict[str, Any] = exchange.request["pipeline_spec"]
            if "root" in spec:
                return deepcopy(spec)
    raise NotReplayable("the pipeline is not in the recording")


def _unchanged(spec: dict[str, Any]) -> dict[str, Any]:
    return spec


def _message_required(spec: dict[str, Any]) -> dict[str, Any]:
    spec["root"]["inputDefinitions"]["parameters"]["message"] = {"parameterType": "STRING"}
    return spec


def _unknown_component(spec: dict[str, Any]) -> dict[str, Any]:
    spec["root"]["dag"]["tasks"]["echo"]["componentRef"]["name"] = "comp-none"
    return spec


def _unknown_dependency(spec: dict[str, Any]) -> dict[str, Any]:
    spec["root"]["dag"]["tasks"]["echo"]["dependentTasks"] = ["none"]
    return spec


CHANGED_SPECS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("10-run-refused", 11): _message_required,
    ("10-run-refused", 12): _message_required,
    ("10-run-refused", 13): _message_required,
    ("10-run-refused", 14): _message_required,
    ("10-run-refused", 19): _unknown_component,
    ("10-run-refused", 20): _unknown_dependency,
}
"""Pipelines that the recording left out, and how they differ from its first one, by what the answers say."""


def _hello(**changed: Any) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(_catalog_pipeline("hello")) | changed
    return {key: value for key, value in spec.items() if value is not None}


def _platform() -> bytes:
    labels = {"podMetadata": {"labels": {"a": "b"}}}
    document = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-echo": labels}}}}}
    return _catalog_pipeline("hello") + b"\n---\n" + yaml.safe_dump(document).encode()


def _as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


_BY_NAME: dict[str, Callable[[], bytes]] = {
    "argo": _ARGO.encode,
    "badref": lambda: _as_json(_unknown_component(_hello())),
    "noinfo": lambda: _as_json(_hello(pipelineInfo=None)),
    "unknown": lambda: _as_json(_hello(colour=1)),
    "schema": lambda: _as_json(_hello(schemaVersion="9.9")),
    "badname": lambda: _as_json(_hello(pipelineInfo={"name": "Bad Name!"})),
    "noroot": lambda: _as_json(_hello(root=None)),
    "platform": _platform,
}
"""The pipelines of uploads by the end of their name: `badref` for `name=rec-badref`."""
_BY_SIZE = {0: b"", 8: b"nonsense", 2: b"{}"}


def _uploaded(file_name: str, size: int, path: str) -> bytes:
    """Return the content of an upload that was recorded as name and size."""
    hello = _catalog_pipeline("hello")
    name = re.search(r"[?&]name=\w+-(\w+)", path)
    if name and name[1] in _BY_NAME:
        return _BY_NAME[name[1]]()
    if file_name.endswith(".zip"):
        return _zipped(hello)
    if file_name.endswith(".tar.gz"):
        return _tarred(hello)
    known = _BY_SIZE | {len(content): content for content in (hello, _catalog_pipeline("sequential"))}
    if size not in known:
        raise NotReplayable(f"an upload of {size} bytes is not described")
    return known[size]


def _zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("p.yaml", content)
    return buffer.getvalue()


def _tarred(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("p.yaml")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


__all__ = ["MULTIPART", "NotReplayable", "Request", "rebuild", "uncached_pipeline", "upload_body"]
