"""Emulators for the tests: in this process on a real socket, or as a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from small_pipelines import Draft

from kfp_emulator.cluster.timing import load_profile
from kfp_emulator.http.ports import SidePorts
from kfp_emulator.http.server import Server, open_socket
from kfp_emulator.options import Options, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

V2 = "/apis/v2beta1"

SMALL: dict[str, Any] = {
    "pipelineInfo": {"name": "small"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "root": {
        "inputDefinitions": {
            "parameters": {"word": {"parameterType": "STRING", "defaultValue": "hello", "isOptional": True}}
        },
        "dag": {"tasks": {"say": {"taskInfo": {"name": "say"}, "componentRef": {"name": "comp-say"}}}},
    },
    "components": {"comp-say": {"executorLabel": "exec-say"}},
    "deploymentSpec": {
        "executors": {"exec-say": {"container": {"image": "python:3.11", "command": ["echo", "hi"]}}}
    },
}


@dataclass
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Api:
    """A plain HTTP client of one emulator: no code of ours is between the test and the wire."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    urls: dict[str, Any] = field(default_factory=dict)
    """Where the emulator's other ports are, by the names that its ready line gives them."""

    @property
    def kubernetes(self) -> Api:
        """The same client of the emulator's Kubernetes API."""
        return Api(self.urls["kubernetes_url"])

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> Reply:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        try:
            data = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
            target = path if path.startswith("/") else f"{V2}/{path}"
            if query:
                target += "?" + urlencode(query)
            connection.request(method, target, data, {**self.headers, **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._good(self.call("GET", path, **query))

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self._good(self.call("POST", path, body, **query))

    def delete(self, path: str, **query: Any) -> Any:
        return self._good(self.call("DELETE", path, **query))

    def _good(self, reply: Reply) -> Any:
        assert reply.status == 200, reply.body
        return reply.json

    def upload(
        self, spec: Any = None, *, path: str = "pipelines/upload", file: str = "p.yaml", **query: Any
    ) -> Reply:
        """Upload a package: a spec (as JSON, which is YAML), or bytes."""
        data = spec if isinstance(spec, bytes) else json.dumps(SMALL if spec is None else spec).encode()
        body = (
            f'--b\r\nContent-Disposition: form-data; name="uploadfile"; filename="{file}"\r\n\r\n'.encode()
            + data
            + b"\r\n--b--\r\n"
        )
        return self.call("POST", path, body, {"Content-Type": "multipart/form-data; boundary=b"}, **query)

    def run(self, name: str = "r", spec: Any = None, **fields: Any) -> Any:
        """Create a run of an inline pipeline."""
        source = (
            {}
            if "pipeline_version_reference" in fields
            else {"pipeline_spec": SMALL if spec is None else spec}
        )
        return self.post("runs", {"display_name": name, **source, **fields})

    def wait(self, run_id: str, *states: str) -> Any:
        """Follow the truth until a run is seen in one of the states (any final one, if none is named)."""
        wanted = states or ("SUCCEEDED", "FAILED")
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        try:
            connection.request("GET", f"/emulator/v1/truth?follow=true&run_id={run_id}")
            response = connection.getresponse()
            while True:
                run = self.get(f"runs/{run_id}")
                if run.get("state") in wanted:
                    return run
                line = response.readline()
                assert line, "the truth ended"
        finally:
            connection.close()


class Running:
    """An emulator in a thread of this process."""

    def __init__(self, options: Options) -> None:
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(options,), daemon=True)
        self._thread.start()
        assert self._started.wait(30)
        if self._failure is not None:
            raise self._failure

    def _run(self, options: Options) -> None:
        with contextlib.suppress(Exception):
            asyncio.run(self._serve(options))
        self._started.set()

    async def _serve(self, options: Options) -> None:
        try:
            self.backend = build(options)
            server = Server(self.backend, open_socket("127.0.0.1", 0))
            await server.start()
            self._sides = SidePorts(self.backend, open_socket("127.0.0.1", 0), open_socket("127.0.0.1", 0))
            self._sides.start()
        except BaseException as failure:
            self._failure = failure
            raise
        self.url = server.url
        self.urls = self._sides.urls
        self.loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._started.set()
        await self._done.wait()
        await self._sides.stop()
        await server.stop()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._done.set)
        self._thread.join(30)


@pytest.fixture
def start() -> Iterator[Callable[..., Api]]:
    """Start emulators in this process, with the given options; profile `instant` unless told otherwise."""
    running: list[Running] = []

    def begin(profile: str = "instant", **options: Any) -> Api:
        running.append(Running(Options(load_profile(profile), **options)))
        return Api(running[-1].url, urls=running[-1].urls)

    yield begin
    for each in running:
        each.stop()


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """One emulator for the tests of a module."""
    running = Running(Options(load_profile("instant")))
    yield Api(running.url)
    running.stop()


@pytest.fixture
def client() -> type[Api]:
    """The plain HTTP client, for servers that a test starts itself."""
    return Api


@pytest.fixture
def small() -> dict[str, Any]:
    """A pipeline of one task with one optional parameter."""
    copied: dict[str, Any] = json.loads(json.dumps(SMALL))
    return copied


@pytest.fixture
def spawn() -> Iterator[Callable[..., tuple[Api, subprocess.Popen[bytes]]]]:
    """Run `python -m kfp_emulator` on a free port, ending with its standard input."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> tuple[Api, subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kfp_emulator", "--port", "0", "--exit-with-stdin", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, process.stderr.read() if process.stderr else ""
        urls = json.loads(ready)
        return Api(urls["url"], urls=urls), process

    yield begin
    for process in processes:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait(20)


@pytest.fixture
def draft() -> Draft:
    """A pipeline in the making."""
    return Draft()
