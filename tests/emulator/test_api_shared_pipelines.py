"""Pipelines of others, compiled by the real compiler: uploaded and run over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "shared" / "pipelines"
FILES = sorted(FOLDER.glob("*.yaml")) if FOLDER.is_dir() else []

VALUES: dict[str, Any] = {
    "STRING": "text",
    "NUMBER_INTEGER": 3,
    "NUMBER_DOUBLE": 0.5,
    "BOOLEAN": True,
    "LIST": ["a", "b"],
    "STRUCT": {"a": 1},
}


@pytest.mark.skipif(not FILES, reason="the pipelines of others are not here")
def test_every_pipeline_uploads_and_runs_to_an_end(api: Any) -> None:
    ended = {}
    for file in FILES:
        spec = next(
            each for each in yaml.safe_load_all(file.read_text("utf-8")) if each and "pipelineInfo" in each
        )
        wanted = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        given = {
            name: VALUES[definition["parameterType"]]
            for name, definition in wanted.items()
            if "defaultValue" not in definition and not definition.get("isOptional")
        }
        pipeline = api.upload(file.read_bytes(), file=file.name)
        assert pipeline.status == 200, (file.name, pipeline.body)
        reference = {"pipeline_id": pipeline.json["pipeline_id"]}
        run = api.run(file.stem, pipeline_version_reference=reference, runtime_config={"parameters": given})
        found = api.wait(run["run_id"])
        ended[file.name] = found["state"]
        names = [task.get("display_name", "") for task in found["run_details"]["task_details"]]
        for task in spec["root"]["dag"]["tasks"]:
            assert any(name.split("(")[0].removesuffix("-driver") == task for name in names), (
                file.name,
                task,
            )
    assert set(ended.values()) == {"SUCCEEDED"}, ended
    assert len(ended) == len(FILES)
