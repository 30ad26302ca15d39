"""Parts of a scenario: stages of a load, rows to create before the start, and the calls of RANDOM_GETS."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from kfp_perf.scenario.quantities import Count, Minutes, Target

DEFAULT_MIX: dict[str, float] = {
    "ListRuns": 30,
    "GetRun": 30,
    "ListPipelines": 10,
    "ListPipelineVersions": 8,
    "GetPipelineVersion": 8,
    "ListExperiments": 8,
    "GetExperiment": 4,
    "GetPipeline": 2,
}
"""The calls that RANDOM_GETS makes, by the names of the API's RPCs, and their weights where `mix` is not given."""

ReadCall: TypeAlias = Literal[
    "ListRuns",
    "GetRun",
    "ListPipelines",
    "ListPipelineVersions",
    "GetPipelineVersion",
    "ListExperiments",
    "GetExperiment",
    "GetPipeline",
]

FROZEN = ConfigDict(
    frozen=True,
    extra="forbid",
    alias_generator=to_camel,
    validate_by_name=True,
    validate_by_alias=True,
    serialize_by_alias=True,
    use_attribute_docstrings=False,
)


def in_seconds(minutes: float) -> float:
    """Return minutes in seconds, rounded to a microsecond: `20s` is kept as a third of a minute."""
    return round(minutes * 60, 6)


class Stage(BaseModel):
    """A part of a load that changes over time: in `duration` it moves in a straight line to `target`."""

    model_config = FROZEN

    duration: Minutes = Field(
        description="How long the stage lasts; with 0 the load jumps to the target.",
        examples=["2m"],
        json_schema_extra={"unit": "minutes"},
    )
    target: Target = Field(
        description="The load at the end of the stage: a number of slots, or a rate as a text.",
        examples=[10, "60/min"],
    )

    @property
    def duration_seconds(self) -> float:
        """The stage's length in seconds."""
        return in_seconds(self.duration)


class Prefill(BaseModel):
    """What to create on the server before the load starts, so that its database is not empty; counted apart."""

    model_config = FROZEN

    experiments: Count = Field(default=0, description="How many experiments to create.", examples=[20])
    pipelines: Count = Field(
        default=0, description="How many pipelines to upload, each with one version.", examples=[50]
    )
    versions: Count = Field(default=0, description="How many further versions to upload.", examples=[100])
    runs: Count = Field(default=0, description="How many runs to create.", examples=[1000])

    @property
    def total(self) -> int:
        """All rows together."""
        return self.experiments + self.pipelines + self.versions + self.runs
