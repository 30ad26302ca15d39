"""Pipelines for the tests: the smallest that the API server would take, changed as a test needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

OTHERS = sorted((Path(__file__).parents[3] / "shared" / "pipelines").glob("*.yaml"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes documents as a pipeline file, and returns its path."""

    def write_documents(*documents: Any, name: str = "p.yaml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump_all(documents))
        return path

    return write_documents


@pytest.fixture
def spec() -> dict[str, Any]:
    return {
        "pipelineInfo": {"name": "small"},
        "schemaVersion": "2.1.0",
        "components": {
            "comp-work": {"executorLabel": "exec-work"},
            "comp-group": {
                "dag": {
                    "tasks": {
                        "inner": {
                            "componentRef": {"name": "comp-work"},
                            "cachingOptions": {"enableCache": True},
                        },
                    }
                }
            },
        },
        "deploymentSpec": {"executors": {"exec-work": {"container": {"image": "i"}}}},
        "root": {
            "dag": {
                "tasks": {
                    "work": {"componentRef": {"name": "comp-work"}, "cachingOptions": {}},
                    "group": {"componentRef": {"name": "comp-group"}, "dependentTasks": ["work"]},
                }
            },
            "inputDefinitions": {
                "parameters": {
                    "text": {"parameterType": "STRING"},
                    "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3, "isOptional": True},
                    "share": {"parameterType": "NUMBER_DOUBLE", "isOptional": True},
                    "flag": {"parameterType": "BOOLEAN", "isOptional": True},
                    "items": {"parameterType": "LIST", "isOptional": True},
                    "options": {"parameterType": "STRUCT", "isOptional": True},
                    "config": {"parameterType": "TASK_CONFIG", "isOptional": True},
                }
            },
        },
    }


@pytest.fixture(params=OTHERS or [Path("none")], ids=lambda path: path.stem)
def others_pipeline(request: pytest.FixtureRequest) -> Path:
    """A compiled pipeline of KFP's own test data."""
    if not OTHERS:
        pytest.skip("the compiled pipelines of others are not beside the repository")
    path: Path = request.param
    return path
