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
        default=None,
        alias="$schema",
        description="Where editors find the JSON Schema of this file; a test does not read it.",
        examples=["./kfp-perf.schema.json"],
    )
    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="What the results are called.",
        examples=["nightly"],
        json_schema_extra={"unset": "the name of the file"},
    )
    defaults: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields of every scenario that does not give them itself and whose mode uses them.",
        examples=[{"runTime": 5, "pipelineFileName": "hello.yaml"}],
    )
    thresholds: dict[str, Conditions] = Field(
        default_factory=dict,
        description="Conditions on metrics of the whole test that decide whether it passes; `null` lifts a default "
        "one.",
        examples=[{"api.CreateRun.error_rate": "<= 1%"}],
    )
    primary: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_PRIMARY,
        description="Metrics of the whole test by which executions are compared, at most three in a file.",
        examples=[["run.visible.mean", "api.CreateRun.latency.p95"]],
        json_schema_extra={"unset": "run.visible.mean, or of reads the p95 of the commonest call"},
    )


class ScenarioFile(FileHead):
    """A whole scenario file; a plain list is a file with nothing but `scenarios`."""

    scenarios: tuple[TestScenario, ...] = Field(
        min_length=1,
        description="The scenarios, which run at the same time, each from its own `startTime` on.",
    )
