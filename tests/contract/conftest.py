"""One KFP API server for the contract tests: the emulator, or the real one that KFP_CONTRACT_URL names.

Against a real server the tests make objects whose names begin with `contract-`, and take them away again.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

V2 = "/apis/v2beta1"
PATIENCE_SECONDS = 600 if os.environ.get("KFP_CONTRACT_URL") else 60

PIPELINE: dict[str, Any] = {
    "pipelineInfo": {"name": "contract"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "root": {
        "inputDefinitions": {"parameters": {"word": {"parameterType": "STRING"}}},
        "dag": {
            "tasks": {
                "say": {
                    "taskInfo": {"name": "say"},
                    "componentRef": {"name": "comp-say"},
                    "cachingOptions": {},
                    "inputs": {"parameters": {"word": {"componentInputParameter": "word"}}},
                }
            }
        },
    },
    "components": {
        "comp-say": {
            "executorLabel": "exec-say",
            "inputDefinitions": {"parameters": {"word": {"parameterType": "STRING"}}},
        }
    },
    "deploymentSpec": {
        "executors": {
            "exec-say": {
                "container": {
                    "image": "python:3.11-alpine",
                    "command": ["echo", "{{$.inputs.parameters['word']}}"],
                }
            }
        }
    },
}


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """Where the server is."""
    given = os.environ.get("KFP_CONTRACT_URL")
    if given:
        yield given.rstrip("/")
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "kfp_emulator", "--port", "0", "--exit-with-stdin", "--seed", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["url"]
    process.stdin.close()
    process.stdout.close()
    process.wait(20)


class Api:
    """Plain HTTP, so that no client library hides what is on the wire."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """Return status and decoded body."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=60)
        try:
            target = f"{self._parts.path}{V2}/{path}" + (f"?{urlencode(query)}" if query else "")
            headers = {}
            data = body
            if isinstance(body, bytes):
                headers["Content-Type"] = "multipart/form-data; boundary=b"
            elif body is not None:
                data = json.dumps(body)
                headers["Content-Type"] = "application/json"
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def good(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Return the body of an answer that must be 200."""
        status, document = self.call(method, path, body, **query)
        assert status == 200, document
        return document

    def upload(self, path: str, **query: Any) -> Any:
        """Upload the pipeline of these tests."""
        head = '--b\r\nContent-Disposition: form-data; name="uploadfile"; filename="contract.yaml"\r\n\r\n'
        body = head.encode() + json.dumps(PIPELINE).encode() + b"\r\n--b--\r\n"
        return self.good("POST", path, body, **query)

    def until(self, look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
        """Ask again and again, as a client of a remote server must."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = look()
            if wanted(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.05)


@pytest.fixture(scope="session")
def api(url: str) -> Api:
    return Api(url)


@pytest.fixture
def name() -> str:
    """A name that nobody else uses."""
    return f"contract-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def experiment(api: Api, name: str) -> Iterator[str]:
    """An experiment's id."""
    made = api.good("POST", "experiments", {"display_name": name})["experiment_id"]
    yield made
    api.call("DELETE", f"experiments/{made}")


@pytest.fixture
def pipeline(api: Api, name: str) -> Iterator[dict[str, Any]]:
    """An uploaded pipeline."""
    made = api.upload("pipelines/upload", name=name)
    yield made
    api.call("DELETE", f"pipelines/{made['pipeline_id']}", cascade="true")


@pytest.fixture
def spec() -> dict[str, Any]:
    """The pipeline's IR: one task that prints a word, which must be given."""
    copied: dict[str, Any] = json.loads(json.dumps(PIPELINE))
    return copied
