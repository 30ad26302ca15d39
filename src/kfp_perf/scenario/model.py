"""A scenario and a scenario file: the fields of `fields`, checked against each other by `rules`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, model_validator

from kfp_perf.scenario import rules
from kfp_perf.scenario.conditions import Conditions
from kfp_perf.scenario.fields import MOST_PRIMARY, NAME_PATTERN, ScenarioFields
from kfp_perf.scenario.modes import TestMode
from kfp_perf.scenario.parts import DEFAULT_MIX, FROZEN, Prefill, ReadCall, Stage

__all__ = [
    "DEFAULT_MIX",
    "FileHead",
    "Prefill",
    "ReadCall",
    "ScenarioFile",
    "Stage",
    "TestMode",
    "TestScenario",
]


class TestScenario(ScenarioFields):
    """One concurrent part of a test.

    Raises pydantic's ValidationError; files are read by `serde`, which turns every error into a `Problem`.
    """

    __test__ = False

    @model_validator(mode="after")
    def _consistent(self) -> TestScenario:
        faults = rules.faults_of(self)
        if faults:
            raise rules.ScenarioFaults(faults)
        return self


class FileHead(BaseModel):
    """The settings that a scenario file in the object form has for all of its scenarios."""

    model_config = FROZEN

    json_schema: str | None = Field(
        default=None, alias="$schema", description="Address of the JSON Schema, for editors; not used."
    )
    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="The name of the results; the file's name if not given.",
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields for every scenario that does not give them and whose mode they suit.",
        examples=[{"runTime": 5, "pipelineFileName": "hello.yaml"}],
    )
    thresholds: dict[str, Conditions] = Field(
        default_factory=dict,
        description="Bounds of the whole test's metrics that decide whether it passed; `null` lifts a default one.",
        examples=[{"api.CreateRun.error_rate": "<= 1%"}],
    )
    primary: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_PRIMARY,
        description="The whole test's metrics by which executions are compared, at most three in a file.",
        examples=[["run.visible.mean", "api.CreateRun.latency.p95"]],
    )


class ScenarioFile(FileHead):
    """A whole scenario file; a plain list is a file with nothing but `scenarios`."""

    scenarios: tuple[TestScenario, ...] = Field(
        min_length=1, description="The scenarios, which run concurrently."
    )
