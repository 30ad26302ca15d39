"""A plan, and how it is made of a scenario file."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kfp_perf.errors import InputError, Problem
from kfp_perf.plan.checks import errors_of, warnings_of
from kfp_perf.plan.draft import (
    Draft,
    estimates_of,
    lifted_thresholds,
    parse_thresholds,
    read_pipelines,
)
from kfp_perf.plan.limits import read_limits
from kfp_perf.plan.names import unique_names
from kfp_perf.plan.primary import Primary, read_primary
from kfp_perf.plan.scenario_files import find_scenario_file, label_of, pipeline_folders
from kfp_perf.result.files import safe_name
from kfp_perf.scenario.fields import NAME_PATTERN
from kfp_perf.scenario.quantities import format_value
from kfp_perf.scenario.serde import JsonDeserializationUtils
from kfp_perf.thresholds import Threshold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from kfp_perf.config import TestConfig
    from kfp_perf.errors import Position
    from kfp_perf.metrics.registry import Registry
    from kfp_perf.pipelines.package import PipelinePackage
    from kfp_perf.plan.limits import Limits
    from kfp_perf.scenario.estimate import LoadEstimate
    from kfp_perf.scenario.model import TestScenario

SECONDS_PER_STEP = 12.0
"""How long a pod in a run's sequence is assumed to take: the controller processes a workflow each 10 s by default,
and a run of one task, which has three pods, took 20 to 30 s on a real server where the pods did nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A test that can start.

    `text` is the scenario file with variables and overrides in place, `resolved` lists what these changed; every
    scenario has a `name`, unique in the plan. By that name, `packages` holds the pipeline of each scenario that has
    one, as its runner uses it, and `estimates` the expected load of each scenario; `thresholds` are those of the
    whole test, then those of the scenarios; `lifted` are the default ones that do not apply, as pairs of scenario
    (None: the whole test) and metric; `primary` are the metrics by which executions are compared; `positions` says
    where each scenario is in the file. A plan can be pickled.
    """

    name: str
    path: Path
    text: str
    scenarios: tuple[TestScenario, ...]
    packages: Mapping[str, PipelinePackage] = field(default_factory=dict)
    estimates: Mapping[str, LoadEstimate] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    lifted: tuple[tuple[str | None, str], ...] = ()
    primary: tuple[Primary, ...] = ()
    warnings: tuple[Problem, ...] = ()
    resolved: tuple[str, ...] = ()
    positions: Mapping[str, Position] = field(default_factory=dict)

    @property
    def duration_seconds(self) -> float:
        """From the start of the test to the end of the last run time, in seconds."""
        return max(scenario.start_seconds + scenario.run_seconds for scenario in self.scenarios)

    def namespaces(self, config: TestConfig) -> tuple[str, ...]:
        """Return the namespaces of all scenarios on a server in multi-user mode."""
        return tuple(dict.fromkeys(one.namespace or config.NAMESPACE for one in self.scenarios))


def make_plan(
    scenario_file: str | Path,
    config: TestConfig,
    *,
    extra_modes: Collection[str] = (),
    assume_yes: bool = False,
    now: float | None = None,
    seconds_per_step: float = SECONDS_PER_STEP,
    limits: Limits | None = None,
    registry: Registry | None = None,
    name: str | None = None,
    overrides: Iterable[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> Plan:
    """Return the plan of a scenario file: a path, or the name of a built-in scenario.

    `extra_modes` are the modes that plug-ins add; `assume_yes` confirms any number of rows beforehand; `now`
    (seconds since the epoch, default: the clock) is when the test would start, for schedules; `seconds_per_step`
    is how long the estimates assume that a pod in a run's sequence takes; `limits` are those of this process by
    default; `registry` has the metrics that thresholds may name (default: the built-in ones). `name` is what the
    results are called instead of the file's own name; `overrides` are set in the file and `environment` gives its
    variables (see `scenario.overrides`). Raises InputError with every problem of the file and of its pipelines.
    """
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise InputError(
            Problem("--name", f"must match {NAME_PATTERN}, got {format_value(name)}", "shorten it")
        )
    path = find_scenario_file(scenario_file)
    parsed = JsonDeserializationUtils.parse_scenario_file(
        path, label_of(path), extra_modes=extra_modes, overrides=overrides, environment=environment
    )
    names = dict(zip(parsed.scenarios, unique_names(list(parsed.scenarios.values())), strict=True))
    start = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    pipelines = read_pipelines(parsed, pipeline_folders(path, config))
    draft = Draft(
        parsed=parsed,
        config=config,
        limits=read_limits() if limits is None else limits,
        start=start,
        assume_yes=assume_yes,
        names=names,
        pipelines=pipelines,
        thresholds=parse_thresholds(parsed, names, registry),
        estimates=estimates_of(parsed.scenarios, pipelines, start, seconds_per_step),
    )
    primary, faults = read_primary(parsed, names, registry)
    # A wrong default is found in every scenario, and reported once.
    if errors := dict.fromkeys([*parsed.problems, *faults, *errors_of(draft)]):
        raise InputError(parsed.located(errors))
    return Plan(
        name=name or parsed.name or safe_name(path.stem),
        path=path,
        text=parsed.text,
        scenarios=tuple(
            scenario.model_copy(update={"name": names[index]}) for index, scenario in parsed.scenarios.items()
        ),
        packages={
            names[index]: package for index, package in pipelines.items() if not isinstance(package, tuple)
        },
        estimates={names[index]: guess for index, guess in draft.estimates.items()},
        thresholds=tuple(one for one in draft.thresholds if isinstance(one, Threshold)),
        lifted=lifted_thresholds(parsed, names),
        primary=primary,
        warnings=tuple(parsed.located(dict.fromkeys(warnings_of(draft)))),
        resolved=parsed.changes,
        positions={
            name: position
            for index, name in names.items()
            if (position := parsed.position(parsed.where(index, ()))) is not None
        },
    )
