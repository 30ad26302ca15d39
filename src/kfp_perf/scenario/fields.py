"""The fields of a scenario, which is one concurrent part of a test, as the user writes them.

Field names in JSON are camelCase, attributes snake_case. Times are kept in minutes, as given; the `*_seconds`
properties are what the rest of the program uses. Descriptions, units and examples are written here once: the
reference page and the JSON Schema are generated from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, Field

from kfp_perf.scenario.conditions import Conditions
from kfp_perf.scenario.cron import checked_cron
from kfp_perf.scenario.enums import EnumSerDe
from kfp_perf.scenario.modes import EARLIER_MODES, Mode, TestMode, mode_of
from kfp_perf.scenario.parts import FROZEN, Prefill, ReadCall, Stage, in_seconds
from kfp_perf.scenario.quantities import (
    MAX_RATE_PER_SECOND,
    MAX_STAGES,
    Minutes,
    PositiveCount,
    PositiveMinutes,
    PositiveRate,
    Rate,
    Size,
)

MOST_PRIMARY = 3
"""The most metrics by which executions are compared: each one more makes all of them less certain."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
_NAMESPACE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"

ModeName: TypeAlias = Annotated[
    TestMode | str, EnumSerDe(TestMode).enum_by_name(earlier=EARLIER_MODES, context_key="extra_modes")
]


class ScenarioFields(BaseModel):
    """The fields of a scenario, each checked by itself; `TestScenario` checks them against each other."""

    model_config = FROZEN

    mode: ModeName = Field(description="What the scenario does.", examples=["PIPELINE_RUN"])
    start_time: Minutes = Field(
        default=0.0,
        description="When the scenario starts, counted from the start of the test.",
        examples=[0.5],
        json_schema_extra={"unit": "minutes"},
    )
    run_time: PositiveMinutes | None = Field(
        default=None,
        description="How long the scenario starts new work; it may be left out where `stages` are given, whose "
        "durations add up to it.",
        examples=["90s"],
        json_schema_extra={"unit": "minutes"},
    )
    num_times: PositiveCount = Field(
        default=1,
        description="How many at a time, or in all: see the modes.",
        examples=[5],
    )
    pipeline_file_name: str | None = Field(
        default=None,
        min_length=1,
        description="The compiled pipeline to run or upload: relative to the scenario file, to its folder "
        "`pipelines`, to `../pipeline_files`, to a configured pipeline folder, or from the built-in catalog.",
        examples=["hello.yaml"],
    )
    size: Size | None = Field(
        default=None,
        description="The size of the pipelines that PIPELINE_UPLOAD generates where no file is given: as many "
        "steps as fit into it; 10 KB if not given.",
        examples=["200KB"],
        json_schema_extra={"unit": "bytes"},
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Values of the pipeline's parameters, checked against the pipeline's own declaration.",
        examples=[{"message": "hello"}],
    )
    cron: Annotated[str, AfterValidator(checked_cron)] | None = Field(
        default=None,
        description="When a schedule fires: the standard five fields (minute, hour, day of month, month, day of "
        "week).",
        examples=["*/5 * * * *"],
    )
    interval: PositiveMinutes | None = Field(
        default=None,
        description="How often a schedule fires, in place of `cron`; whole seconds.",
        examples=["30s"],
        json_schema_extra={"unit": "minutes"},
    )
    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="The name of the scenario in reports; unique in the file. Derived from the mode if not given.",
        examples=["steady-load"],
    )
    namespace: str | None = Field(
        default=None,
        pattern=_NAMESPACE_PATTERN,
        description="The namespace to work in, where it is not the one of the configuration.",
        examples=["team-a"],
    )
    tags: dict[str, str] = Field(
        default_factory=dict,
        description="Labels that are stored with the scenario's results.",
        examples=[{"team": "search"}],
    )
    seed: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=2**63 - 1,
        description="Seed of everything random in the scenario, so that it can be repeated.",
        examples=[42],
    )
    arrival_rate: PositiveRate | None = Field(
        default=None,
        description="New work arrives at this rate whether or not earlier work has ended (open model), in place of "
        f"`numTimes`; above 0 and at most {MAX_RATE_PER_SECOND:.0f}/s.",
        examples=["30/min"],
    )
    arrivals: Literal["constant", "poisson"] = Field(
        default="constant",
        description="How arrivals are spaced: evenly, or at random with exponential gaps.",
        examples=["poisson"],
    )
    stages: tuple[Stage, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_STAGES,
        description="A load that changes, in place of `numTimes` or `arrivalRate`: from 0 (or the stage before) it "
        "moves in a straight line to each stage's target. The durations add up to `runTime`.",
        examples=[[{"duration": "1m", "target": 5}, {"duration": "4m", "target": 5}]],
    )
    max_in_flight: PositiveCount | None = Field(
        default=None,
        description="The most runs or requests in flight at once in the open model; what is held back is reported.",
        examples=[200],
    )
    think_time: Minutes | None = Field(
        default=None,
        description="The pause of a slot after each of its operations; 1 s for RANDOM_GETS, else 0.",
        examples=["2s"],
        json_schema_extra={"unit": "minutes"},
    )
    mix: dict[ReadCall, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = Field(
        default=None,
        description="Weights of the calls of RANDOM_GETS; calls that are left out are not made.",
        examples=[{"ListRuns": 3, "GetRun": 1}],
    )
    prefill: Prefill | None = Field(
        default=None,
        description="Rows to create before the start; counted apart.",
        examples=[{"runs": 1000}],
    )
    warmup: Minutes = Field(
        default=0.0,
        description="What is due in this first part of `runTime` is measured but kept out of the statistics.",
        examples=["1m"],
        json_schema_extra={"unit": "minutes"},
    )
    grace_period: Minutes | None = Field(
        default=None,
        description="How long runs in flight are followed after `runTime` before they are terminated; the larger "
        "of 2 minutes and twice the longest run seen if not given.",
        examples=["10m"],
        json_schema_extra={"unit": "minutes"},
    )
    poll_interval: PositiveMinutes | None = Field(
        default=None,
        description="How often runs in flight are read; adapted to the server's answer time if not given.",
        examples=["5s"],
        json_schema_extra={"unit": "minutes"},
    )
    cache_enabled: bool | None = Field(
        default=None,
        strict=True,
        description="Switches caching in the uploaded copy of the pipeline on or off, where it should differ from "
        "the configuration; `null` leaves the pipeline as it is.",
        examples=[True],
    )
    thresholds: dict[str, Conditions] = Field(
        default_factory=dict,
        description="Bounds of the scenario's own metrics that decide whether it passed; `null` lifts a "
        "default one.",
        examples=[{"run.duration.p95": "< 90s", "run.visible.p95": "< 2m over 5m"}],
    )
    primary: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_PRIMARY,
        description="The scenario's own metrics by which executions are compared, at most three in a file.",
        examples=[["run.visible.mean"]],
    )

    @property
    def mode_name(self) -> str:
        """The name of the mode in a file."""
        return self.mode.name if isinstance(self.mode, TestMode) else self.mode

    @property
    def mode_entry(self) -> Mode:
        """The mode's entry in MODES; PLUGIN_MODE for a mode of a plug-in."""
        return mode_of(self.mode_name)

    @property
    def start_seconds(self) -> float:
        """When the scenario starts, in seconds from the start of the test."""
        return in_seconds(self.start_time)

    @property
    def run_seconds(self) -> float:
        """How long new work starts, in seconds."""
        if self.run_time is None:
            return sum(stage.duration_seconds for stage in self.stages or ())
        return in_seconds(self.run_time)

    @property
    def warmup_seconds(self) -> float:
        """How much of the run time is warm-up, in seconds."""
        return in_seconds(self.warmup)

    @property
    def grace_seconds(self) -> float | None:
        """How long runs are followed after the run time, in seconds; None: adapted to the runs seen."""
        return None if self.grace_period is None else in_seconds(self.grace_period)

    @property
    def poll_seconds(self) -> float | None:
        """The poll interval of the runs in flight, in seconds; None: adapted to the server."""
        return None if self.poll_interval is None else in_seconds(self.poll_interval)

    @property
    def interval_seconds(self) -> float | None:
        """The time between two slots of a schedule, in seconds; None: `cron` determines them."""
        return None if self.interval is None else in_seconds(self.interval)

    @property
    def think_seconds(self) -> float:
        """The pause of a slot between two operations, in seconds."""
        if self.think_time is None:
            return self.mode_entry.think_seconds
        return in_seconds(self.think_time)

    @property
    def rate(self) -> Rate | None:
        """The highest rate of the open model; None in the closed one."""
        if self.stages:
            rates = [stage.target for stage in self.stages if isinstance(stage.target, Rate)]
            return max(rates, key=lambda rate: rate.per_second, default=None)
        return self.arrival_rate

    def caching(self, default: bool | None) -> bool | None:
        """Return whether caching is to be on in the uploaded pipeline; None leaves the file unchanged."""
        return self.cache_enabled if "cache_enabled" in self.model_fields_set else default
