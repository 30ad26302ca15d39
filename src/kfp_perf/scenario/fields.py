"""The fields of a scenario, which is one concurrent part of a test, as the user writes them.

Field names in JSON are camelCase, attributes snake_case. Times are kept in minutes, as given; the `*_seconds`
properties are what the rest of the program uses. Descriptions (a sentence for users), units, examples and `unset`
(the default in words, where it is no value) are written here once: the reference page, the JSON Schema that editors
show, and messages are made from them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, Field

from kfp_perf.scenario.conditions import Conditions
from kfp_perf.scenario.cron import checked_cron
from kfp_perf.scenario.enums import EnumSerDe
from kfp_perf.scenario.modes import EARLIER_MODES, MODES, Mode, TestMode, mode_of
from kfp_perf.scenario.parts import DEFAULT_MIX, FROZEN, Prefill, ReadCall, Stage, in_seconds
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

    mode: ModeName = Field(
        description="The kind of load: runs of a pipeline, reads, uploads, or schedules.",
        examples=["PIPELINE_RUN"],
        json_schema_extra={
            "markdownEnumDescriptions": [entry.description for entry in MODES.values()],
        },
    )
    start_time: Minutes = Field(
        default=0.0,
        description="How long after the start of the test the scenario starts.",
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
        description="How many runs (PIPELINE_RUN, EXPERIMENT) or readers (RANDOM_GETS) are kept in flight at the "
        "same time, how many uploads there are in all (PIPELINE_UPLOAD), or how many schedules "
        "(PIPELINE_SCHEDULED_RUN).",
        examples=[5],
    )
    pipeline_file_name: str | None = Field(
        default=None,
        min_length=1,
        description="The compiled pipeline to run or upload: a path relative to the scenario file, or the name of "
        "a file in `pipelines` or `../pipeline_files` beside it, in a folder of KFP_PERF_PIPELINE_FOLDERS, or of a "
        "built-in pipeline.",
        examples=["hello.yaml"],
    )
    size: Size | None = Field(
        default=None,
        description="How large the pipelines are that PIPELINE_UPLOAD generates where no `pipelineFileName` is "
        "given: as many steps as fit into it.",
        examples=["200KB"],
        json_schema_extra={"unit": "bytes", "unset": "10KB"},
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Values of the pipeline's parameters by their names; they are checked against the pipeline.",
        examples=[{"message": "hello"}],
    )
    cron: Annotated[str, AfterValidator(checked_cron)] | None = Field(
        default=None,
        description="When a schedule starts runs, in UTC, as the five fields of cron: minute, hour, day of month, "
        "month, day of week.",
        examples=["*/5 * * * *"],
    )
    interval: PositiveMinutes | None = Field(
        default=None,
        description="How often a schedule starts a run, in place of `cron`; whole seconds.",
        examples=["30s"],
        json_schema_extra={"unit": "minutes"},
    )
    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="The name of the scenario in reports, unique in the file.",
        examples=["steady-load"],
        json_schema_extra={"unset": "that of the mode, with a number where several have it"},
    )
    namespace: str | None = Field(
        default=None,
        pattern=_NAMESPACE_PATTERN,
        description="The namespace that the scenario works in, on a multi-user server.",
        examples=["team-a"],
        json_schema_extra={"unset": "that of the settings"},
    )
    tags: dict[str, str] = Field(
        default_factory=dict,
        description="Labels of your own, which are stored with the scenario's results.",
        examples=[{"team": "search"}],
    )
    seed: int | None = Field(
        default=None,
        strict=True,
        ge=0,
        le=2**63 - 1,
        description="Seed of everything that is random in the scenario, so that the same choices can be repeated.",
        examples=[42],
        json_schema_extra={"unset": "another one for each test"},
    )
    arrival_rate: PositiveRate | None = Field(
        default=None,
        description="How many runs or requests start in what time, whether or not earlier ones have ended (open "
        f"model), in place of `numTimes`; at most {MAX_RATE_PER_SECOND:.0f}/s.",
        examples=["30/min"],
    )
    arrivals: Literal["constant", "poisson"] = Field(
        default="constant",
        description="How the starts of a rate are spaced: evenly, or at random as those of independent users.",
        examples=["poisson"],
        json_schema_extra={
            "markdownEnumDescriptions": [
                "Evenly spaced.",
                "At random, with exponential gaps: a Poisson process.",
            ]
        },
    )
    stages: tuple[Stage, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_STAGES,
        description="A load that changes over time, in place of `numTimes` or `arrivalRate`: it moves in a "
        "straight line from the target of the stage before, at first 0, to that of each stage.",
        examples=[[{"duration": "1m", "target": 5}, {"duration": "4m", "target": 5}]],
    )
    max_in_flight: PositiveCount | None = Field(
        default=None,
        description="The most runs or requests that a rate may have in flight; what is due beyond that waits, and "
        "its wait counts as latency.",
        examples=[200],
        json_schema_extra={"unset": "no limit"},
    )
    think_time: Minutes | None = Field(
        default=None,
        description="How long a slot pauses after one run or request, before it starts the next.",
        examples=["2s"],
        json_schema_extra={"unit": "minutes", "unset": "1 s for RANDOM_GETS, else 0"},
    )
    mix: dict[ReadCall, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = Field(
        default=None,
        description="How often RANDOM_GETS makes each call, as weights; a call that is left out is not made.",
        examples=[{"ListRuns": 3, "GetRun": 1}],
        json_schema_extra={"unset": ", ".join(f"{call} {weight}" for call, weight in DEFAULT_MIX.items())},
    )
    prefill: Prefill | None = Field(
        default=None,
        description="What to create on the server before the load starts; it is counted apart.",
        examples=[{"runs": 1000}],
        json_schema_extra={"unset": "nothing"},
    )
    warmup: Minutes = Field(
        default=0.0,
        description="The first part of `runTime`, in which what is due is measured and left out of the statistics.",
        examples=["1m"],
        json_schema_extra={"unit": "minutes"},
    )
    grace_period: Minutes | None = Field(
        default=None,
        description="How long runs that are in flight at the end of `runTime` are followed before they are "
        "terminated.",
        examples=["10m"],
        json_schema_extra={
            "unit": "minutes",
            "unset": "the larger of 2 minutes and twice the longest run seen",
        },
    )
    poll_interval: PositiveMinutes | None = Field(
        default=None,
        description="How often the states of runs in flight are read.",
        examples=["5s"],
        json_schema_extra={"unit": "minutes", "unset": "adapted to how fast the server answers"},
    )
    cache_enabled: bool | None = Field(
        default=None,
        strict=True,
        description="Whether KFP may reuse results of earlier runs: `true` and `false` switch caching in the "
        "uploaded copy of the pipeline, `null` leaves the pipeline as it is.",
        examples=[True],
        json_schema_extra={"unset": "as the setting cacheEnabled says"},
    )
    thresholds: dict[str, Conditions] = Field(
        default_factory=dict,
        description="Conditions on metrics of the scenario that decide whether the test passes; `null` lifts a "
        "default one.",
        examples=[{"run.duration.p95": "< 90s", "run.visible.p95": "< 2m over 5m"}],
    )
    primary: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_PRIMARY,
        description="Metrics of the scenario by which executions are compared, at most three in a file.",
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
