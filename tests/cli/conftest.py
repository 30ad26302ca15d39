from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from kfp_perf.cli import outcome
from kfp_perf.config import TestConfig, variable_name
from kfp_perf.execution import EmulatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for field in TestConfig.model_fields:
        if field != "evidence":  # which is off for all tests, see tests/conftest.py
            monkeypatch.delenv(variable_name(TestConfig, field), raising=False)
    return tmp_path


@pytest.fixture
def kfp_perf(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process; return its exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = outcome(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Start a server that gives one answer to every request; returns its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, kind: str, body: str) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if status == 302:
                    self.send_header("Location", "https://login.invalid/")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def emulator_url() -> Iterator[str]:
    """An emulator in a process of its own."""
    with EmulatorProcess("fast", seed=1) as emulator:
        yield emulator.url
