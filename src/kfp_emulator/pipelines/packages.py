"""Pipeline packages: from an uploaded or fetched file to the documents of its IR.

Follows backend/src/apiserver/server/util.go (archives) and template/template.go (YAML) of kubeflow/pipelines.
"""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import msgspec

from kfp_emulator.pipelines.ir import InvalidPipeline, Pipeline, is_v1, load_documents, parse_pipeline
from kfp_emulator.protocol.errors import ApiFault, internal, invalid_input, invalid_input_details

MAX_FILE_LENGTH = 32 << 20
FETCH_TIMEOUT_SECONDS = 30
_ALLOWED_HOSTS = frozenset(
    {"storage.googleapis.com", "s3.amazonaws.com", "github.com", "raw.githubusercontent.com"}
)
_PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Package:
    """A pipeline package that the server accepts: its documents, the JSON that the API shows, and what it is."""

    documents: list[dict[str, Any]]
    shown: bytes
    pipeline: Pipeline | None
    """None for an Argo Workflow (v1), which is kept and shown, but not run here."""


def unpack(file_name: str, content: bytes) -> bytes:
    """Return the YAML inside an uploaded file: by extension for yaml and json, by content for archives.

    Raises:
        ApiFault: 400, it is too large, or of no known format.

    """
    if len(content) > MAX_FILE_LENGTH:
        text = f"File size too large. Maximum supported file size: {MAX_FILE_LENGTH}"
        raise invalid_input(text).wrapped("Error read pipeline file")
    if file_name.endswith((".yaml", ".yml", ".json")):
        return content
    try:
        if content[:2] == b"PK":
            return _from_zip(content)
        if content[:2] == b"\x1f\x8b":
            return _from_tarball(content)
    except ApiFault as fault:
        raise fault.wrapped("Error decompress the pipeline file") from None
    raise invalid_input("Unexpected pipeline file format. Support .zip, .tar.gz, .json or YAML")


def _from_zip(content: bytes) -> bytes:
    context = "Error extracting pipeline from the zip file"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if not names:
                raise invalid_input_details(f"{context}. Empty zip file", "no files")
            name = "pipeline.yaml" if "pipeline.yaml" in names else names[0]
            if not name.endswith((".yaml", ".yml")):
                raise invalid_input(f"{context}. Expecting a pipeline.yaml file inside the zip. Got: {name}")
            with archive.open(name) as file:
                return _limited(file.read(MAX_FILE_LENGTH + 1))
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise invalid_input_details(f"{context}. Not a valid zip file", str(error)) from None


def _from_tarball(content: bytes) -> bytes:
    context = "Error extracting pipeline from the tarball file"
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            first = archive.next()
            if first is None:
                raise invalid_input_details(f"{context}. Not a valid tarball file", "EOF")
            # Reads no further than it must: what follows may unpack to any length.
            member = next((each for each in archive if each.name == "pipeline.yaml"), first)
            if not member.name.endswith((".yaml", ".yml")):
                raise invalid_input(
                    f"{context}. Expecting a pipeline.yaml file inside the tarball. Got: {member.name}"
                )
            file = archive.extractfile(member)
            return b"" if file is None else _limited(file.read(MAX_FILE_LENGTH + 1))
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise invalid_input_details(f"{context}. Not a valid tarball file", str(error)) from None


def _limited(content: bytes) -> bytes:
    if len(content) > MAX_FILE_LENGTH:
        raise invalid_input(f"File size too large. Maximum supported file size: {MAX_FILE_LENGTH}")
    return content


def read_package(content: bytes) -> Package:
    """Read and check a pipeline's YAML.

    Raises:
        ApiFault: 400, with the real server's text; 500 where it is empty.

    """
    if not content:
        raise internal("Failed to create a pipeline", "empty template")
    try:
        documents = load_documents(content)
    except InvalidPipeline as error:
        raise _invalid(str(error)) from None
    return check_package(documents)


def check_package(documents: list[dict[str, Any]]) -> Package:
    """Check a pipeline's documents.

    Raises:
        ApiFault: 400, with the real server's text.

    """
    try:
        pipeline = None if is_v1(documents) else parse_pipeline(documents)
        return Package(documents, _shown(documents), pipeline)
    except InvalidPipeline as error:
        raise _invalid(str(error)) from None
    except (TypeError, ValueError, RecursionError) as error:  # what YAML can say, and JSON cannot
        raise _invalid(f"failed to parse pipeline spec YAML: {error}") from None


def documents_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documents of a spec as a run carries it: plain, or beside its platform's."""
    if "pipeline_spec" in spec:
        parts = [spec["pipeline_spec"], spec.get("platform_spec")]
        return [part for part in parts if isinstance(part, dict)]
    return [spec]


def check_pipeline_name(package: Package) -> None:
    """Refuse a pipelineInfo.name that ML Metadata would not take: only uploads look at this.

    Raises:
        ApiFault: 400.

    """
    if package.pipeline is None:
        return
    name = package.pipeline.name
    if not name:
        raise invalid_input("pipeline's name cannot be empty")
    if len(name.encode()) > 128:
        raise invalid_input("pipeline's name must contain no more than 128 characters")
    if not _PIPELINE_NAME.match(name):
        raise invalid_input(
            "pipeline's name must contain only lowercase alphanumeric characters or '-' and must start with "
            "alphanumeric characters"
        )


def _shown(documents: list[dict[str, Any]]) -> bytes:
    platform = next((document for document in documents if "platforms" in document), None)
    spec = next((document for document in documents if document is not platform), documents[0])
    shown = spec if platform is None else {"pipeline_spec": spec, "platform_spec": platform}
    return msgspec.json.encode(_go_numbers(shown))


def _go_numbers(value: Any) -> Any:
    """Return a value with whole floats as Go writes them, without a fraction."""
    if isinstance(value, dict):
        return {key: _go_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_go_numbers(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    return value


def _invalid(message: str) -> ApiFault:
    return invalid_input_details(message, "pipeline spec is invalid")


async def fetch_package(url: str, *, any_host: bool) -> tuple[str, bytes]:
    """Fetch a package that a JSON route names by URL; return its file name and content.

    Raises:
        ApiFault: the URL is none that the real server would fetch, or it cannot be fetched.

    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise invalid_input(f"invalid pipeline spec URL: {url}") from None
    if not parts.scheme or not parts.netloc:
        raise invalid_input(f"invalid pipeline spec URL: {url}")
    allowed = parts.scheme == "https" and port in {None, 443} and parts.hostname in _ALLOWED_HOSTS
    if not allowed and not (any_host and parts.scheme in {"http", "https"}):
        raise invalid_input("Pipeline URL validation failed")
    try:
        status, content = await asyncio.to_thread(_download, url)
    except (URLError, OSError, ValueError) as error:
        raise internal(f"error downloading the pipeline spec from {url}", str(error)) from None
    if status != 200:
        raise invalid_input(f"error fetching pipeline spec from {url} - request returned {status}")
    return PurePosixPath(parts.path).name, content


def _download(url: str) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=FETCH_TIMEOUT_SECONDS) as response:
            return response.status, response.read(MAX_FILE_LENGTH + 1)
    except urllib.request.HTTPError as error:
        with error:
            return error.code, b""
