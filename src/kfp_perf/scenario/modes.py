"""The test modes: MODES is the table of their descriptions, their fields and their metrics.

To add a mode: a member of TestMode with its entry in MODES, a runner in a file of `runners/`, and its line in
RUNNERS. Rules, estimates, plans, the JSON Schema, reports and the reference page follow from the entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


class TestMode(Enum):
    """The mode of a scenario: the kind of its load."""

    __test__ = False

    PIPELINE_RUN = "PIPELINE_RUN"
    EXPERIMENT = "EXPERIMENT"
    RANDOM_GETS = "RANDOM_GETS"
    PIPELINE_UPLOAD = "PIPELINE_UPLOAD"
    PIPELINE_SCHEDULED_RUN = "PIPELINE_SCHEDULED_RUN"


@dataclass(frozen=True, slots=True)
class Mode:
    """The properties of a mode.

    `description` is Markdown for the reference page, `summary` a few words for reports. `fields` are attributes of
    a scenario that not every mode uses and this one does. `metrics` are the metric families that hold values only
    where such a mode ran. `num_times` is what `numTimes` counts without a rate or stages: operations in flight,
    in all and spread evenly over the run time, or in all and due at the start; `noun` is the word for one of them.
    `requests` is the number of requests of an operation; in a mode that starts runs, an operation is a run from its
    creation to its deletion.
    """

    description: str
    summary: str
    fields: frozenset[str]
    starts_runs: bool
    metrics: frozenset[str]
    num_times: Literal["in_flight", "in_all", "at_start"]
    noun: str
    requests: int
    think_seconds: float = 0.0


_LOAD = frozenset({"arrival_rate", "arrivals", "stages", "max_in_flight"})
_PIPELINE = frozenset({"pipeline_file_name", "cache_enabled"})
_RUNS = _PIPELINE | {"params", "grace_period", "poll_interval"}
_RUN_METRICS = frozenset({"runs", "phases"})

MODES: Mapping[TestMode, Mode] = {
    TestMode.PIPELINE_RUN: Mode(
        description="Runs the pipeline in the default experiment; `numTimes` runs are kept in flight.",
        summary="runs in the default experiment",
        fields=_RUNS | _LOAD | {"think_time"},
        starts_runs=True,
        metrics=_RUN_METRICS,
        num_times="in_flight",
        noun="slot",
        requests=3,
    ),
    TestMode.EXPERIMENT: Mode(
        description="Runs the pipeline in a new experiment with a unique name; else as PIPELINE_RUN.",
        summary="runs in an experiment of its own",
        fields=_RUNS | _LOAD | {"think_time"},
        starts_runs=True,
        metrics=_RUN_METRICS,
        num_times="in_flight",
        noun="slot",
        requests=3,
    ),
    TestMode.RANDOM_GETS: Mode(
        description="Reads at random, as a user interface does; `numTimes` readers, each with one request "
        "in flight and `thinkTime` between requests.",
        summary="reads at random",
        fields=_LOAD | {"think_time", "mix"},
        starts_runs=False,
        metrics=frozenset({"reads"}),
        num_times="in_flight",
        noun="reader",
        requests=1,
        think_seconds=1.0,
    ),
    TestMode.PIPELINE_UPLOAD: Mode(
        description="Uploads a new pipeline and another version of the newest one, in turn; `numTimes` in "
        "all, evenly over `runTime`.",
        summary="uploads of pipelines",
        fields=_PIPELINE | _LOAD | {"size"},
        starts_runs=False,
        metrics=frozenset({"uploads"}),
        num_times="in_all",
        noun="upload",
        requests=2,
    ),
    TestMode.PIPELINE_SCHEDULED_RUN: Mode(
        description="Creates `numTimes` recurring runs, follows the runs that they start, and disables them at "
        "the end of `runTime`.",
        summary="runs started by schedules",
        fields=_RUNS | {"cron", "interval"},
        starts_runs=True,
        metrics=_RUN_METRICS | {"schedule", "schedules"},
        num_times="at_start",
        noun="schedule",
        requests=3,
    ),
}
"""Every built-in mode."""

SPECIAL_FIELDS = frozenset().union(*(mode.fields for mode in MODES.values()))
"""The fields that not every mode uses."""

PLUGIN_MODE = Mode(
    description="A mode of a plug-in.",
    summary="a mode of a plug-in",
    fields=SPECIAL_FIELDS,
    starts_runs=False,
    metrics=frozenset().union(*(mode.metrics for mode in MODES.values())),
    num_times="in_flight",
    noun="slot",
    requests=1,
)
"""The assumptions about a mode that is not built in: it may use every field and fill every metric."""

EARLIER_MODES = {
    "SCHEDULED_RUNS": 'write "PIPELINE_SCHEDULED_RUN"',
    "SCHEDULED_RUN": 'write "PIPELINE_SCHEDULED_RUN"',
    "PIPELINE_RUNS": 'write "PIPELINE_RUN"',
    "EXPERIMENTS": 'write "EXPERIMENT"',
    "RANDOM_GET": 'write "RANDOM_GETS"',
    "UPLOAD": 'write "PIPELINE_UPLOAD"',
    "LARGE_DATASET": 'write "PIPELINE_RUN" with "pipelineFileName": "pipeline_with_large_datasets.yaml"',
}
"""Earlier names of modes, and what to write instead."""


def mode_of(name: str) -> Mode:
    """Return the built-in mode of this name, or PLUGIN_MODE."""
    return MODES[TestMode[name]] if name in TestMode.__members__ else PLUGIN_MODE


def modes_with(field: str) -> list[str]:
    """Return the names of the built-in modes that use a field."""
    return [
        mode.name for mode, entry in MODES.items() if field in entry.fields or field not in SPECIAL_FIELDS
    ]
