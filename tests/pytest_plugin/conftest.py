from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

# pytester restores the modules that were there before a test; numpy cannot be imported twice.
import kfp_perf.pytest_plugin.nodes  # noqa: F401
from kfp_perf.config import TestConfig, variable_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in TestConfig.model_fields:
        monkeypatch.delenv(variable_name(TestConfig, field), raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("KFP_PERF_EVIDENCE", "false")  # a process more for each test that is run


@pytest.fixture
def scenarios(pytester: pytest.Pytester) -> Callable[..., Path]:
    """Write a scenario file: for each name a scenario that reads for half a second, with its thresholds."""

    def write(file: str, /, *, whole: dict[str, str] | None = None, **named: dict[str, str]) -> Path:
        path = pytester.path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        document: dict[str, Any] = {
            "thresholds": whole or {},
            "scenarios": [
                {
                    "name": name,
                    "mode": "RANDOM_GETS",
                    "runTime": "500ms",
                    "mix": {"ListRuns": 1},
                    "thinkTime": "20ms",
                    "thresholds": thresholds,
                }
                for name, thresholds in named.items()
            ],
        }
        path.write_text(json.dumps(document))
        return path

    return write
