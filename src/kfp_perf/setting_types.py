"""Types of settings: how a variable's text is read, and what it must look like."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from kfp_perf.hosts import parse_host


def _check_host(value: str) -> str:
    parse_host(value)
    return value.strip().rstrip("/")


def _check_port(value: Any) -> Any:
    if isinstance(value, str) and "://" in value:
        # https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
        raise ValueError(
            "must be a number from 1 to 65535; Kubernetes sets this variable in pods beside a Service named api: "
            "set enableServiceLinks to false there, or give --port"
        )
    return value


def _check_namespace(value: str) -> str:
    # A label (RFC 1123), https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", value):
        likely = re.sub(r"[^a-z0-9]+", "-", value.strip().lower())[:63].strip("-") or "kubeflow"
        raise ValueError(
            "must be the name of a namespace: lower-case letters, digits and hyphens, at most 63, "
            f"such as {likely}"
        )
    return value


def _check_header_name(value: str) -> str:
    # A token (RFC 9110, section 5.6.2), and none of the names by which a request is delimited and routed.
    ours = {"host", "content-length", "content-type", "transfer-encoding", "connection", "x-request-id"}
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value) or value.lower() in ours:
        raise ValueError("must be the name of a request header, such as kubeflow-userid")
    return value


def _check_folders(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    for folder in folders:
        try:
            next(folder.iterdir(), None)
        except OSError as error:
            raise ValueError(f"the folder {folder} cannot be read: {error.strerror}") from None
    return folders


HostText = Annotated[str, AfterValidator(_check_host)]
Port = Annotated[int, BeforeValidator(_check_port), Field(ge=1, le=65535)]
Namespace = Annotated[str, AfterValidator(_check_namespace)]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
UpperCase = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
#: Paths as those of PATH are given: a text that is split, or a sequence.
Paths = Annotated[
    tuple[Path, ...],
    NoDecode,
    BeforeValidator(lambda value: value.split(os.pathsep) if isinstance(value, str) else value),
]
Names = Annotated[
    tuple[Namespace, ...],
    NoDecode,
    BeforeValidator(lambda value: re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value),
]
Folders = Annotated[Paths, AfterValidator(_check_folders)]
#: Program and arguments; as a text they are split as by a shell, which does not run.
Command = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(lambda value: shlex.split(value) if isinstance(value, str) else value),
    Field(min_length=1),
]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _split_urls(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=")[::2] for part in re.split(r"[,\s]+", value) if part]
    return dict(pairs)


def _check_urls(urls: dict[str, str]) -> dict[str, str]:
    for name, url in urls.items():
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name) or name == "server":
            raise ValueError(
                "must be pairs of name=URL, such as controller=https://localhost:9090/metrics; a name has "
                "lower-case letters, digits and hyphens, and is not server"
            )
        if not re.fullmatch(r"https?://[^\s/@?#]+(?:[/?][^\s#]*)?", url):
            raise ValueError(f"must have a URL of http or https, without credentials, after {name}=")
        _check_authority(url)
    return urls


def _check_authority(url: str) -> str:
    parse_host(re.split(r"(?<=[^/:])[/?]", url, maxsplit=1)[0])
    return url


#: A URL whose host and port can be connected to.
Url = Annotated[str, AfterValidator(_check_authority)]


MetricsUrls = Annotated[dict[str, str], NoDecode, BeforeValidator(_split_urls), AfterValidator(_check_urls)]
