"""The input of a plan's checks: the parsed file with its pipelines, thresholds, names and estimates."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from kfp_perf.errors import InputError, Problem
from kfp_perf.pipelines.find import find_pipeline
from kfp_perf.pipelines.package import read_pipeline
from kfp_perf.scenario.cron import firings
from kfp_perf.scenario.documents import step
from kfp_perf.scenario.estimate import estimate
from kfp_perf.scenario.quantities import format_value
from kfp_perf.scenario.rules import suits
from kfp_perf.thresholds import SCENARIO_DEFAULTS, TEST_DEFAULTS, is_default, parse_threshold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from kfp_perf.config import TestConfig
    from kfp_perf.metrics.registry import Registry
    from kfp_perf.pipelines.package import PipelinePackage
    from kfp_perf.plan.limits import Limits
    from kfp_perf.scenario.conditions import Conditions
    from kfp_perf.scenario.estimate import LoadEstimate
    from kfp_perf.scenario.model import TestScenario
    from kfp_perf.scenario.serde import ParsedFile
    from kfp_perf.thresholds import Threshold

WEEK_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan before its checks.

    Scenarios are identified by their index in the file. `names` are the names that they get; `pipelines` holds the
    pipeline of each scenario that names one, or its problem; `thresholds` are those of the whole test, then those
    of the scenarios, or their problems; `start` is when the test would start, in UTC.
    """

    parsed: ParsedFile
    config: TestConfig
    limits: Limits
    start: datetime
    assume_yes: bool
    names: Mapping[int, str]
    pipelines: Mapping[int, PipelinePackage | tuple[Problem, ...]]
    thresholds: Sequence[Threshold | Problem]
    estimates: Mapping[int, LoadEstimate]

    @property
    def scenarios(self) -> Mapping[int, TestScenario]:
        """The scenarios that could be read."""
        return self.parsed.scenarios

    def begin(self, scenario: TestScenario) -> datetime:
        """Return when a scenario would start."""
        return self.start + timedelta(seconds=scenario.start_seconds)

    def about(self, threshold: Threshold) -> list[int]:
        """Return the scenarios that a threshold is about: one, or all."""
        return [index for index, name in self.names.items() if threshold.scenario in {None, name}]


def read_pipelines(
    parsed: ParsedFile, folders: Sequence[Path]
) -> dict[int, PipelinePackage | tuple[Problem, ...]]:
    """Return the pipeline of each scenario that uses one and names it, or its problem.

    A file that several scenarios name is read once.
    """
    read = functools.cache(_read)
    found: dict[int, PipelinePackage | tuple[Problem, ...]] = {}
    for index, scenario in parsed.scenarios.items():
        name = scenario.pipeline_file_name
        if name is None or not suits("pipeline_file_name", scenario.mode_name):
            continue
        try:
            path = find_pipeline(name, folders)
        except InputError as error:
            where = parsed.where(index, ("pipelineFileName",))
            found[index] = tuple(
                Problem(where, f"{format_value(fault.where)} {fault.what}", fault.remedy)
                for fault in error.problems
            )
        else:
            package = read(path)
            found[index] = _with_place(parsed, index, package) if isinstance(package, tuple) else package
    return found


def _with_place(parsed: ParsedFile, index: int, faults: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return the problems of a pipeline, with the place where the scenario file names it before each."""
    where = parsed.where(index, ("pipelineFileName",))
    return tuple(Problem(f"{where}: {fault.where}", fault.what, fault.remedy) for fault in faults)


def _read(path: Path) -> PipelinePackage | tuple[Problem, ...]:
    try:
        return read_pipeline(path)
    except InputError as error:
        return error.problems


def parse_thresholds(
    parsed: ParsedFile, names: Mapping[int, str], registry: Registry | None = None
) -> list[Threshold | Problem]:
    """Return the thresholds of the whole test, then those of the scenarios, or their problems.

    `null` lifts a default threshold; for any other metric it is an error.
    """
    found: list[Threshold | Problem] = []
    for name, given, where, scenario in _thresholds(parsed, names):
        if given is None:
            if not is_default(name):
                known = ", ".join([*SCENARIO_DEFAULTS, *TEST_DEFAULTS])
                what = f"null lifts a default threshold, and {name} has none"
                found.append(Problem(where, what, f"default thresholds are on {known}"))
            continue
        for place, one in enumerate(given):
            at = where if len(given) == 1 else step(where, place)
            found.append(
                parse_threshold(
                    name,
                    one.condition,
                    at,
                    scenario,
                    registry,
                    abort_on_fail=one.abort_on_fail,
                    delay_seconds=one.delay_seconds,
                    position=parsed.position(at),
                )
            )
    return found


def lifted_thresholds(parsed: ParsedFile, names: Mapping[int, str]) -> tuple[tuple[str | None, str], ...]:
    """Return the default thresholds that `null` lifts: pairs of scenario (None: the whole test) and metric."""
    return tuple((scenario, name) for name, given, _, scenario in _thresholds(parsed, names) if given is None)


def _thresholds(
    parsed: ParsedFile, names: Mapping[int, str]
) -> Iterator[tuple[str, Conditions, str, str | None]]:
    """Yield each metric's conditions, with its name, their place and scenario."""
    for name, given in parsed.thresholds.items():
        yield name, given, parsed.place("$", ("thresholds", name)), None
    for index, scenario in parsed.scenarios.items():
        for name, given in scenario.thresholds.items():
            yield name, given, parsed.where(index, ("thresholds", name)), names[index]


def estimates_of(
    scenarios: Mapping[int, TestScenario],
    pipelines: Mapping[int, PipelinePackage | tuple[Problem, ...]],
    start: datetime,
    seconds_per_step: float,
) -> dict[int, LoadEstimate]:
    """Return about how many runs and requests each scenario makes, where that can be estimated."""
    found: dict[int, LoadEstimate] = {}
    for index, scenario in scenarios.items():
        package = pipelines.get(index, ())
        if isinstance(package, tuple):
            if scenario.mode_entry.starts_runs:
                continue  # an error: how long its runs take is not known
            steps = 0
        else:
            steps = package.sequential_steps
        begin = start + timedelta(seconds=scenario.start_seconds)
        guess = estimate(scenario, steps * seconds_per_step, firings_within(scenario, begin))
        if guess is not None:
            found[index] = guess
    return found


def firings_within(scenario: TestScenario, begin: datetime) -> int:
    """Return how often a schedule is due within the run time; beyond a week, at the rate of the first week."""
    run_seconds = scenario.run_seconds
    if scenario.interval_seconds is not None:
        return int(run_seconds // scenario.interval_seconds)
    if scenario.cron is None:
        return 0
    counted_seconds = min(run_seconds, WEEK_SECONDS)
    count = sum(1 for _ in firings(scenario.cron, begin, begin + timedelta(seconds=counted_seconds)))
    if count or counted_seconds == run_seconds:
        return round(count * run_seconds / counted_seconds)
    return sum(1 for _ in firings(scenario.cron, begin, begin + timedelta(seconds=run_seconds)))
