from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from program import Program, Server

from kfp_perf.config import TestConfig, variable_name
from kfp_perf.execution import EmulatorProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def _clean_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for field in TestConfig.model_fields:
            if field not in {"evidence", "KUBECONFIG"}:  # which tests/conftest.py sets for all tests
                patch.delenv(variable_name(TestConfig, field), raising=False)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with EmulatorProcess("fast", seed=1) as emulator:
        yield Server(emulator.url)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start `kfp-perf run` on these scenarios, in an empty folder but for the `files` given."""
    started: list[Program] = []

    def start(
        scenarios: Any, *arguments: str, files: dict[str, str] | None = None, **environment: str
    ) -> Program:
        for name, text in {"t.json": json.dumps(scenarios), **(files or {})}.items():
            (tmp_path / name).write_text(text)
        one = Program(tmp_path, "run", "t.json", *arguments, **environment)
        started.append(one)
        return one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
